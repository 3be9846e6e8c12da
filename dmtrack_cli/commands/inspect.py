"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.output.run_record import to_json
from dmtrack.video.frame import VideoInfo
from dmtrack.video.inspection import PairMatch, PairReport, inspect_pair
from dmtrack.video.streams import Sync
from dmtrack_cli.console import out
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.options import AuxArgument, JsonOption, Pairing, RgbArgument
from dmtrack_cli.sensor_options import SideTimes


@grouped
def inspect(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    *,
    pairing: Pairing,
    times: SideTimes,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the files, and whether and how they pair. Nothing is written."""
    report = inspect_pair(rgb, pairing.second(rgb, aux), times.applied_to(pairing.options))
    truth = find_ground_truth(rgb)
    if as_json:
        typer.echo(json.dumps({"report": to_json(report), "ground_truth": to_json(truth)}, indent=2))
        return
    out.print(_streams_table(report))
    out.print(_facts_table(report, truth))
    for warning in report.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), warning))


def _streams_table(report: PairReport) -> Table:
    table = Table(title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("", style="bold")
    table.add_column("RGB", overflow="fold")
    columns = [_stream_facts(report.rgb)]
    if report.aux is not None:
        table.add_column("second stream", overflow="fold")
        columns.append(_stream_facts(report.aux))
    for name in columns[0]:
        table.add_row(name, *(Text(facts[name]) for facts in columns))
    return table


def _stream_facts(info: VideoInfo) -> dict[str, str]:
    turned = f", turned by {info.rotation_deg} degrees" if info.rotation_deg else ""
    colour = "grey" if info.channels == 1 else "colour"
    return {
        "file": str(info.path),
        "stream": "the only one" if info.track is None else str(info.track),
        "size": f"{info.width}x{info.height}{turned}",
        "pixels": f"{info.bit_depth}-bit {colour} ({info.pixel_format})",
        "codec": info.codec,
        "frame rate": "not stated" if info.frame_rate is None else f"{float(info.frame_rate):.3f} fps",
        "frames": "not stated" if info.frame_count is None else str(info.frame_count),
        "duration": _seconds(info.duration_s),
        "starts at": _seconds(info.start_pts * info.time_base),
        "time base": str(info.time_base),
    }


def _facts_table(report: PairReport, truth: tuple[Path, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_section()
    if report.aux is not None:
        modality = "cannot be told" if report.modality is None else report.modality.value
        table.add_row("modality", Text(f"{modality} ({report.modality_reason})"))
    if report.match is not None:
        for name, fact in _match_facts(report.match).items():
            table.add_row(name, fact)
    table.add_row("ground truth", Text(", ".join(str(path) for path in truth) or "none beside the input"))
    return table


def _match_facts(match: PairMatch) -> dict[str, str]:
    skew = match.skew
    how = {
        Sync.PTS: f"by time stamp, at most {_milliseconds(match.max_skew_s)} apart",
        Sync.NEAREST: "by the nearest time stamp, however far apart",
        Sync.INDEX: "by place",
    }[match.sync]
    pairs = "unknown" if match.expected_pairs is None else f"about {match.expected_pairs}"
    found = skew.frames - skew.missing
    facts = {
        "paired": how,
        "overlap": f"{_seconds(match.overlap_s)}, {pairs} RGB frames",
        "looked at": f"{found} of the first {skew.frames} RGB frames have a partner",
    }
    if skew.median_s is not None and skew.largest_s is not None:
        facts["skew"] = f"median {_milliseconds(skew.median_s)}, largest {_milliseconds(skew.largest_s)}"
    if match.rate_ratio is not None and match.rate_ratio != 1:
        facts["rates"] = f"{float(match.rate_ratio):.3f} RGB frames for each of the second stream"
    return facts


def _seconds(value: Fraction | None) -> str:
    return "unknown" if value is None else f"{float(value):.3f} s"


def _milliseconds(value: Fraction) -> str:
    return f"{float(value * 1000):.1f} ms"
