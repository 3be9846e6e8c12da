"""From results to what is drawn on a frame: marks in the colours of targets, or of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dmtrack.boxes.results import RecordingResults
from dmtrack.drawing.draw import Colour, LegendEntry, Mark, target_colour
from dmtrack.tracking.result import TrackedBox


@dataclass(slots=True)
class BoxLayer:
    """The results of one file, as they are drawn.

    Attributes:
        name: What the legend calls it.
        results: What is drawn.
        colour: Of all its boxes; None gives each target its own, as `dmtrack track` does.
        drawn: Boxes drawn so far.
    """

    name: str
    results: RecordingResults
    colour: Colour | None = None
    drawn: int = 0
    _targets: dict[int, tuple[TrackedBox, ...]] = field(init=False)
    _is_alone: bool = field(init=False)

    def __post_init__(self) -> None:
        self._targets = {frame.frame_index: frame.targets for frame in self.results.frames}
        self._is_alone = len(self.results.target_ids) == 1

    def marks(self, frame_index: int) -> list[Mark]:
        """Return the boxes of a frame, maybe none."""
        targets = self._targets.get(frame_index, ())
        self.drawn += len(targets)
        return [Mark.of(target, self.colour, is_alone=self._is_alone) for target in targets]


def layers_of(files: Sequence[tuple[Path, RecordingResults]]) -> list[BoxLayer]:
    """Return a layer a file: one alone with a colour a target, several with a colour a file.

    Args:
        files: The file or folder that the legend names, and what it holds.
    """
    names = _distinct([path for path, _ in files])
    if len(files) == 1:
        return [BoxLayer(names[0], files[0][1])]
    return [
        BoxLayer(name, results, target_colour(number))
        for number, (name, (_, results)) in enumerate(zip(names, files, strict=True), start=1)
    ]


def legend_of(layers: Sequence[BoxLayer]) -> list[LegendEntry]:
    """Return the legend of several layers; one alone needs none."""
    return [LegendEntry(layer.name, layer.colour) for layer in layers if layer.colour is not None]


def _distinct(paths: list[Path]) -> list[str]:
    """Return the shortest ends of the paths that tell them apart."""
    parts = [path.absolute().parts for path in paths]
    for length in range(1, max(len(one) for one in parts) + 1):
        names = [str(Path(*one[-length:])) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path.name} ({number})" for number, path in enumerate(paths, start=1)]
