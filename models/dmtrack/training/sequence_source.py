"""Training samples from annotated sequences on disk, drawn as the published training draws them.

    source = SequenceSource.open(Path("LasHeR/train"), SequenceConfig(modality=Modality.THERMAL))
    sample = source(0).sample()

The data sets are read as they are distributed (`dmtrack.datasets.layouts`). Pictures are read when a
sample needs them, one by one, so a data set may be of any size.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.sequence import Sequence, is_recording
from dmtrack.errors import DatasetError, InputError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import Crop
from dmtrack.synthetic.annotation import flipped
from dmtrack.synthetic.sample import TrainingSample
from dmtrack.training.config import BadData
from dmtrack.training.data import SkipLog
from dmtrack.training.sequences import Listing, SequenceConfig, UsableSequence, find_usable
from dmtrack.video.encoding import encode
from dmtrack.video.frame import Modality
from dmtrack.video.grid import resize_to_grid
from dmtrack.video.picture_file import read_picture

#: Pictures kept decoded: templates are drawn with replacement and may name one frame twice.
_KEPT_PICTURES: Final = 8

Image8 = npt.NDArray[np.uint8]


class Streams(Enum):
    """Which streams of a sequence a sample shows."""

    RGB = auto()
    AUX = auto()
    BOTH = auto()


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
        """List the sequences of a folder; see `find_usable` for the errors."""
        return cls(folder, config, *find_usable(folder, config, bad_data), bad_data)

    def __call__(self, seed: int) -> SequenceSampler:
        """Return a sampler whose samples depend on `seed` and the sequences alone."""
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
        names = " ".join(entry.sequence.name for entry in source.sequences)
        self._rng = np.random.default_rng((seed, 2, zlib.crc32(names.encode())))
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
        """Return what the sample shows."""
        if self._config.modality is not None:
            return Streams.BOTH
        alone = bool(sequence.aux_paths) and not is_recording(sequence.aux_paths)
        if alone and self._rng.random() < self._config.aux_alone_share:
            return Streams.AUX
        return Streams.RGB

    def _cut(
        self, number: int, frames: FrameChoice, streams: Streams
    ) -> tuple[list[Image8], npt.NDArray[np.float32]]:
        """Return the crops, the search crop last, and the box in each: `(T + 1, 4)`, as fractions."""
        config = self._config
        crops, boxes = [], []
        for frame in frames.templates:
            image, box = self._shown(number, frame, streams)
            template = Crop.around(box, config.template_factor, config.template_size)
            crops.append(template.cut(image))
            boxes.append(template.from_frame(box))
        image, box = self._shown(number, frames.search, streams)
        guess = jittered(box, self._rng, scale=config.scale_jitter, centre=config.centre_jitter)
        search = Crop.around(guess, config.search_factor, config.search_size)
        crops.append(search.cut(image))
        boxes.append(search.from_frame(box))
        return crops, np.array(boxes, np.float32)

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


# --- which frames, and what is done to crops and boxes so that no two samples are alike ----------


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Frames of one sample, 0-based.

    Attributes:
        templates: T frames, oldest first; the last is the base frame.
        search: A frame after all of them.
    """

    templates: tuple[int, ...]
    search: int


def choose_causal(
    visible: npt.NDArray[np.integer], templates: int, *, window: int, growth: int, rng: np.random.Generator
) -> FrameChoice:
    """Choose a base frame, templates from the window before it and a search frame from the one after.

    Args:
        visible: Frames that show the target, in order: at least 2 for one template, 3 for more.
        templates: Number T.
        window: Frames before the base that templates are drawn from, with replacement. The search frame
            is one of the `window - 1` after it.
        growth: Both windows grow by so many frames until each holds one.
        rng: What is drawn with.

    Raises:
        ValueError: There are too few frames.

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
    return FrameChoice((*sorted(int(frame) for frame in earlier), base), int(search))


def jittered(box: Box, rng: np.random.Generator, *, scale: float, centre: float) -> Box:
    """Return the box that the search crop is cut around, as if the tracker had lost its aim.

    Args:
        box: The true box.
        rng: What is drawn with.
        scale: Width and height are multiplied by `exp(scale * n)`, n normal, each its own.
        centre: The centre moves by `centre * sqrt(w' h') * (u - 0.5)` an axis, u uniform in [0, 1).
    """
    w, h = (np.array((box.w, box.h)) * np.exp(scale * rng.standard_normal(2))).tolist()
    dx, dy = (centre * math.sqrt(w * h) * (rng.random(2) - 0.5)).tolist()
    return Box.from_cxcywh(box.cx + dx, box.cy + dy, w, h)


def brightened(crop: Image8, factor: float) -> Image8:
    """Multiply `(H, W, C)` by `factor`, all channels alike, and clip."""
    return cast(Image8, cv2.convertScaleAbs(crop, alpha=factor))


def greyed(crop: Image8) -> Image8:
    """Take the colour out of the first three channels of `(H, W, C)`.

    The second stream is left as it is: its colours mean depth or polarity. (The published
    augmentation fails on six channels and never happens.)
    """
    grey = cv2.cvtColor(cv2.cvtColor(crop[..., :3], cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.concatenate((cast(Image8, grey), crop[..., 3:]), axis=2)
