"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.image_files import is_video
from dmtrack.datasets.survey import SurveyedClip, survey
from dmtrack.drawing.draw import Mark, target_colour
from dmtrack.drawing.sheet import contact_sheet, pairs_at, spread_indices, write_sheet
from dmtrack.errors import ConfigError, DatasetError, VideoError
from dmtrack.output.record import to_json
from dmtrack.video.container import ContainerFacts, read_container
from dmtrack.video.frame import VideoInfo
from dmtrack.video.inspection import PairReport, inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.console import out
from dmtrack_cli.inspect_tables import (
    clip_table,
    clips_table,
    facts_table,
    has_more_to_say,
    streams_table,
    tracks_table,
)
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.options import AuxArgument, JsonOption, ModalityChoice, Pairing, RgbArgument
from dmtrack_cli.sensor_options import SideTimes


@grouped
def inspect(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            metavar="FILE.png",
            help="Write a picture of several moments: RGB, the second stream, and both blended.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing sheet.")] = False,
    modality: Annotated[
        ModalityChoice, typer.Option("--modality", help="What AUX measures.")
    ] = ModalityChoice.AUTO,
    *,
    pairing: Pairing,
    times: SideTimes,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the files, and whether and how they pair.

    RGB may be a video, a folder of pictures, a recording of a data set, or a folder of many.
    """
    options = times.applied_to(pairing.options)
    aux = pairing.second(rgb, aux)
    clips = survey(rgb) if aux is None else ()
    if len(clips) > 1:
        if sheet is not None:
            raise ConfigError(f"--sheet shows one recording, here are {len(clips)}", where=rgb)
        _say_root(rgb, clips, as_json=as_json)
        return
    clip = clips[0] if clips else None
    report = _report(rgb, aux, clip, options)
    if modality.modality is not None:
        report = replace(report, modality=modality.modality, modality_reason="it was given")
    containers = [_container(info) for info in (report.rgb, report.aux) if info is not None]
    truth = find_ground_truth(report.rgb.path)
    if as_json:
        values = {"report": report, "ground_truth": truth, "containers": containers}
        shown = {name: to_json(value) for name, value in values.items()}
        typer.echo(json.dumps(shown | {"data_set": None if clip is None else _clip_json(clip)}, indent=2))
    else:
        _say(report, containers, truth, clip)
    if sheet is not None:
        _write_sheet(sheet, report, clip, options, overwrite=overwrite)
        if not as_json:
            typer.echo(f"{sheet}")


def _report(rgb: Path, aux: Path | None, clip: SurveyedClip | None, options: PairingOptions) -> PairReport:
    if clip is None:
        return inspect_pair(rgb, aux, options)
    streams = clip.clip
    try:
        report = inspect_pair(streams.rgb, streams.second, options)
    except VideoError as error:
        if streams.second is None or streams.second.is_dir() or is_video(streams.second):
            raise
        alone = inspect_pair(streams.rgb, None, options)
        return replace(alone, warnings=(*alone.warnings, str(error)))
    if report.aux is None:
        return report
    reason = f"the folder is laid out as {streams.layout.name}"
    warnings = tuple(line for line in report.warnings if "--modality" not in line)
    return replace(report, modality=streams.layout.modality, modality_reason=reason, warnings=warnings)


def _container(info: VideoInfo) -> ContainerFacts | None:
    """Look into a file; nothing is said of those that libav does not read, such as ROS bags."""
    if not info.path.is_file():
        return None
    try:
        return read_container(info.path, stream=0 if info.track is None else info.track.number)
    except VideoError:
        return None


def _say(
    report: PairReport,
    containers: list[ContainerFacts | None],
    truth: tuple[Path, ...],
    clip: SurveyedClip | None,
) -> None:
    if clip is not None:
        out.print(clip_table(clip), "")
    out.print(streams_table(report, containers), "")
    for container in containers:
        if container is not None and has_more_to_say(container):
            out.print(tracks_table(container), "")
    out.print(facts_table(report, truth))
    for problem in () if clip is None else clip.problems:
        out.print(Text.assemble(("problem: ", "bold red"), problem))
    for warning in report.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), warning))


def _say_root(root: Path, clips: tuple[SurveyedClip, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"recordings": [_clip_json(clip) for clip in clips]}, indent=2))
        return
    out.print(clips_table(clips, root))
    for clip in clips:
        for problem in clip.problems:
            out.print(Text.assemble(("problem: ", "bold red"), f"{clip.clip.folder.name}: {problem}"))
    out.print(f"{len(clips)} recordings; name one to see more, or track all with dmtrack batch")


def _clip_json(one: SurveyedClip) -> dict[str, object]:
    clip = one.clip
    return {
        "folder": str(clip.folder),
        "layout": clip.layout.name,
        "modality": None if clip.second is None else to_json(clip.layout.modality),
        "rgb": str(clip.rgb),
        "aux": None if clip.second is None else str(clip.second),
        "rgb_pictures": one.rgb_pictures,
        "aux_pictures": one.aux_pictures,
        "targets": [
            {
                "name": sequence.name,
                "frames": len(sequence),
                "start_frame": sequence.source_start() + sequence.start_frame,
                "start_box": list(sequence.start_box.xywh),
                "visible": int(sequence.visible.sum()),
                "annotation_step": sequence.annotation_step,
            }
            for sequence in one.sequences
        ],
        "problems": list(one.problems),
    }


def _write_sheet(
    path: Path, report: PairReport, clip: SurveyedClip | None, options: PairingOptions, *, overwrite: bool
) -> None:
    """Draw several moments, with the boxes that are known."""
    rgb, aux = report.rgb, report.aux
    if aux is not None and report.modality is None:
        raise DatasetError("what the second stream measures cannot be told", hint="say --modality")
    indices = spread_indices(rgb.frame_count, is_folder=rgb.path.is_dir())
    pairs = pairs_at(
        lambda start: open_pair(
            rgb.path,
            None if aux is None else aux.path,
            modality=report.modality,
            start=start,
            pairing=options,
        ),
        indices,
    )
    marks: dict[int, list[Mark]] = {}
    for number, sequence in enumerate(() if clip is None else clip.sequences, start=1):
        offset = sequence.source_start()
        for pair in pairs:
            row = pair.rgb.index - offset
            if 0 <= row < len(sequence) and sequence.visible[row]:
                mark = Mark(sequence.box(row), "", target_colour(number))
                marks.setdefault(pair.rgb.index, []).append(mark)
    write_sheet(path, contact_sheet(pairs, marks), overwrite=overwrite)
