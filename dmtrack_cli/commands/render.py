"""`dmtrack render`: boxes from files, drawn on a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.drawing.draw import PALETTE, Layout
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import parse_position
from dmtrack_cli.console import Stopped, err, say_line
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.options import (
    AuxArgument,
    EndOption,
    ModalityChoice,
    Pairing,
    RgbArgument,
    SourceFormatOption,
    StartOption,
)
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.render_run import RenderRun, default_video, read_layers, require_video_name
from dmtrack_cli.sensor_options import Counts, SideTimes
from dmtrack_cli.summary import size_text
from dmtrack_cli.track_preparation import expected_frames
from dmtrack_cli.video_options import VideoCodecs


@grouped
def render(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    boxes: Annotated[
        list[Path] | None,
        typer.Option(
            "--boxes",
            metavar="FILE",
            help="Boxes to draw: MOT, CSV, ground truth or another format of `dmtrack export`, or a results "
            "folder; several get a colour each. Default: ground truth found beside RGB.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Video to write. Default: dmtrack-results/NAME/rendered.mp4.",
            show_default=False,
        ),
    ] = None,
    source: SourceFormatOption = None,
    layout: Annotated[Layout, typer.Option("--layout", help="What the video shows.")] = Layout.SIDE,
    modality: Annotated[
        ModalityChoice, typer.Option("--modality", help="What AUX measures.")
    ] = ModalityChoice.AUTO,
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing video.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
    progress: Annotated[
        ProgressKind, typer.Option("--progress", help="How progress is shown; auto: a bar on a terminal.")
    ] = ProgressKind.AUTO,
    *,
    codecs: VideoCodecs,
    pairing: Pairing,
    times: SideTimes,
    counts: Counts,
) -> None:
    """Draw boxes from files on a recording, without the network.

    The video has the time stamps of RGB. Ctrl-C keeps what was drawn.
    """
    video = require_video_name(output or default_video(rgb))
    layers = read_layers(boxes or (), source, rgb)
    if len(layers) > len(PALETTE):
        say_line("warning", f"{len(layers)} files share {len(PALETTE)} colours", "yellow")
    first, last = (None if position is None else parse_position(position) for position in (start, end))
    gpu = codecs.gpu()
    pairs = open_pair(
        rgb,
        pairing.second(rgb, aux),
        modality=modality.modality,
        start=first,
        end=last,
        pairing=replace(times.applied_to(pairing.options), gpu=gpu),
        encoding=counts.options,
    )
    with pairs:
        run = RenderRun.on(pairs, layers, layout)
        kind = ProgressKind.NONE if quiet else progress
        reporter = make_reporter(kind, expected_frames(pairs.rgb_info, run.first, last), err, "drawing")
        try:
            run.execute(video, reporter, overwrite=overwrite, gpu=gpu)
        except KeyboardInterrupt:
            raise Stopped(f"the first {run.frames} frames are in {video}") from None
    for remark in pairs.remarks:
        say_line("note", remark, "yellow")
    for remark in run.remarks(is_cut=last is not None):
        say_line("warning", remark, "yellow")
    if kind is ProgressKind.JSON:
        say_json("end", file=str(video), frames=run.frames, boxes={one.name: one.drawn for one in layers})
    elif not quiet:
        typer.echo(f"{video}  ({run.frames} frames, {size_text(video.stat().st_size)})")
