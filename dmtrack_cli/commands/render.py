"""`dmtrack render`: boxes from files, drawn on a recording."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from dmtrack.atomic import inputs_kept
from dmtrack.drawing.draw import PALETTE, Layout
from dmtrack.drawing.render import left_out, misplaced, read_layers, require_video_name
from dmtrack.drawing.render import render as draw_boxes
from dmtrack.drawing.trail import VideoOptions
from dmtrack.errors import counted
from dmtrack.options import Option
from dmtrack.run.codecs import CodecOptions
from dmtrack.run.inputs import expected_frames, first_pair, with_streams
from dmtrack.run.request import TrackRequest
from dmtrack.run.results_folder import default_folder
from dmtrack.video.aux_encoder import EncodingOptions
from dmtrack.video.pairing import open_pair
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.console import err, out, say_line, stopped_after
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.option_groups import grouped
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.shared_options import (
    AuxArgument,
    EndOption,
    ModalityOption,
    ProgressOption,
    QuietOption,
    RgbArgument,
    SourceFormatOption,
    StartOption,
)
from dmtrack_cli.summary import size_text

VIDEO: Final = "rendered.mp4"


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
            "folder; repeat it to compare files, each in its own colour. Default: ground truth found "
            "beside RGB.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option(
            "-o --output",
            "Video to write; .gif or .webp makes an animation of a short part, 360 px high. "
            "Default: rendered.mp4 in dmtrack-results/NAME.",
            metavar="FILE",
        ),
    ] = None,
    source: SourceFormatOption = None,
    layout: Annotated[Layout, Option("--layout", "What the video shows.")] = Layout.SIDE,
    modality: ModalityOption = None,
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, Option("--overwrite", "Replace an existing video.")] = False,
    quiet: QuietOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
    *,
    video_options: VideoOptions,
    codecs: CodecOptions,
    pairing: PairingOptions,
    encoding: EncodingOptions,
) -> None:
    """Draw boxes from files on a recording, without the network.

    The video has the time stamps of RGB. Ctrl-C keeps what was drawn.
    """
    folder = default_folder(rgb)
    video = require_video_name(output or folder / VIDEO)
    named, recording = with_streams(TrackRequest(rgb, aux, modality=modality, pairing=pairing))
    clip = None if recording is None else recording.clip
    layers = read_layers(boxes or (), Path(named.rgb), name=folder.name, source=source, clip=clip)
    if len(layers) > len(PALETTE):
        say_line("warning", f"{len(layers)} files share {len(PALETTE)} colours", "yellow")
    gpu = codecs.gpu()
    kind = ProgressKind.NONE if quiet else progress
    drawn = 0

    pairs = open_pair(
        named.rgb,
        named.aux,
        modality=named.modality,
        start=start,
        end=end,
        pairing=replace(pairing, gpu=gpu),
        encoding=encoding,
    )
    with inputs_kept(named.rgb, named.aux, *(boxes or ())), pairs:
        first, rest = first_pair(pairs)
        reporter = make_reporter(kind, expected_frames(pairs.rgb_info, first, end), err, "drawing")
        with GracefulStop() as stop, reporter:

            def on_frame(frames: int) -> None:
                nonlocal drawn
                drawn = frames
                reporter.advance(None)
                stop.check()

            try:
                done = draw_boxes(
                    chain([first], rest),
                    layers,
                    video,
                    layout,
                    video_options,
                    overwrite=overwrite,
                    gpu=gpu,
                    pixel_aspect=pairs.rgb_info.pixel_aspect,
                    on_frame=on_frame,
                )
            except KeyboardInterrupt:
                raise stopped_after(drawn, "frame", video) from None
    for remark in pairs.remarks:
        say_line("note", remark, "yellow")
    doubts = misplaced(layers, pairs.rgb_info.size)
    for remark in (*doubts, *left_out(layers, done, is_cut=end is not None)):
        say_line("warning", remark, "yellow")
    if kind is ProgressKind.JSON:
        say_json("end", file=str(video), frames=done.frames, boxes=done.boxes)
    elif not quiet:
        size = size_text(video.stat().st_size)
        out.print(Text(f"{video}  ({counted(done.frames, 'frame')}, {size})"), soft_wrap=True)
