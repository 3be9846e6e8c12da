"""Training samples from annotated sequences on disk, drawn as the published training draws them.

    source = SequenceSource.open(Path("LasHeR/train"), SequenceConfig(modality=Modality.THERMAL))
    sample = source(seed=0).sample()

The data sets are read as they are distributed (`dmtrack.datasets.layouts`). Pictures are read when a
sample needs them, one by one, so a data set may be of any size.
"""

from __future__ import annotations

import functools
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.layouts import find_sequences
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import ConfigError, DatasetError, InputError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.augmentation import Image8, brightened, greyed, jittered, mirrored
from dmtrack.training.bad_data import NAMED, BadData, SkipLog
from dmtrack.training.frame_choice import FrameChoice, choose_causal
from dmtrack.video.folder import read_picture
from dmtrack.video.frame import Modality
from dmtrack.video.modality import encode
from dmtrack.video.pairing import resize_to_grid

_LOGGER = logging.getLogger(__name__)

#: A box counts as visible when both sides are longer than this, by layout; 0 px for all others.
#: Source: specification 4.
LEAST_SIDE_PX: Final[Mapping[str, float]] = MappingProxyType({"depthtrack": 10.0, "visevent": 5.0})

#: Pictures kept decoded: templates are drawn with replacement and may name one frame twice.
_KEPT_PICTURES: Final = 8


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


class Streams(Enum):
    """Which streams of a sequence a sample shows."""

    RGB = auto()
    AUX = auto()
    BOTH = auto()


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
            line += f", {len(self.faults)} with bad data; first: {' | '.join(self.faults[:NAMED])}"
        return line


@dataclass(frozen=True, slots=True, eq=False)
class SequenceSource:
    """Makes samplers of the sequences of one folder; picklable.

    Attributes:
        folder: Where they are.
        config: How samples are drawn.
        sequences: All that suit, at least one.
        listing: What else was there.
        bad_data: What is done when a sample cannot be made.
    """

    folder: Path
    config: SequenceConfig
    sequences: tuple[UsableSequence, ...]
    listing: Listing
    bad_data: BadData = BadData.SKIP

    @classmethod
    def open(cls, folder: Path, config: SequenceConfig, bad_data: BadData = BadData.SKIP) -> SequenceSource:
        """List the sequences of a folder, in any layout of `dmtrack.datasets.layouts`.

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
        layouts: dict[str, int] = {}
        for entry in usable:
            layouts[entry.sequence.layout] = layouts.get(entry.sequence.layout, 0) + 1
        listing = Listing(layouts, len(found) - len(usable), tuple(faults))
        if not usable:
            wanted = f"{config.modality} pairs" if config.modality else "samples"
            raise DatasetError(
                f"no sequence to draw {wanted} from: {len(found)} found, {len(faults)} with bad data",
                where=folder,
                hint=f"{config.least_frames} frames and {2 * (config.templates + 1) + 1} visible are needed, "
                "as pictures",
            )
        return cls(folder, config, usable, listing, bad_data)

    def __call__(self, seed: int) -> SequenceSampler:
        """Return a sampler whose samples depend on `seed` and the folder's name alone."""
        return SequenceSampler(self, seed)


class SequenceSampler:
    """Draws samples for ever; one that cannot be made is drawn again.

    Args:
        source: The sequences.
        seed: Of everything drawn.
    """

    def __init__(self, source: SequenceSource, seed: int) -> None:
        self._source = source
        self._config = source.config
        # Two folders in one mix have one seed, and must not draw in step.
        self._rng = np.random.default_rng((seed, 2, zlib.crc32(source.folder.name.encode())))
        self._skips = SkipLog(source.bad_data, str(source.folder))
        self._picture: Callable[[int, int, Streams], Image8] = functools.lru_cache(_KEPT_PICTURES)(self._read)

    def sample(self) -> TrainingSample:
        """Draw the next sample.

        Raises:
            InputError: A sample could not be made, and the source's policy is `FATAL`.
            DatasetError: Too many samples in a row could not be made.
        """
        while True:
            try:
                sample = self._attempt()
            except InputError as error:
                self._skips.skip(error)
            else:
                self._skips.made()
                return sample

    def take_skipped(self) -> list[str]:
        """Return one message a sample that could not be made since the last call."""
        return self._skips.take()

    def _attempt(self) -> TrainingSample:
        config, rng = self._config, self._rng
        number = int(rng.integers(len(self._source.sequences)))
        entry = self._source.sequences[number]
        frames = choose_causal(
            entry.visible, config.templates, window=config.window, growth=config.window_growth, rng=rng
        )
        streams = self._streams(entry.sequence)
        crops, search = self._cut(number, frames, streams)
        if rng.random() < config.grey_share:
            crops = [greyed(crop) for crop in crops]
        crops = [
            brightened(crop, rng.uniform(1 - config.brightness, 1 + config.brightness)) for crop in crops
        ]
        cx, cy, w, h = search.from_frame(entry.sequence.box(frames.search))
        if rng.random() < config.flip_share:
            crops, cx = [mirrored(crop) for crop in crops], 1 - cx
        box = np.array((cx, cy, w, h), np.float32)
        return TrainingSample(np.stack(crops[:-1]), crops[-1], box, visible=True)

    def _streams(self, sequence: Sequence) -> Streams:
        """Return what the sample shows."""
        if self._config.modality is not None:
            return Streams.BOTH
        alone = bool(sequence.aux_paths) and not is_recording(sequence.aux_paths)
        if alone and self._rng.random() < self._config.aux_alone_share:
            return Streams.AUX
        return Streams.RGB

    def _cut(self, number: int, frames: FrameChoice, streams: Streams) -> tuple[list[Image8], Crop]:
        """Return the crops, the search crop last, and where that one lies."""
        config, sequence = self._config, self._source.sequences[number].sequence
        crops = []
        for frame in frames.templates:
            image, box = self._shown(number, frame, streams)
            crops.append(Crop.around(box, config.template_factor, config.template_size).cut(image))
        image, box = self._shown(number, frames.search, streams)
        guess = jittered(box, self._rng, scale=config.scale_jitter, centre=config.centre_jitter)
        try:
            search = Crop.around(guess, config.search_factor, config.search_size)
        except InputError as error:
            raise DatasetError(str(error), where=f"{sequence.name} frame {frames.search}") from error
        crops.append(search.cut(image))
        return crops, search

    def _shown(self, number: int, frame: int, streams: Streams) -> tuple[Image8, Box]:
        """Return a picture and the box in it, which must touch the picture."""
        sequence = self._source.sequences[number].sequence
        image, box = self._picture(number, frame, streams), sequence.box(frame)
        try:
            box.require_inside(image.shape[1], image.shape[0])
        except InputError as error:
            raise DatasetError(str(error), where=f"{sequence.name} frame {frame}") from error
        return image, box

    def _read(self, number: int, frame: int, streams: Streams) -> Image8:
        """Read one frame of a sequence: `(H, W, 3)`, or `(H, W, 6)` of both streams.

        Raises:
            DecodeError: A picture is missing or cannot be read.
            FormatError: The second picture cannot be of its modality.
        """
        sequence = self._source.sequences[number].sequence
        # The thermal encoding leaves 8-bit colour as it is, and stretches 16 bit.
        first = encode(read_picture(sequence.rgb_paths[frame]), Modality.THERMAL)
        if sequence.modality is None or streams is Streams.RGB:
            return first
        size = (first.shape[1], first.shape[0])
        second = encode(read_picture(sequence.aux_paths[frame]), sequence.modality)
        second = resize_to_grid(second, size, sequence.modality)
        return second if streams is Streams.AUX else cast(Image8, cv2.merge([first, second]))


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
