"""Boxes from files on a recording: `prepared_rendering` opens and checks, `Rendering.execute` draws."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from dmtrack.atomic import inputs_kept
from dmtrack.boxes.formats import ResultFormat
from dmtrack.drawing.draw import PALETTE, Layout
from dmtrack.drawing.render import (
    BoxLayer,
    Rendered,
    left_out,
    misplaced,
    read_layers,
    render,
    require_video_name,
)
from dmtrack.drawing.trail import VideoOptions
from dmtrack.options import Option, make_exact
from dmtrack.run.codecs import CodecOptions
from dmtrack.run.inputs import expected_frames, first_pair, open_inputs, with_streams
from dmtrack.run.request import AUX, END, MODALITY, RGB, SOURCE_FORMAT, START, TrackRequest
from dmtrack.run.results_folder import default_folder
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import PairedSource
from dmtrack.video.position import Position
from dmtrack.video.second.aux_encoder import EncodingOptions
from dmtrack.video.streams import PairingOptions

VIDEO: Final = "rendered.mp4"


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """Which boxes to draw on which recording."""

    rgb: Annotated[Path, RGB]
    aux: Annotated[Path | None, AUX] = None
    boxes: Annotated[
        tuple[Path, ...],
        Option(
            "--boxes",
            "Boxes to draw: MOT, CSV, ground truth or another format of `dmtrack export`, or a results "
            "folder; repeat it to compare files, each in its own colour. Default: ground truth found "
            "beside RGB.",
            metavar="FILE",
        ),
    ] = ()
    output: Annotated[
        Path | None,
        Option(
            "-o --output",
            "Video to write; .gif or .webp makes an animation of a short part, 360 px high. "
            "Default: rendered.mp4 in dmtrack-results/NAME.",
            metavar="FILE",
        ),
    ] = None
    source: Annotated[ResultFormat | None, SOURCE_FORMAT] = None
    layout: Annotated[Layout, Option("--layout", "What the video shows.")] = Layout.SIDE
    modality: Annotated[Modality | None, MODALITY] = None
    start: Annotated[Position | None, START] = None
    end: Annotated[Position | None, END] = None
    overwrite: Annotated[bool, Option("--overwrite", "Replace an existing video.")] = False
    video: VideoOptions = field(default_factory=VideoOptions)
    codecs: CodecOptions = field(default_factory=CodecOptions)
    pairing: PairingOptions = field(default_factory=PairingOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)

    def __post_init__(self) -> None:
        make_exact(self)

    @property
    def path(self) -> Path:
        """The video to write."""
        return self.output or default_folder(self.rgb) / VIDEO


@dataclass(slots=True)
class Rendering:
    """An opened recording and the boxes to draw on it.

    Attributes:
        request: What was asked for.
        layers: The boxes, a layer for each file.
        pairs: The recording.
        expected_frames: How many frames there are to draw, as far as the file says.
        done: What was drawn; None before the end.
    """

    request: RenderRequest
    layers: list[BoxLayer]
    pairs: PairedSource
    expected_frames: int | None
    _frames: Iterator[FramePair]
    _gpu: int | None
    done: Rendered | None = None

    def execute(self, on_frame: Callable[[int], None] = lambda _: None) -> Rendered:
        """Draw to the end, once; an error leaves what was drawn in the video. Raises as `render` does."""
        self.done = render(
            self._frames,
            self.layers,
            self.request.path,
            self.request.layout,
            self.request.video,
            overwrite=self.request.overwrite,
            gpu=self._gpu,
            pixel_aspect=self.pairs.rgb_info.pixel_aspect,
            on_frame=on_frame,
        )
        return self.done

    @property
    def warnings(self) -> list[str]:
        """What the user may not expect: too few colours, boxes outside the picture, boxes left out."""
        count, said = len(self.layers), []
        if count > len(PALETTE):
            said.append(f"{count} files share {len(PALETTE)} colours")
        said += misplaced(self.layers, self.pairs.rgb_info.size)
        if self.done is not None:
            said += left_out(self.layers, self.done, is_cut=self.request.end is not None)
        return said


@contextlib.contextmanager
def prepared_rendering(request: RenderRequest) -> Iterator[Rendering]:
    """Open a recording and read the boxes to draw on it; nothing is drawn yet.

    Raises:
        InputError: A stream or a file of boxes cannot be used, or there are no boxes.
        ConfigError: An option is invalid.
        OutputError: The video's name is none of an MP4, GIF or WebP.
    """
    asked = TrackRequest(
        request.rgb,
        request.aux,
        modality=request.modality,
        start=request.start,
        end=request.end,
        pairing=request.pairing,
        encoding=request.encoding,
    )
    require_video_name(request.path)
    named, recording = with_streams(asked)
    name = default_folder(request.rgb).name
    clip = None if recording is None else recording.clip
    layers = read_layers(request.boxes, Path(named.rgb), name=name, source=request.source, clip=clip)
    gpu = request.codecs.gpu()
    pairs = open_inputs(replace(named, pairing=replace(named.pairing, gpu=gpu)))
    with inputs_kept(named.rgb, named.aux, *request.boxes), pairs:
        first, rest = first_pair(pairs)
        frames = expected_frames(pairs.rgb_info, first, request.end)
        yield Rendering(request, layers, pairs, frames, chain([first], rest), gpu)


def render_to_file(request: RenderRequest) -> Path:
    """Draw boxes from files on a recording, as `dmtrack render` does, and return the video.

    Raises:
        DmtrackError: See `prepared_rendering` and `Rendering.execute`.
    """
    with prepared_rendering(request) as rendering:
        rendering.execute()
    return request.path
