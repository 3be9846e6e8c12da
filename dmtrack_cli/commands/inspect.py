"""`dmtrack inspect`: what is in the files, and whether and how they pair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dmtrack.datasets.survey import DatasetRecording
from dmtrack.output.record import to_json
from dmtrack.run.recording_report import RecordingReport, inspect_recording
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
from dmtrack_cli.options import AuxArgument, JsonOption, ModalityOption, RgbArgument


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
    modality: ModalityOption = None,
    *,
    pairing: PairingOptions,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the files, and whether and how they pair.

    RGB may be a video, a folder of pictures, a recording of a data set, or a folder of many.
    """
    found = inspect_recording(
        rgb,
        pairing.second(rgb, aux),
        modality=modality,
        pairing=pairing,
        sheet=sheet,
        overwrite=overwrite,
    )
    if found.pair is None:
        _say_root(rgb, found.clips, as_json=as_json)
    elif as_json:
        values = {"report": found.pair, "ground_truth": found.ground_truth, "containers": found.containers}
        shown = {name: to_json(value) for name, value in values.items()}
        data_set = _clip_json(found.clips[0]) if found.clips else None
        typer.echo(json.dumps(shown | {"data_set": data_set}, indent=2))
    else:
        _say(found)
        if sheet is not None:
            typer.echo(f"{sheet}")


def _say(found: RecordingReport) -> None:
    for clip in found.clips:
        out.print(clip_table(clip), "")
    if found.pair is None:
        return
    out.print(streams_table(found.pair, found.containers), "")
    for container in found.containers:
        if container is not None and has_more_to_say(container):
            out.print(tracks_table(container), "")
    out.print(facts_table(found.pair, found.ground_truth))
    for problem in (problem for clip in found.clips for problem in clip.problems):
        out.print(Text.assemble(("problem: ", "bold red"), problem))
    for warning in found.pair.warnings:
        out.print(Text.assemble(("warning: ", "yellow"), warning))


def _say_root(root: Path, clips: tuple[DatasetRecording, ...], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"recordings": [_clip_json(clip) for clip in clips]}, indent=2))
        return
    out.print(clips_table(clips, root))
    for clip in clips:
        for problem in clip.problems:
            out.print(Text.assemble(("problem: ", "bold red"), f"{clip.clip.folder.name}: {problem}"))
    out.print(f"{len(clips)} recordings; name one to see more, or track all with dmtrack batch")


def _clip_json(one: DatasetRecording) -> dict[str, object]:
    clip = one.clip
    return {
        "folder": str(clip.folder),
        "layout": clip.layout.name,
        "modality": None if clip.second is None else to_json(clip.layout.modality),
        "rgb": str(clip.rgb),
        "aux": None if clip.second is None else str(clip.second),
        "rgb_pictures": one.pictures[0],
        "aux_pictures": one.pictures[1],
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
