"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from dmtrack.batch.plan import Plan, plan_batch
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.datasets.survey import DatasetRecording, survey
from dmtrack.errors import InputError, counted, listed
from dmtrack.options import Option, number_text
from dmtrack.output.record import records_in, to_json
from dmtrack.run.recording_report import RecordingReport, inspect_recording
from dmtrack.run.results_folder import ROOT
from dmtrack.video.container_clock import ClockFacts, ContainerFacts, StreamFacts
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.inspection import PairMatch, PairReport
from dmtrack.video.streams import PairingOptions, Sync
from dmtrack_cli.batch_listing import print_plan, say_plan
from dmtrack_cli.console import facts_table, listing, out
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.shared_options import AuxArgument, JsonOption, ModalityOption, RgbArgument

_DULL_TAGS = frozenset({"DURATION", "handler_name", "vendor_id", "encoder", "ENCODER", "language"})
_NAMED = 3


@grouped
def inspect(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    sheet: Annotated[
        Path | None,
        Option(
            "--sheet",
            "Write a picture of several moments: RGB, the second stream, and both blended.",
            metavar="FILE.png",
        ),
    ] = None,
    overwrite: Annotated[bool, Option("--overwrite", "Replace an existing sheet.")] = False,
    modality: ModalityOption = None,
    *,
    pairing: PairingOptions,
    as_json: JsonOption = False,
) -> None:
    """Show what is in the files, and whether and how they pair.

    RGB may be a video, a folder of pictures, a recording of a data set, a data set, a folder that `batch`
    reads, or the results of a run or a batch.
    """
    runs = records_in(rgb) if aux is None else {}
    if runs and not survey(rgb):
        _say_runs(runs, as_json=as_json)
        return
    try:
        found = inspect_recording(
            rgb,
            pairing.second(rgb, aux),
            modality=modality,
            pairing=pairing,
            sheet=sheet,
            overwrite=overwrite,
        )
    except InputError:
        plan = _plan(rgb, modality) if aux is None and sheet is None and rgb.is_dir() else None
        if plan is None:
            raise
        if as_json:
            say_plan(plan)
        else:
            print_plan(plan, rgb, out)
        return
    if found.pair is None:
        _say_root(rgb, found.clips, as_json=as_json)
    elif as_json:
        values = {
            "report": found.pair,
            "ground_truth": found.ground_truth,
            "containers": found.containers,
            "data_set": _clip_json(found.clips[0]) if found.clips else None,
        }
        typer.echo(json.dumps(to_json(values), indent=2))
    else:
        _say(found, found.pair)
        if sheet is not None:
            out.print(Text(f"{sheet}"), soft_wrap=True)


def _plan(folder: Path, modality: Modality | None) -> Plan | None:
    """Return the plan of what `batch` would read in a folder; None: nothing, or only the folder itself."""
    try:
        plan = plan_batch(folder, folder / ROOT, modality)
    except InputError:
        return None
    names = {planned.item.id for planned in plan.items} | {problem.id for problem in plan.problems}
    return plan if names - {folder.absolute().name} else None


def _say_runs(runs: Mapping[Path, Mapping[str, Any]], *, as_json: bool) -> None:
    """Print the state of runs, one per row."""
    if as_json:
        typer.echo(json.dumps({"runs": {str(folder): record for folder, record in runs.items()}}, indent=2))
        return
    rows = []
    for folder, record in runs.items():
        counts, speed = record.get("counts") or {}, record.get("speed") or {}
        numbers = (counts.get("frames"), counts.get("targets"), counts.get("lost"), speed.get("whole_fps"))
        inputs = [Path(str(one["video"]["path"])).name for one in record.get("inputs") or ()]
        rows.append((folder.name, record["status"], *map(_number_text, numbers), " + ".join(inputs)))
    out.print(listing(("results", "status", ">frames", ">targets", ">lost", ">fps", "of"), rows))
    for folder, record in runs.items():
        if record.get("reason"):
            out.print(Text(f"{folder.name}: {record['reason']}"), soft_wrap=True)


def _number_text(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if isinstance(number, int) else f"{number:.1f}"


def _say(found: RecordingReport, pair: PairReport) -> None:
    for clip in found.clips:
        out.print(facts_table(_clip_facts(clip).items()), "")
    out.print(_streams_table(pair, found.containers), "")
    for container in found.containers:
        if container is not None and (len(container.streams) > 1 or any(map(_tags_text, container.streams))):
            columns = ("track", "kind", "codec", "picture", "rate", "starts at", "tags")
            out.print(listing(columns, map(_track_row, container.streams), container.path.name), "")
    out.print(facts_table(_pair_facts(pair, found.ground_truth).items()))
    for problem in (problem for clip in found.clips for problem in clip.problems):
        out.print(Text.assemble(("problem: ", "bold red"), problem), soft_wrap=True)
    for warning in pair.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), warning), soft_wrap=True)


def _say_root(root: Path, clips: tuple[DatasetRecording, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"recordings": to_json([_clip_json(clip) for clip in clips])}, indent=2))
        return
    out.print(_clips_table(clips, root))
    for clip in clips:
        for problem in clip.problems:
            out.print(
                Text.assemble(("problem: ", "bold red"), f"{_name(clip, root)}: {problem}"), soft_wrap=True
            )
    out.print(f"{counted(len(clips), 'recording')}; name one to see more, or track all with dmtrack batch")


def _clip_json(one: DatasetRecording) -> dict[str, object]:
    clip = one.clip
    return {
        "folder": clip.folder,
        "layout": clip.layout.name,
        "modality": one.modality,
        "rgb": clip.rgb,
        "aux": clip.second,
        "rgb_pictures": one.pictures[0],
        "aux_pictures": one.pictures[1],
        "targets": [
            {
                "name": sequence.name,
                "frames": len(sequence),
                "start_frame": sequence.source_start + sequence.start_frame,
                "start_box": sequence.start_box.xywh,
                "visible": int(sequence.visible.sum()),
                "annotation_step": sequence.annotation_step,
            }
            for sequence in one.sequences
        ],
        "problems": one.problems,
    }


def _streams_table(report: PairReport, containers: Sequence[ContainerFacts | None]) -> Table:
    table = Table(title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("", style="bold")
    table.add_column("RGB", overflow="fold")
    columns = [_stream_facts(report.rgb, containers[0])]
    if report.aux is not None:
        table.add_column("second stream", overflow="fold")
        columns.append(_stream_facts(report.aux, containers[1]))
    for name in dict.fromkeys(name for facts in columns for name in facts):
        table.add_row(name, *(Text(facts.get(name, "")) for facts in columns))
    return table


def _stream_facts(info: VideoInfo, container: ContainerFacts | None) -> dict[str, str]:
    turned = f", turned by {info.rotation_deg} degrees" if info.rotation_deg else ""
    colour = "grey" if info.channels == 1 else "colour"
    facts = {
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
    if container is not None:
        facts["container"] = container.format
        if container.clock is not None:
            facts["clock"] = _clock_text(container.clock)
    return facts


def _clock_text(clock: ClockFacts) -> str:
    packets = f"{clock.frames} stamps" if clock.is_whole else f"the first {clock.frames} stamps"
    text = f"{packets}, {float(clock.first_s):.3f}-{float(clock.last_s):.3f} s"
    if clock.shortest_s is None or clock.longest_s is None or clock.mean_rate is None:
        return text
    if clock.is_variable:
        shortest, longest = (float(value * 1000) for value in (clock.shortest_s, clock.longest_s))
        text += f", variable: {shortest:.1f} to {longest:.1f} ms apart, {float(clock.mean_rate):.2f} fps"
    else:
        text += ", even"
    return text + (f", {clock.gaps} gaps" if clock.gaps else "")


def _track_row(stream: StreamFacts) -> tuple[str, ...]:
    kind = stream.kind if stream.video_number is None else f"video {stream.video_number}"
    picture = "" if stream.size is None else f"{stream.size[0]}x{stream.size[1]} {stream.pixel_format or '?'}"
    if stream.bit_depth is not None and stream.bit_depth != 8:
        picture += f", {stream.bit_depth}-bit"
    rate = "" if stream.frame_rate is None else f"{float(stream.frame_rate):.3f} fps"
    is_attached = stream.kind == "attachment"
    start = "" if stream.start_s is None or is_attached else _seconds(stream.start_s)
    codec = stream.codec or ("" if is_attached else "unknown")
    return (str(stream.index), kind, codec, picture, rate, start, _tags_text(stream))


def _tags_text(stream: StreamFacts) -> str:
    tags = [f"{name}={value}" for name, value in stream.tags.items() if name not in _DULL_TAGS]
    language = stream.tags.get("language", "und")
    return ", ".join([*tags, *([f"language={language}"] if language != "und" else [])])


def _pair_facts(report: PairReport, truth: tuple[Path, ...]) -> dict[str, str]:
    facts = {}
    if report.aux is not None:
        facts["modality"] = f"{report.modality or 'cannot be told'} ({report.modality_reason})"
    if report.match is not None:
        facts |= _match_facts(report.match)
    return facts | {"ground truth": ", ".join(map(str, truth)) or "none beside the input"}


def _match_facts(match: PairMatch) -> dict[str, str]:
    skew = match.skew
    how = {
        Sync.PTS: f"by time stamp, at most {_milli_seconds(match.max_skew_s)} apart",
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
    if match.sync is not Sync.INDEX:
        facts["starts"] = "together"
    if match.sync is not Sync.INDEX and match.start_apart_s:
        offset_ms = number_text(round(match.suggested_offset_s * 1000, 3))
        facts["starts"] = (
            f"{float(match.start_apart_s * 1000):+.1f} ms apart; "
            f"--offset-ms {offset_ms} would make them start together"
        )
    if match.length_ratio is not None and match.length_ratio != 1:
        facts["lengths"] = f"the second stream lasts {float(match.length_ratio):.4f} times as long"
    if skew.median_s is not None and skew.largest_s is not None:
        facts["skew"] = f"median {_milli_seconds(skew.median_s)}, largest {_milli_seconds(skew.largest_s)}"
    if match.rate_ratio is not None and match.rate_ratio != 1:
        facts["rates"] = f"{float(match.rate_ratio):.3f} RGB frames for each of the second stream"
    return facts


def _clip_facts(one: DatasetRecording) -> dict[str, str]:
    clip = one.clip
    facts = {"folder": str(clip.folder), "layout": f"{clip.layout.name} ({one.modality or 'one stream'})"}
    streams = ((clip.rgb, "RGB"), (clip.second, one.modality))
    for (path, name), pictures in zip(streams, one.pictures, strict=True):
        if path is not None:
            held = "" if pictures is None else f"/ ({counted(pictures, 'picture')})"
            facts[str(name)] = f"{path.name}{held}"
    if one.sequences:
        facts["targets"] = "\n".join(map(_target_text, one.sequences))
    return facts


def _name(one: DatasetRecording, root: Path) -> str:
    return str(one.clip.folder.relative_to(root))


def _clips_table(clips: Sequence[DatasetRecording], root: Path) -> Table:
    rows = []
    for one in clips:
        clip = one.clip
        second = str(one.modality or "none")
        frames = "?" if one.pictures[0] is None else str(one.pictures[0])
        targets = [f"{s.start_box} at {s.source_start + s.start_frame}" for s in one.sequences]
        rows.append((_name(one, root), clip.layout.name, second, frames, listed(targets, _NAMED) or "none"))
    return listing(("recording", "layout", "second stream", ">frames", "targets"), rows)


def _target_text(sequence: AnnotatedSequence) -> str:
    begin = sequence.source_start + sequence.start_frame
    step = f", every {sequence.annotation_step}th annotated" if sequence.annotation_step > 1 else ""
    shown = int(sequence.visible.sum())
    seen = f"shown in {shown} of {len(sequence)}{step}"
    return f"{sequence.name}: {sequence.start_box} at frame {begin}, {seen}"


def _seconds(value: Fraction | None) -> str:
    return "unknown" if value is None else f"{float(value):.3f} s"


def _milli_seconds(value: Fraction) -> str:
    return f"{float(value * 1000):.1f} ms"
