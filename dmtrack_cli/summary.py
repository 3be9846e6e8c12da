"""The summary of a run, as a table for people or a line of JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from rich.console import Console

from dmtrack.errors import counted
from dmtrack.output.record import RunRecord, RunStatus, to_json
from dmtrack.run.session import TrackRun
from dmtrack.tracking.watch import worst_first
from dmtrack.video.pairing import PairCounts
from dmtrack_cli.console import facts_table, out
from dmtrack_cli.progress import ProgressKind, say_json

MOST_SPANS_SAID: Final = 3


def say_end(run: TrackRun, kind: ProgressKind, *, quiet: bool = False) -> None:
    """Print the summary of a run, as a table or as a line of JSON."""
    if kind is ProgressKind.JSON:
        say_json(
            "end",
            status=run.record.status,
            reason=run.record.reason,
            counts=to_json(run.record.counts),
            mean_score=run.score.value,
            speed=None if run.record.speed is None else asdict(run.record.speed),
            files=[str(path) for path in run.files],
        )
    elif not quiet:
        print_summary(run, out)


def print_summary(run: TrackRun, console: Console) -> None:
    """Print the summary as a table."""
    counts = run.record.counts
    facts = [("frames", _frames_text(run.record)), ("targets", str(counts.targets))]
    if counts.uncertain or counts.lost:
        facts.append(("boxes", f"{counts.uncertain} uncertain, {counts.lost} while lost"))
        facts += _listed("look at", _looked_at(run.record))
    if run.score.value is not None:
        facts.append(("mean score", f"{run.score.value:.3f}"))
    if any(item.role == "aux" for item in run.record.inputs):
        facts.append(("second stream", _pairing_text(counts.pairing)))
    if counts.pairing.longest_delay_s:
        delay_ms = float(counts.pairing.longest_delay_s * 1000)
        dropped = counted(counts.pairing.rgb_dropped, "frame")
        facts.append(("live", f"{dropped} dropped, none was older than {delay_ms:.0f} ms"))
    facts += [("damaged", _damage_text(run.record)), ("speed", _speed_text(run.record))]
    facts += _listed("files", [f"{path}  ({size_text(path.stat().st_size)})" for path in run.files])
    console.print(facts_table(facts))


def _listed(name: str, facts: Sequence[str]) -> list[tuple[str, str]]:
    return [("" if number else name, fact) for number, fact in enumerate(facts)]


def size_text(size_bytes: int) -> str:
    """Return `412 B`, `3.1 kB` or `12.0 MB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def _looked_at(record: RunRecord) -> list[str]:
    """Return, in words, the places to look at first."""
    worst = worst_first(record.doubted)
    more = len(worst) - MOST_SPANS_SAID
    said = [str(span) for span in worst[:MOST_SPANS_SAID]]
    return [*said, f"and {counted(more, 'more place')}, in run.json"] if more > 0 else said


def _frames_text(record: RunRecord) -> str:
    frames = str(record.counts.frames)
    if record.status is not RunStatus.COMPLETE:
        return f"{frames} ({record.status})"
    return frames if record.reason is None else f"{frames} ({record.reason})"


def _pairing_text(pairing: PairCounts) -> str:
    shown = (
        (pairing.aux_stale, "with the nearest picture held"),
        (pairing.aux_blank, "blank"),
        (pairing.aux_rgb_only, "as RGB alone"),
    )
    how = ", ".join(f"{count} {what}" for count, what in shown if count)
    missing = f"{counted(pairing.aux_missing, 'frame')} without a partner" + (f" ({how})" if how else "")
    return f"{missing}, {pairing.aux_held} with the previous one repeated"


def _damage_text(record: RunRecord) -> str:
    pairing = record.counts.pairing
    parts = (("RGB", pairing.rgb_damaged), ("second stream", pairing.aux_damaged))
    damaged = [f"{count} packets or pictures of {name}" for name, count in parts if count]
    return ", ".join(damaged) or "none"


def _speed_text(record: RunRecord) -> str:
    speed = record.speed
    if speed is None or speed.whole_fps is None:
        return "not measured"
    network = "" if speed.network_fps is None else f"network {speed.network_fps:.1f} fps, "
    where = f"{record.device}, {record.precision}, {record.backend}"
    return f"{network}whole run {speed.whole_fps:.1f} fps ({speed.wall_s:.1f} s; {where})"
