"""`render`: draw boxes from files on a recording, in the colours of their targets or of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import Final

import numpy as np

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.reading import read_results, result_files
from dmtrack.boxes.results import RecordingResults, ResultsGatherer, of_another_size
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.datasets.layouts import Clip
from dmtrack.datasets.opening import open_clip
from dmtrack.datasets.sequence import Sequence as AnnotatedSequence
from dmtrack.drawing.animation import HEIGHT_PX, AnimationWriter
from dmtrack.drawing.animation import SUFFIXES as ANIMATIONS
from dmtrack.drawing.draw import Colour, Layout, LegendEntry, Mark, Trail, compose, target_colour
from dmtrack.drawing.trail import PLAIN, Trails, VideoOptions
from dmtrack.drawing.video import VideoWriter
from dmtrack.errors import BoxError, FormatError, InputError, OutputError
from dmtrack.video.frame import FramePair

_SUFFIXES: Final = (".mp4", *ANIMATIONS)


@dataclass(frozen=True, slots=True)
class BoxLayer:
    """The boxes of one file, as they are drawn."""

    name: str  # name in the legend
    results: RecordingResults  # the boxes
    # Colour of all its boxes; None gives each target its own, as `dmtrack track` does
    colour: Colour | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of a rendering."""

    frames: int  # number of frames drawn
    last_index: int  # index of the last one
    boxes: dict[str, int]  # number of boxes drawn, by the name of the layer


def require_video_name(path: Path) -> Path:
    """Return the path of a video to write; `OutputError` unless it names an MP4, GIF or WebP file."""
    if path.suffix.lower() not in _SUFFIXES:
        hint = f"give a name that ends in {', '.join(_SUFFIXES)}"
        raise OutputError("the video is an MP4, GIF or WebP file", where=path, hint=hint)
    return path


def read_layers(
    given: Sequence[Path],
    rgb: Path,
    *,
    name: str,
    source: ResultFormat | None = None,
    clip: Clip | None = None,
) -> list[BoxLayer]:
    """Read the boxes to draw, one layer a file: one file gets a colour a target, several a colour a file.

    Without files, the ground truth beside the recording is used; that of a `clip` belongs to the frames that
    its data set defines, as far as it fits. `name` selects the recording in a file with several; `source`
    None detects the format. `FormatError`: a file cannot be read, or it is unclear which of its recordings to
    draw; `BoxError`: no file was given, and there is no ground truth.
    """
    paths = given or find_ground_truth(rgb)
    if not paths:
        raise BoxError(
            "what is to be drawn? No ground truth lies beside this input",
            where=rgb,
            hint="give --boxes FILE, or a results folder",
        )
    found = []
    if clip is not None and not given and source is None:
        with suppress(InputError):  # what does not fit is read below, with one row per frame, or reported
            found = [_annotated(sequence) for sequence in open_clip(clip)]
    if not found:
        found = [_recording_named(path, read_results(_result_file(path), source), name) for path in paths]
    if len(found) == 1:
        return [BoxLayer(paths[0].name, found[0])]
    layers = zip(_distinct_names(paths), found, strict=True)
    return [
        BoxLayer(file, results, target_colour(number))
        for number, (file, results) in enumerate(layers, start=1)
    ]


def render(
    pairs: Iterable[FramePair],
    layers: Sequence[BoxLayer],
    video: Path,
    layout: Layout = Layout.SIDE,
    options: VideoOptions = PLAIN,
    *,
    overwrite: bool = False,
    gpu: int | None = None,
    pixel_aspect: Fraction = Fraction(1),
    on_frame: Callable[[int], None] = lambda _: None,
) -> Rendered:
    """Draw boxes on every pair into a video with RGB's time stamps; an interrupted video is kept, too.

    `video` is `.mp4`, or `.gif` or `.webp` for a short part; the CUDA device `gpu` encodes it, if it can.
    `pixel_aspect` is the displayed width of an RGB pixel over its height. `on_frame` is called with the
    number of frames drawn; an exception of it ends the video. `InputError`: the recording is damaged beyond
    use; `OutputError`: the video exists, is not MP4, GIF or WebP, is too long for an animation, or cannot be
    written.
    """
    legend = [LegendEntry(layer.name, layer.colour) for layer in layers if layer.colour is not None]
    targets_of = [{frame.frame_index: frame.targets for frame in layer.results.frames} for layer in layers]
    alone = [len(layer.results.target_ids) == 1 for layer in layers]
    steps = [_usual_step(layer.results) for layer in layers]
    drawn = dict.fromkeys((layer.name for layer in layers), 0)
    trails = Trails(options.trail_frames)
    frames, last_index = 0, -1
    writer: VideoWriter | AnimationWriter
    height_px = options.height_px
    if require_video_name(video).suffix.lower() in ANIMATIONS:
        writer, height_px = AnimationWriter(video, overwrite=overwrite), height_px or HEIGHT_PX
    else:
        writer = VideoWriter(video, overwrite=overwrite, gpu=gpu)
    writer.pixel_aspect = pixel_aspect

    def trails_at(index: int) -> list[Trail]:
        for number, (layer, targets) in enumerate(zip(layers, targets_of, strict=True)):
            for target in targets.get(index, ()):
                trails.note(index, target, layer.colour, number, steps[number])
        return trails.at(index)

    try:
        for pair in pairs:
            if not frames:
                for index in range(pair.rgb.index - options.trail_frames, pair.rgb.index):
                    trails_at(index)  # so that trails begin before the first frame drawn
            last_index = pair.rgb.index
            marks: list[Mark] = []
            for layer, targets, is_alone in zip(layers, targets_of, alone, strict=True):
                found = targets.get(last_index, ())
                marks += [Mark.of(target, layer.colour, is_alone=is_alone) for target in found]
                drawn[layer.name] += len(found)
            picture = compose(pair, marks, layout, legend, trails_at(last_index), height_px)
            writer.write(picture, pair.rgb.pts, pair.rgb.time_base)
            frames += 1
            on_frame(frames)
    finally:
        writer.close()
    return Rendered(frames, last_index, drawn)


def _usual_step(results: RecordingResults) -> int:
    """Return the usual distance of frames with boxes: more than 1 in sparse ground truth."""
    indices = [frame.frame_index for frame in results.frames if frame.targets]
    return median_low([later - index for index, later in pairwise(indices)] or [1])


def misplaced(layers: Sequence[BoxLayer], size: tuple[int, int]) -> list[str]:
    """Return a sentence for each layer whose boxes are for pictures of another `size` (width, height)."""
    sentences = []
    for layer in layers:
        rows, said = layer.results.rows, of_another_size(layer.results.size, size)
        outside = sum(not row.box.share_inside(*size) for row in rows)
        if said:
            sentences.append(f"{layer.name}: {said}")
        elif outside:
            here = "{}x{}".format(*size)
            sentences.append(f"{layer.name}: {outside} of {len(rows)} boxes lie outside the {here} picture")
    return sentences


def left_out(layers: Sequence[BoxLayer], rendered: Rendered, *, is_cut: bool = False) -> list[str]:
    """Return a sentence for each layer with boxes that were not drawn."""
    sentences = []
    for layer in layers:
        indices = [frame.frame_index for frame in layer.results.frames if frame.targets]
        beyond = sum(index > rendered.last_index for index in indices)
        if not rendered.boxes[layer.name]:
            span = f" (frames {indices[0]} to {indices[-1]})" if indices else ""
            sentences.append(f"{layer.name}: none of its boxes{span} is in the frames that were drawn")
        elif beyond and not is_cut:
            last = rendered.last_index
            sentences.append(f"{layer.name}: {beyond} of its frames lie after the last frame, {last}")
    return sentences


def _annotated(sequence: AnnotatedSequence) -> RecordingResults:
    gatherer = ResultsGatherer()
    for row in np.flatnonzero(sequence.visible).tolist():
        gatherer.add(sequence.source_start + row, 1, sequence.box(row))
    return gatherer.results(sequence.name)


def _result_file(path: Path) -> Path:
    """Return the file at `path`, or the one in the results folder there."""
    files = result_files(path)
    if len(files) > 1 and files[0].parent != path:
        raise FormatError(
            f"holds the results of {len(files)} recordings",
            where=path,
            hint=f"name one of them, such as {files[0].parent}",
        )
    return files[0]


def _recording_named(path: Path, found: tuple[RecordingResults, ...], name: str) -> RecordingResults:
    """Return the only recording of a file, or the one with that name."""
    if len(found) == 1:
        return found[0]
    for results in found:
        if results.name == name:
            return results
    names = ", ".join(results.name for results in found[:5])
    raise FormatError(
        f"holds {len(found)} recordings, none called {name!r}: {names}",
        where=path,
        hint="write them apart with dmtrack export --format json -o FOLDER/",
    )


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest path endings that tell the paths apart."""
    parts = [path.absolute().parts for path in paths]
    for length in range(1, max(len(one) for one in parts) + 1):
        names = [str(Path(*one[-length:])) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({number})" for number, path in enumerate(paths, start=1)]
