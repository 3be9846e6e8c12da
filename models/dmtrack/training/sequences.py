"""Training samples from annotated sequences on disk, drawn as the published training draws them.

    source = SequenceSource.open(Path("LasHeR/train"), SequenceConfig(modality=Modality.THERMAL))
    sample = source(0).sample()

The data sets are read as they are distributed (`dmtrack.datasets.layouts`). Pictures are read when a
sample needs them, one by one, so a data set may be of any size.
"""

from __future__ import annotations

import functools
import logging
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.opening import find_sequences
from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import ConfigError, DatasetError, InputError, counted
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.output.record import results_in
from dmtrack.synthetic.sample import SampleShape, TrainingSample, flipped
from dmtrack.training.data import NAMED
from dmtrack.training.results_data import RESULTS_LAYOUT, sequences_of_results
from dmtrack.training.train_config import BadData
from dmtrack.video.frame import Modality
from dmtrack.video.pictures.picture_file import read_picture
from dmtrack.video.second.encoding import encode
from dmtrack.video.second.grid import resize_to_grid

_LOGGER = logging.getLogger(__name__)
#: Decoded pictures that are kept: templates are drawn with replacement and may use one frame twice.
_KEPT_PICTURES: Final = 8
MAX_IN_A_ROW: Final = 50  # after this many failed samples in a row the data are taken to be unusable

Image8 = npt.NDArray[np.uint8]

#: A box counts as visible when both sides are longer than this, by layout; 0 px for all others.
#: Source: specification 4.
LEAST_SIDE_PX: Final[Mapping[str, float]] = MappingProxyType({"depthtrack": 10.0, "visevent": 5.0})


@dataclass(frozen=True, slots=True)
class SequenceConfig(SampleShape):
    """How samples are drawn from sequences. The defaults are the published ones (specification 4)."""

    # Sequences with fewer frames are not used, except results. Nor are those with 2 (T + 1) visible frames
    # or fewer.
    least_frames: int = 20
    window: int = 200  # see `choose_causal`
    window_growth: int = 5  # see `choose_causal`
    # Share of samples whose RGB stream is turned grey, see `greyed`
    grey_share: float = 0.05
    # Share of samples flipped left to right, all crops together. The published training then flips each crop
    # once more on its own, which can undo it (specification 8).
    flip_share: float = 0.5
    brightness: float = 0.2  # each crop is multiplied by a factor in `1 - brightness .. 1 + brightness`
    # One stream: share of the samples of a two-stream sequence that show its second stream, so that a
    # foundation gets to know its appearance. Ours.
    aux_alone_share: float = 0.2

    def __post_init__(self) -> None:
        SampleShape.__post_init__(self)
        if min(self.window - 1, self.window_growth) < 1:
            raise ConfigError(f"window={self.window} or window_growth={self.window_growth} is too small")
        for name in ("grey_share", "flip_share", "brightness", "aux_alone_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)} is not in [0, 1]")


@dataclass(frozen=True, slots=True, eq=False)
class UsableSequence:
    """A sequence from which samples can be drawn, and its frames that show the target, in order."""

    sequence: Sequence
    visible: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Listing:
    """A summary of a folder's sequences."""

    layouts: Mapping[str, int]  # layout name -> usable sequences
    other: int  # sequences that do not suit: too short, too rarely visible, of another modality, or videos
    # A message for each clip that cannot be used, or whose ground truth has boxes without area
    faults: tuple[str, ...]

    def __str__(self) -> str:
        """Return the summary as one line."""
        found = ", ".join(f"{count} {layout}" for layout, count in self.layouts.items())
        line = f"{sum(self.layouts.values())} sequences ({found}), {self.other} do not suit"
        if self.faults:
            line += f", {len(self.faults)} with bad data; first: {' | '.join(self.faults[:NAMED])}"
        return line


def find_usable(
    folder: Path, config: SequenceConfig, bad_data: BadData, pictures: Path | None = None
) -> tuple[tuple[UsableSequence, ...], Listing]:
    """Return the sequences of a folder from which samples can be drawn, at least one, and a summary.

    `folder` is in any layout of `dmtrack.datasets.layouts`, or holds results of `dmtrack track` or of a
    batch, whose frames are written into `pictures`; with None results are not used. `bad_data` says how clips
    that cannot be used and boxes without area are treated. `DatasetError`: no sequence suits; or, with
    `FATAL`, a clip cannot be used or has boxes without area. `FormatError`: with `FATAL`, a ground-truth file
    is malformed.
    """
    faults: list[str] = []
    fatal = bad_data is BadData.FATAL
    if pictures is not None and results_in(folder):
        found = sequences_of_results(folder, pictures)
    else:
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
    # NaN, for an unknown box, compares false.
    large = (sequence.boxes[:, 2:] > least).all(axis=1)
    return np.flatnonzero(sequence.visible & large).astype(np.int64)


def _unsuitable(sequence: Sequence, visible: int, config: SequenceConfig) -> str | None:
    """Return why no samples are drawn from a sequence; None if it is used."""
    if config.modality is not None and sequence.modality is not config.modality:
        return f"its second stream is {sequence.modality or 'missing'}, not {config.modality}"
    needed = [sequence.rgb_paths] if config.modality is None else [sequence.rgb_paths, sequence.aux_paths]
    if any(is_recording(paths) for paths in needed):
        return "frames are drawn at random, which needs pictures, not a video or an event archive"
    if len(sequence) < config.least_frames and sequence.layout != RESULTS_LAYOUT:  # already a selection
        return f"it has {counted(len(sequence), 'frame')}"
    if visible <= 2 * (config.templates + 1):
        return f"the target is visible in {counted(visible, 'frame')}"
    return None


# --- samples ------------------------------------------------------------------------------------


class Streams(Enum):
    """The streams of a sequence that a sample shows."""

    RGB = auto()
    AUX = auto()
    BOTH = auto()


@dataclass(frozen=True, slots=True, eq=False)
class SequenceSource:
    """Makes samplers for the sequences of one folder; picklable."""

    folder: Path
    config: SequenceConfig
    sequences: tuple[UsableSequence, ...]  # at least one
    listing: Listing  # summary of the folder
    bad_data: BadData = BadData.SKIP  # what to do if a sample cannot be made

    @classmethod
    def open(
        cls,
        folder: Path,
        config: SequenceConfig,
        bad_data: BadData = BadData.SKIP,
        pictures: Path | None = None,
    ) -> SequenceSource:
        """Find the sequences of a folder; see `find_usable`, also for errors."""
        return cls(folder, config, *find_usable(folder, config, bad_data, pictures), bad_data)

    def __call__(self, seed: int) -> SequenceSampler:
        """Return a sampler whose samples depend on `seed` and the sequences alone."""
        return SequenceSampler(self, seed)


class SequenceSampler:
    """Draws samples without end; one that cannot be made is replaced by another."""

    def __init__(self, source: SequenceSource, seed: int) -> None:
        self._source = source
        self._config = source.config
        # Two folders of one mix get the same seed, and must not draw in step.
        names = " ".join(entry.sequence.name for entry in source.sequences)
        self._rng = np.random.default_rng((seed, 2, zlib.crc32(names.encode())))
        self._picture: Callable[[int, int, Streams], Image8] = functools.lru_cache(_KEPT_PICTURES)(self._read)

    def sample(self) -> TrainingSample:
        """Draw the next sample.

        `InputError`: a sample could not be made, and the source's policy is `FATAL`; `DatasetError`: too many
        samples in a row could not be made.
        """
        skipped: list[str] = []
        while len(skipped) < MAX_IN_A_ROW:
            try:
                return replace(self._attempt(), skipped=tuple(skipped))
            except InputError as error:
                if self._source.bad_data is BadData.FATAL:
                    raise
                skipped.append(str(error))
        raise DatasetError(
            f"{len(skipped)} samples in a row could not be made, the last: {skipped[-1]}",
            where=self._source.folder,
        )

    def _attempt(self) -> TrainingSample:
        config, rng = self._config, self._rng
        number = int(rng.integers(len(self._source.sequences)))
        entry = self._source.sequences[number]
        frames = choose_causal(
            entry.visible, config.templates, window=config.window, growth=config.window_growth, rng=rng
        )
        streams = self._streams(entry.sequence)
        crops, boxes = self._cut(number, frames, streams)
        if rng.random() < config.grey_share:
            crops = [greyed(crop) for crop in crops]
        crops = [
            brightened(crop, rng.uniform(1 - config.brightness, 1 + config.brightness)) for crop in crops
        ]
        if rng.random() < config.flip_share:
            crops, boxes = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops], flipped(boxes)
        return TrainingSample(np.stack(crops[:-1]), boxes[:-1], crops[-1], boxes[-1], visible=True)

    def _streams(self, sequence: Sequence) -> Streams:
        """Choose the streams that the sample shows."""
        if self._config.modality is not None:
            return Streams.BOTH
        alone = bool(sequence.aux_paths) and not is_recording(sequence.aux_paths)
        if alone and self._rng.random() < self._config.aux_alone_share:
            return Streams.AUX
        return Streams.RGB

    def _cut(
        self, number: int, frames: tuple[int, ...], streams: Streams
    ) -> tuple[list[Image8], npt.NDArray[np.float32]]:
        """Return the crops, search crop last, and the box in each: `(T + 1, 4)`, as fractions."""
        config = self._config
        crops: list[Image8] = []
        boxes = []
        for frame in frames:
            image, box = self._shown(number, frame, streams)
            if len(crops) < config.templates:
                crop = Crop.around(box, config.template_factor, config.template_size)
            else:
                guess = jittered(box, self._rng, scale=config.scale_jitter, centre=config.centre_jitter)
                crop = Crop.around(guess, config.search_factor, config.search_size)
            crops.append(crop.cut(image))
            boxes.append(crop.from_frame(box))
        return crops, np.array(boxes, np.float32)

    def _shown(self, number: int, frame: int, streams: Streams) -> tuple[Image8, Box]:
        """Return a frame's picture and the box in it; `DatasetError` if the box lies outside."""
        sequence = self._source.sequences[number].sequence
        image, box = self._picture(number, frame, streams), sequence.box(frame)
        try:
            box.require_inside(image.shape[1], image.shape[0])
        except InputError as error:
            raise DatasetError(str(error), where=f"{sequence.name} frame {frame}") from error
        return image, box

    def _read(self, number: int, frame: int, streams: Streams) -> Image8:
        """Read a frame of one stream as `(H, W, 3)`, or of both as `(H, W, 6)`."""
        sequence = self._source.sequences[number].sequence
        # The thermal encoding leaves 8-bit colour as it is, and stretches 16-bit counts.
        first = encode(read_picture(sequence.rgb_paths[frame]), Modality.THERMAL)
        if sequence.modality is None or streams is Streams.RGB:
            return first
        size = (first.shape[1], first.shape[0])
        second = encode(read_picture(sequence.aux_paths[frame]), sequence.modality)
        second = resize_to_grid(second, size, sequence.modality)
        return second if streams is Streams.AUX else cast(Image8, cv2.merge([first, second]))


# --- choice of frames and augmentation -----------------------------------------------------------


def choose_causal(
    visible: npt.NDArray[np.integer], templates: int, *, window: int, growth: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """Choose a base frame, templates from the window before it and a search frame from the one after.

    `visible` are the frames that show the target, in order: at least 2 for one template, 3 for more, else
    `ValueError`. Templates are drawn, with replacement, from `window` frames before the base; the search
    frame is one of the `window - 1` after it. Both windows grow by `growth` frames until each holds one.
    Returned are the templates' frames, oldest first and the base last, and the search frame.

    Source: specification 4, "causal" sampling. A base frame without any visible one before or after it
    can never make a sample, so it is not drawn.
    """
    first = 0 if templates == 1 else 1
    if len(visible) < first + 2:
        raise ValueError(f"{len(visible)} visible frames are too few for {templates} templates")
    place = int(rng.integers(first, len(visible) - 1))
    base = int(visible[place])
    while True:
        begin = int(np.searchsorted(visible, base - window))
        end = int(np.searchsorted(visible, base + window))
        if begin <= place - first and end > place + 1:
            break
        window += growth
    earlier = visible[rng.integers(begin, place, templates - 1)] if templates > 1 else ()
    search = visible[rng.integers(place + 1, end)]
    return (*sorted(int(frame) for frame in earlier), base, int(search))


def jittered(box: Box, rng: np.random.Generator, *, scale: float, centre: float) -> Box:
    """Return a jittered box around which to cut the search crop, as if the tracker were slightly off.

    Width and height are multiplied by `exp(scale * n)`, with an n from a normal distribution for each. The
    centre moves by `centre * sqrt(w' h') * (u - 0.5)` along each axis, u uniform in [0, 1).
    """
    w, h = (np.array((box.w, box.h)) * np.exp(scale * rng.standard_normal(2))).tolist()
    dx, dy = (centre * math.sqrt(w * h) * (rng.random(2) - 0.5)).tolist()
    return Box.from_cxcywh(box.cx + dx, box.cy + dy, w, h)


def brightened(crop: Image8, factor: float) -> Image8:
    """Multiply `(H, W, C)` by `factor`, all channels alike, and clip."""
    return cast(Image8, cv2.convertScaleAbs(crop, alpha=factor))


def greyed(crop: Image8) -> Image8:
    """Turn the first three channels of `(H, W, C)` grey.

    The second stream stays as it is: its colours mean depth or polarity. (The published augmentation fails on
    six channels and is never applied.)
    """
    grey = cv2.cvtColor(cv2.cvtColor(crop[..., :3], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.concatenate((cast(Image8, grey), crop[..., 3:]), axis=2)
