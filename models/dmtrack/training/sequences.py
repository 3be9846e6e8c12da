"""What samples of sequences are like, and which sequences of a folder training can draw from."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import ConfigError, DatasetError
from dmtrack.training.config import BadData
from dmtrack.video.frame import Modality

_LOGGER = logging.getLogger(__name__)
#: How many of the bad clips a summary names.
_NAMED = 3

#: A box counts as visible when both sides are longer than this, by layout; 0 px for all others.
#: Source: specification 4.
LEAST_SIDE_PX: Final[Mapping[str, float]] = MappingProxyType({"depthtrack": 10.0, "visevent": 5.0})


@dataclass(frozen=True, slots=True)
class SequenceConfig:
    """How samples are drawn from sequences. The defaults are the published ones (specification 3.1, 4).

    Attributes:
        template_size: Side of a template in px. Published: 128.
        search_size: Side of the search crop in px. Published: 256.
        templates: Templates T a sample. Published: 3; 2 for depth.
        modality: Second stream of the pairs; None for one stream of three channels.
        template_factor: Template side over `sqrt(w h)`.
        search_factor: Search side over `sqrt(w h)` of the jittered box.
        least_frames: A sequence with fewer frames is not used. Nor is one with 2 (T + 1) visible frames
            or fewer.
        window: See `choose_causal`.
        window_growth: See `choose_causal`.
        scale_jitter: See `jittered`; of the search box only.
        centre_jitter: See `jittered`; of the search box only.
        grey_share: Share of samples whose colour stream is turned grey (it really is, see `greyed`).
        flip_share: Share of samples flipped left to right. Published: once jointly, then each crop again
            on its own, which would undo it; ours flips jointly only (specification 8).
        brightness: Each crop is multiplied by a factor in `1 - brightness .. 1 + brightness`.
        aux_alone_share: One stream: share of the samples of a two-stream sequence that show its second
            stream, so that a foundation knows how that looks. Ours.
    """

    template_size: int = 128
    search_size: int = 256
    templates: int = 3
    modality: Modality | None = None
    template_factor: float = 2.0
    search_factor: float = 4.0
    least_frames: int = 20
    window: int = 200
    window_growth: int = 5
    scale_jitter: float = 0.25
    centre_jitter: float = 3.0
    grey_share: float = 0.05
    flip_share: float = 0.5
    brightness: float = 0.2
    aux_alone_share: float = 0.2

    def __post_init__(self) -> None:
        if self.templates < 1:
            raise ConfigError(f"a sample needs at least one template, not {self.templates}")
        if min(self.window - 1, self.window_growth) < 1:
            raise ConfigError(f"window={self.window} or window_growth={self.window_growth} is too small")
        for name in ("grey_share", "flip_share", "brightness", "aux_alone_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not in [0, 1]")


@dataclass(frozen=True, slots=True, eq=False)
class UsableSequence:
    """A sequence that samples can be drawn from, and its frames that show the target, in order."""

    sequence: Sequence
    visible: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder turned out to hold.

    Attributes:
        layouts: Layout name -> usable sequences.
        other: Sequences that do not suit: too short, too rarely visible, of another modality, or videos.
        faults: One message a clip that cannot be used, or whose ground truth has boxes without area.
    """

    layouts: Mapping[str, int]
    other: int
    faults: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in one line."""
        found = ", ".join(f"{count} {layout}" for layout, count in self.layouts.items())
        line = f"{sum(self.layouts.values())} sequences ({found}), {self.other} do not suit"
        if self.faults:
            line += f", {len(self.faults)} with bad data; first: {' | '.join(self.faults[:_NAMED])}"
        return line


def find_usable(
    folder: Path, config: SequenceConfig, bad_data: BadData
) -> tuple[tuple[UsableSequence, ...], Listing]:
    """Return the sequences of a folder that samples can be drawn from, at least one, and what else is there.

    Args:
        folder: In any layout of `dmtrack.datasets.layouts`.
        config: What a sample needs.
        bad_data: What is done about clips that cannot be used and boxes without area.

    Raises:
        DatasetError: No sequence suits; or, with `FATAL`, a clip cannot be used or has boxes without
            area.
        FormatError: With `FATAL`: a ground-truth file is malformed.
    """
    faults: list[str] = []
    fatal = bad_data is BadData.FATAL
    found = find_sequences(folder, on_error=None if fatal else lambda error: faults.append(str(error)))
    for error in _sizeless(found):
        if fatal:
            raise error
        faults.append(str(error))
    usable = tuple(_usable(found, config))
    if not usable:
        wanted = f"{config.modality} pairs" if config.modality else "samples"
        raise DatasetError(
            f"no sequence to draw {wanted} from: {len(found)} found, {len(faults)} with bad data",
            where=folder,
            hint=f"each needs {config.least_frames} pictures, {2 * (config.templates + 1) + 1} with a box",
        )
    layouts = Counter(entry.sequence.layout for entry in usable)
    return usable, Listing(dict(layouts), len(found) - len(usable), tuple(faults))


def _sizeless(sequences: Iterable[Sequence]) -> Iterator[DatasetError]:
    for sequence in sequences:
        frames = sequence.sizeless_frames
        if frames:
            yield DatasetError(
                f"{len(frames)} boxes have a place but no area, first in frame {frames[0]}",
                where=f"{sequence.name} ({sequence.rgb_paths[0].parent.parent})",
            )


def _usable(sequences: Iterable[Sequence], config: SequenceConfig) -> Iterator[UsableSequence]:
    for sequence in sequences:
        visible = visible_frames(sequence)
        reason = _unsuitable(sequence, len(visible), config)
        if reason is None:
            yield UsableSequence(sequence, visible)
        else:
            _LOGGER.info("%s: not used, %s", sequence.name, reason)


def visible_frames(sequence: Sequence) -> npt.NDArray[np.int64]:
    """Return the frames that count as showing the target, in order (see `LEAST_SIDE_PX`)."""
    least = LEAST_SIDE_PX.get(sequence.layout, 0.0)
    # NaN, where no box is known, compares false.
    large = (sequence.boxes[:, 2:] > least).all(axis=1)
    return np.flatnonzero(sequence.visible & large).astype(np.int64)


def _unsuitable(sequence: Sequence, visible: int, config: SequenceConfig) -> str | None:
    """Say why no samples are drawn from a sequence; None when they are."""
    if config.modality is not None and sequence.modality is not config.modality:
        return f"its second stream is {sequence.modality or 'missing'}, not {config.modality}"
    needed = [sequence.rgb_paths] if config.modality is None else [sequence.rgb_paths, sequence.aux_paths]
    if any(is_recording(paths) for paths in needed):
        return "frames are drawn at random, which needs pictures, not a video or an event archive"
    if len(sequence) < config.least_frames:
        return f"it has {len(sequence)} frames"
    if visible <= 2 * (config.templates + 1):
        return f"the target is visible in {visible} frames"
    return None
