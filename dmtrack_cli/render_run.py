"""One run of `dmtrack render`: boxes from files, drawn on a recording. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.reading import read_results, result_files
from dmtrack.boxes.results import RecordingResults
from dmtrack.datasets.ground_truth import find_ground_truth
from dmtrack.drawing.draw import Layout, compose
from dmtrack.drawing.marking import BoxLayer, layers_of, legend_of
from dmtrack.drawing.video import VideoWriter
from dmtrack.errors import BoxError, FormatError, OutputError
from dmtrack.run.folder import default_folder
from dmtrack.run.session import first_pair
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairedSource
from dmtrack_cli.interrupt import GracefulStop
from dmtrack_cli.progress import Reporter

_SUFFIX = ".mp4"
VIDEO = "rendered.mp4"


@dataclass(slots=True)
class RenderRun:
    """What is drawn on what.

    Attributes:
        first: The first frame, already read.
        rest: The frames after it.
        layers: The boxes, a layer a file.
        layout: What the pictures show.
        frames: Frames drawn so far.
        last_index: Index of the last of them.
    """

    first: FramePair
    rest: Iterator[FramePair]
    layers: Sequence[BoxLayer]
    layout: Layout
    frames: int = 0
    last_index: int = -1

    @classmethod
    def on(cls, pairs: PairedSource, layers: Sequence[BoxLayer], layout: Layout) -> RenderRun:
        """Read the first frame of a recording.

        Raises:
            InputError: There is none.
        """
        first, rest = first_pair(pairs)
        return cls(first, rest, layers, layout)

    def execute(self, path: Path, reporter: Reporter, *, overwrite: bool, gpu: int | None = None) -> None:
        """Draw to the end. However it ends, the video holds what was drawn.

        Args:
            path: The video.
            reporter: Is told of every frame.
            overwrite: Replace an existing video.
            gpu: Number of the CUDA device that is to encode, if it can.

        Raises:
            KeyboardInterrupt: The person stopped it.
            InputError: The recording is damaged beyond use.
            OutputError: The video exists, or could not be written.
        """
        legend = legend_of(self.layers)
        writer = VideoWriter(path, overwrite=overwrite, gpu=gpu)
        try:
            with GracefulStop() as stop, reporter:
                for pair in chain([self.first], self.rest):
                    index = pair.rgb.index
                    marks = [mark for layer in self.layers for mark in layer.marks(index)]
                    writer.write(compose(pair, marks, self.layout, legend), pair.rgb.pts, pair.rgb.time_base)
                    self.frames, self.last_index = self.frames + 1, index
                    reporter.advance(None)
                    stop.check()
        finally:
            writer.close()

    def remarks(self, *, is_cut: bool) -> Iterator[str]:
        """Say what was not drawn, a sentence a layer.

        Args:
            is_cut: The person chose where the video ends.
        """
        for layer in self.layers:
            indices = [frame.frame_index for frame in layer.results.frames if frame.targets]
            beyond = sum(index > self.last_index for index in indices)
            if not layer.drawn:
                span = f" (frames {indices[0]} to {indices[-1]})" if indices else ""
                yield f"{layer.name}: none of its boxes{span} is in the frames that were drawn"
            elif beyond and not is_cut:
                yield f"{layer.name}: {beyond} of its frames lie after the last frame, {self.last_index}"


def default_video(rgb: Path) -> Path:
    """Return `dmtrack-results/NAME/rendered.mp4`."""
    return default_folder(rgb) / VIDEO


def require_video_name(path: Path) -> Path:
    """Return the path of a video to write.

    Raises:
        OutputError: It is no name of an MP4 file.
    """
    if path.suffix.lower() != _SUFFIX:
        raise OutputError("the video is an MP4 file", where=path, hint=f"give a name that ends in {_SUFFIX}")
    return path


def read_layers(given: Sequence[Path], source: ResultFormat | None, rgb: Path) -> list[BoxLayer]:
    """Read the boxes: those given, else the ground truth found beside the recording.

    Raises:
        FormatError: A file cannot be read, or it does not say which of its recordings is meant.
        BoxError: Nothing was given, and there is no ground truth.
    """
    paths = given or find_ground_truth(rgb)
    if not paths:
        raise BoxError(
            "what is to be drawn? No ground truth lies beside this input",
            where=rgb,
            hint="give --boxes FILE, or a results folder",
        )
    return layers_of([(path, _meant(path, read_results(_own_file(path), source), rgb)) for path in paths])


def _own_file(path: Path) -> Path:
    """Return the file at `path`, or in the results folder there."""
    files = result_files(path)
    if len(files) > 1:
        raise FormatError(
            f"holds the results of {len(files)} recordings",
            where=path,
            hint=f"name one of them, such as {files[0].parent}",
        )
    return files[0]


def _meant(path: Path, found: tuple[RecordingResults, ...], rgb: Path) -> RecordingResults:
    """Return the one recording of a file, or the one that is called like this one."""
    if len(found) == 1:
        return found[0]
    name = default_folder(rgb).name
    for results in found:
        if results.name == name:
            return results
    names = ", ".join(results.name for results in found[:5])
    raise FormatError(
        f"holds {len(found)} recordings, none called {name!r}: {names}",
        where=path,
        hint="write them apart with dmtrack export --format json -o FOLDER/",
    )
