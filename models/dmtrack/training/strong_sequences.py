"""Strongly augmented training samples from few real sequences.

`sequences` draws as the published training does. This also plays clips backward; stretches, shrinks, blurs,
recolours and compresses crops; covers the target in part; pastes look-alikes beside it; and searches far from
it, or where it is not. In a pair either stream may be degraded, shifted or missing. The pictures of a folder
are kept decoded: this is for thousands of them, not millions.

    source = StrongSource.open(Path("video"), StrongConfig(96, 192, 2))
    sample = source(0).sample()
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import rectangle
from dmtrack.synthetic.sample import AnnotationHabit, TrainingSample, believed, flipped, template_spread
from dmtrack.training.sequences import Image8, Listing, SequenceConfig, UsableSequence, find_usable
from dmtrack.training.train_config import BadData
from dmtrack.video.frame import Modality
from dmtrack.video.pictures.picture_file import read_picture
from dmtrack.video.second.encoding import encode
from dmtrack.video.second.grid import resize_to_grid

Boxes = npt.NDArray[np.float32]

#: Greatest distance of a target from the middle of the search crop, as a share of its side.
_FARTHEST: Final = 0.47
QUALITY_ABSENT_SHARE: Final = 0.2  # more than usual: the quality tower must know crops without the target


@dataclass(frozen=True, slots=True)
class StrongConfig:
    """How samples are drawn. All numbers are ours."""

    template_size: int = 96  # side of a template in px
    search_size: int = 192  # side of the search crop in px
    # Templates T a sample: the first from any earlier picture, the others from just before the search crop
    templates: int = 2
    template_factor: float = 2.0  # template side over `sqrt(w h)`
    search_factor: float = 4.0  # search side over `sqrt(w h)` of the believed box
    rare_prefix: str = "dd_"  # sequences with this prefix have loose boxes and are drawn less often
    rare_weight: float = 0.3  # how often, relative to the others
    recent_gap: float = 2.0  # mean number of pictures between the last template and the search crop
    # Share of samples with the first template alone, as in a tracker that has just started
    start_share: float = 0.25
    # Share of samples whose boxes differ from the annotated ones, see `AnnotationHabit`
    habit_share: float = 0.15
    template_jitter: float = 0.05  # see `template_spread`
    # Share of search crops whose middle is anywhere within 1.5 sizes of the target
    wide_share: float = 0.35
    far_share: float = 0.15  # the same within 1.85 sizes
    scale_jitter: float = 0.2  # standard deviation of the log of the believed size
    stretch: float = 0.07  # standard deviation of the log of the aspect stretch
    shrink_share: float = 0.25  # share of samples shown at a fraction of their resolution
    grey_share: float = 0.15  # share of samples without colour
    light_change_share: float = 0.25  # share whose search crop has other light than the templates
    motion_blur_share: float = 0.15  # share of search crops blurred along a line
    noise_share: float = 0.15  # share of samples with noise, and share compressed as JPEG
    cover_share: float = 0.08  # share of search crops in which a part of the target is covered
    # Share of search crops with another target, or an altered copy of the same, beside it
    rival_share: float = 0.15
    absent_share: float = 0.07  # share of search crops without the target
    modality: Modality | None = None  # second stream of pairs; None for one stream of three channels
    # Pairs: share with a dark, blurred, over-exposed or black RGB stream
    rgb_degraded_share: float = 0.35
    # Pairs: share whose second stream is blank, noisy, faint, or of another moment or place
    aux_degraded_share: float = 0.3
    # Pairs: standard deviation of the second stream's shift, as a share of the search side
    misalignment: float = 0.012

    @property
    def sequences(self) -> SequenceConfig:
        """The requirements on a sequence."""
        return SequenceConfig(
            self.template_size, self.search_size, self.templates, self.modality, least_frames=8
        )


@dataclass(frozen=True, slots=True, eq=False)
class StrongSource:
    """Makes samplers for the sequences of one folder; picklable."""

    folder: Path
    config: StrongConfig
    sequences: tuple[UsableSequence, ...]  # at least one
    listing: Listing  # summary of the folder

    @classmethod
    def open(
        cls,
        folder: Path,
        config: StrongConfig,
        bad_data: BadData = BadData.SKIP,
        pictures: Path | None = None,
    ) -> StrongSource:
        """Find the sequences of a folder; see `find_usable`, also for errors."""
        return cls(folder, config, *find_usable(folder, config.sequences, bad_data, pictures))

    def __call__(self, seed: int) -> StrongSampler:
        """Return a sampler whose samples depend on `seed` and the sequences alone."""
        return StrongSampler(self, seed)


_PICTURES: dict[Path, Image8] = {}  # decoded pictures of this process, by path


def _picture(path: Path, modality: Modality = Modality.THERMAL) -> Image8:
    if path not in _PICTURES:
        _PICTURES[path] = encode(read_picture(path), modality)
    return _PICTURES[path]


@dataclass(frozen=True, slots=True)
class _Window:
    """A rectangle of the frame that becomes a square crop."""

    cx: float  # its centre in frame px
    cy: float
    w: float  # its sides in frame px
    h: float
    size: int  # side of the crop in px

    @classmethod
    def around(cls, box: Box, factor: float, size: int, stretch: float) -> _Window:
        """Return a window of `factor` times the root of the box's area, `stretch` times as high as wide."""
        side = max(math.ceil(factor * math.sqrt(box.area)), 8)
        root = math.sqrt(stretch)
        return cls(box.cx, box.cy, max(round(side / root), 4), max(round(side * root), 4), size)

    @property
    def left(self) -> int:
        return round(self.cx - 0.5 * self.w)

    @property
    def top(self) -> int:
        return round(self.cy - 0.5 * self.h)

    def placed(self, box: Box) -> tuple[float, float, float, float]:
        """Return the box's centre and size as fractions of the crop."""
        return ((box.cx - self.left) / self.w, (box.cy - self.top) / self.h, box.w / self.w, box.h / self.h)

    def cut(self, image: Image8) -> Image8:
        """Cut and resize; black outside the frame."""
        inside = rectangle(image, self.left, self.top, int(self.w), int(self.h))
        return cast(Image8, cv2.resize(inside, (self.size, self.size)))


class StrongSampler:
    """Draws samples without end."""

    def __init__(self, source: StrongSource, seed: int) -> None:
        self._sequences = source.sequences
        self._config = source.config
        names = [entry.sequence.name for entry in source.sequences]
        self._rng = np.random.default_rng((seed, 3, zlib.crc32(" ".join(names).encode())))
        rare = source.config.rare_prefix
        weights = np.array([source.config.rare_weight if name.startswith(rare) else 1.0 for name in names])
        self._shares = np.cumsum(weights / weights.sum())

    def sample(self) -> TrainingSample:
        """Draw the next sample."""
        rng, config = self._rng, self._config
        entry = self._entry()
        frames = self._frames(entry)
        boxes = [entry.sequence.box(frame) for frame in frames]
        habit = AnnotationHabit.draw(rng, config.habit_share)
        boxes = [habit.of(box) for box in boxes]
        stretch = math.exp(config.stretch * float(rng.standard_normal()))
        crops, placed = [], []
        for number, (frame, box) in enumerate(zip(frames[:-1], boxes[:-1], strict=True)):
            own = believed(box, rng, template_spread(rng, first=number == 0, usual=config.template_jitter))
            window = _Window.around(own, config.template_factor, config.template_size, stretch)
            crops.append(window.cut(self._image(entry, frame)))
            placed.append(window.placed(own))
        search, truth, visible = self._search(entry, frames[-1], boxes[-1], stretch)
        crops.append(search)
        if visible and rng.random() < config.rival_share:
            self._add_rival(search, truth, entry)
        if visible and rng.random() < config.cover_share:
            self._cover(search, truth)
        crops = self._looks(crops)
        if config.modality is not None:
            crops = self._degraded(crops)
        truths = np.array([*placed, truth], np.float32)
        if rng.random() < 0.5:
            crops, truths = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops], flipped(truths)
        return TrainingSample(np.stack(crops[:-1]), truths[:-1], crops[-1], truths[-1], visible)

    # -- what and when --

    def _entry(self) -> UsableSequence:
        return self._sequences[int(np.searchsorted(self._shares, self._rng.random() * 0.999999))]

    def _frames(self, entry: UsableSequence) -> list[int]:
        """Return the frames of the templates and of the search crop; the clip may be played backward."""
        rng, visible = self._rng, entry.visible
        if rng.random() < 0.5:
            visible = visible[::-1]
        place = int(rng.integers(1, len(visible)))
        first = int(rng.integers(0, place))
        recent = []
        for _ in range(self._config.templates - 1):
            gap = int(rng.geometric(1 / self._config.recent_gap))
            recent.append(first if rng.random() < self._config.start_share else max(place - gap, first))
        return [int(visible[k]) for k in (first, *sorted(recent), place)]

    def _image(self, entry: UsableSequence, frame: int) -> Image8:
        """Return a frame `(H, W, 3)`, or `(H, W, 6)` of a pair."""
        rgb = _picture(entry.sequence.rgb_paths[frame])
        modality = self._config.modality
        if modality is None:
            return rgb
        aux = _picture(entry.sequence.aux_paths[frame], modality)
        aux = resize_to_grid(aux, (rgb.shape[1], rgb.shape[0]), modality)
        return cast(Image8, cv2.merge([rgb, aux]))

    # -- where --

    def _search(
        self, entry: UsableSequence, frame: int, box: Box, stretch: float
    ) -> tuple[Image8, tuple[float, float, float, float], bool]:
        """Return the search crop, the box in it, and whether it shows the target."""
        rng, config = self._rng, self._config
        absent = rng.random() < config.absent_share
        other = absent and rng.random() < 0.5  # show another clip instead
        if other:
            entry = self._entry()
            frame = int(rng.choice(entry.visible))
            box, absent = entry.sequence.box(frame), False
        image = self._image(entry, frame)
        height, width = image.shape[:2]
        grow = float(np.clip(config.scale_jitter * rng.standard_normal(), -0.75, 0.75))
        guess = math.sqrt(box.area) * math.exp(grow)
        side = guess * config.search_factor
        u = rng.random()
        if u < config.far_share:
            shift = 3.7 * guess * (rng.random(2) - 0.5)
        elif u < config.far_share + config.wide_share:
            shift = 3.0 * guess * (rng.random(2) - 0.5)
        else:
            shift = rng.normal(0.0, 0.25, 2) * guess
        shift = np.clip(shift, -_FARTHEST * side, _FARTHEST * side)
        cx, cy = box.cx + float(shift[0]), box.cy + float(shift[1])
        if absent:
            turn = rng.uniform(0.0, 2.0 * math.pi)
            way = np.array((math.cos(turn), math.sin(turn)))
            shift = way / np.abs(way).max() * rng.uniform(0.5, 0.9) * (side * 1.2 + 1.1 * max(box.w, box.h))
            cx, cy = box.cx + float(shift[0]), box.cy + float(shift[1])
            absent = 0 <= cx < width and 0 <= cy < height
            if not absent:
                cx, cy = box.cx, box.cy
        window = _Window.around(
            Box.from_cxcywh(cx, cy, guess, guess), config.search_factor, config.search_size, stretch
        )
        return window.cut(image), window.placed(box), not (absent or other)

    # -- what is put in --

    def _patch(self, entry: UsableSequence, frame: int, loose: float) -> Image8:
        box = entry.sequence.box(frame)
        image = self._image(entry, frame)
        w, h = box.w * loose, box.h * loose
        x1, y1 = max(int(box.cx - w / 2), 0), max(int(box.cy - h / 2), 0)
        return image[y1 : max(int(box.cy + h / 2), y1 + 3), x1 : max(int(box.cx + w / 2), x1 + 3)].copy()

    def _add_rival(self, search: Image8, truth: tuple[float, ...], entry: UsableSequence) -> None:
        """Paste another target, or the same one recoloured or flipped, beside the target."""
        rng = self._rng
        same = rng.random() < 0.35
        source = entry if same else self._entry()
        patch = self._patch(source, int(rng.choice(source.visible)), 1.0)
        if min(patch.shape[:2]) < 3:
            return
        size = search.shape[0]
        if same:
            if rng.random() < 0.7:
                patch[..., :3] = _tinted(np.ascontiguousarray(patch[..., :3]), rng)
            else:
                patch = patch[::-1]
        cx, cy, w, h = (size * value for value in truth)
        grow = math.exp(0.3 * float(rng.standard_normal()))
        side = math.sqrt(max(w * h, 16.0)) * grow
        aspect = math.sqrt(patch.shape[1] / patch.shape[0])
        pw, ph = max(int(side * aspect), 4), max(int(side / aspect), 4)
        if max(pw, ph) > 0.8 * size:
            return
        for _ in range(6):
            x, y = float(rng.uniform(0, size)), float(rng.uniform(0, size))
            apart = abs(x - cx) > 0.5 * (w + pw) or abs(y - cy) > 0.5 * (h + ph)
            if apart and search[int(y), int(x)].any():
                _paste(search, patch, x, y, pw, ph)
                return

    def _cover(self, search: Image8, truth: tuple[float, ...]) -> None:
        """Cover a part of the target from one side."""
        rng = self._rng
        source = self._entry()
        frame = int(rng.choice(source.visible))
        patch = self._patch(source, frame, float(rng.uniform(0.6, 2.0)))
        if min(patch.shape[:2]) < 3:
            return
        cx, cy, w, h = (search.shape[0] * value for value in truth)
        share = float(rng.uniform(0.15, 0.55))
        pw, ph = max(int(w * rng.uniform(0.7, 1.3)), 4), max(int(h * rng.uniform(0.7, 1.3)), 4)
        if max(pw, ph) > search.shape[0]:
            return
        sign = 1 if rng.random() < 0.5 else -1
        if rng.random() < 0.5:
            cx += sign * (0.5 * (w + pw) - share * w)
        else:
            cy += sign * (0.5 * (h + ph) - share * h)
        _paste(search, patch, cx, cy, pw, ph, square=True)

    # -- how it looks --

    def _looks(self, crops: list[Image8]) -> list[Image8]:
        """Recolour, shrink, blur and degrade the crops of a sample, search crop last."""
        rng, config = self._rng, self._config
        look = Look.draw(rng, config.grey_share)
        change = rng.random() < config.light_change_share
        last = replace(Look.draw(rng, 0.0), grey=look.grey, order=look.order, negative=look.negative)
        shrunk = float(rng.uniform(0.25, 0.8)) if rng.random() < config.shrink_share else 1.0
        noise = float(rng.uniform(2, 14)) if rng.random() < config.noise_share else 0.0
        quality = int(rng.integers(15, 60)) if rng.random() < config.noise_share else 0
        found = []
        for number, whole in enumerate(crops):
            is_search = number == len(crops) - 1
            crop, rest = np.ascontiguousarray(whole[..., :3]), whole[..., 3:]
            crop = (last if change and is_search else look).varied(rng).apply(crop)
            if shrunk < 1.0:
                crop = _shrunk(crop, shrunk)
            if is_search and rng.random() < config.motion_blur_share:
                crop = _motion_blurred(crop, rng)
            elif rng.random() < 0.06:
                crop = cast(Image8, cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.6, 2.0))))
            if noise:
                grain = rng.integers(0, 256, (16,), dtype=np.uint8)
                crop = _noisy(crop, noise, int(grain[0]))
            if quality:
                _, packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
                crop = cast(Image8, cv2.imdecode(packed, cv2.IMREAD_COLOR))
            if rest.shape[2]:
                rest = _shrunk(np.ascontiguousarray(rest), shrunk) if shrunk < 1.0 else rest
                crop = cast(Image8, cv2.merge([crop, np.ascontiguousarray(rest)]))
            found.append(crop)
        return found

    def _degraded(self, crops: list[Image8]) -> list[Image8]:
        """Degrade one stream of a pair, never both: in the search crop, and sometimes in all crops."""
        rng, config = self._rng, self._config
        shift = config.misalignment * config.search_size * rng.standard_normal(2)
        luck = rng.random()
        rgb_kind = int(rng.integers(4)) if luck < config.rgb_degraded_share else -1
        aux_kind = int(rng.integers(5)) if luck > 1 - config.aux_degraded_share else -1
        first = 0 if rng.random() < 0.4 else len(crops) - 1
        strength = float(rng.random())
        other = None
        if aux_kind == 4:
            entry = self._entry()
            frame = int(rng.choice(entry.visible))
            box = entry.sequence.box(frame)
            window = _Window.around(box, config.search_factor, config.search_size, 1.0)
            other = window.cut(self._image(entry, frame))[..., 3:]
        found = []
        for number, crop in enumerate(crops):
            rgb, aux = np.ascontiguousarray(crop[..., :3]), np.ascontiguousarray(crop[..., 3:])
            is_search = number == len(crops) - 1
            scale = 1.0 if is_search else 2.0 * config.template_size / config.search_size
            aux = _moved(aux, shift * scale)
            if number >= first and rgb_kind >= 0:
                rgb = _degraded_rgb(rgb, rgb_kind, strength, rng)
            if aux_kind == 4 and is_search and other is not None:
                aux = np.ascontiguousarray(other)
            elif number >= first and 0 <= aux_kind < 4:
                aux = _degraded_aux(aux, aux_kind, strength, rng)
            found.append(cast(Image8, cv2.merge([rgb, aux])))
        return found


@dataclass(frozen=True, slots=True)
class Look:
    """Light and colours of a crop of three channels."""

    gamma: float
    contrast: float
    gains: tuple[float, float, float]
    saturation: float
    grey: bool
    order: tuple[int, ...]
    negative: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, grey_share: float) -> Look:
        """Draw a look; with probability `grey_share` it has no colour."""
        order = tuple(rng.permutation(3).tolist()) if rng.random() < 0.08 else (0, 1, 2)
        return cls(
            gamma=math.exp(0.22 * float(rng.standard_normal())),
            contrast=math.exp(0.18 * float(rng.standard_normal())),
            gains=cast("tuple[float, float, float]", tuple(np.exp(0.1 * rng.standard_normal(3)).tolist())),
            saturation=float(rng.uniform(0.3, 1.5)),
            grey=bool(rng.random() < grey_share),
            order=order,
            negative=bool(rng.random() < 0.04),
        )

    def varied(self, rng: np.random.Generator) -> Look:
        """Return a slight variation, as a moment later."""
        return replace(
            self,
            gamma=self.gamma * math.exp(0.06 * float(rng.standard_normal())),
            contrast=self.contrast * math.exp(0.06 * float(rng.standard_normal())),
        )

    def apply(self, crop: Image8) -> Image8:
        """Apply the look to a picture `(H, W, 3)`."""
        levels = np.linspace(0, 1, 256) ** self.gamma
        levels = (levels - 0.5) * self.contrast + 0.5
        if self.negative:
            levels = 1 - levels
        table = np.clip(255 * levels[:, None] * np.array(self.gains), 0, 255).astype(np.uint8)
        table[0] = 0  # outside of the frame
        if self.order != (0, 1, 2):
            crop = np.ascontiguousarray(crop[..., self.order])
        out = cast(Image8, cv2.LUT(crop, table[:, None].reshape(1, 256, 3)))
        saturation = 0.0 if self.grey else self.saturation
        if abs(saturation - 1) < 0.05:
            return out
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cast(Image8, cv2.addWeighted(out, saturation, grey, 1 - saturation, 0))


def _moved(crop: Image8, shift: npt.NDArray[np.float64]) -> Image8:
    x, y = round(float(shift[0])), round(float(shift[1]))
    if x == 0 and y == 0:
        return crop
    matrix = np.array(((1, 0, x), (0, 1, y)), np.float32)
    return cast(Image8, cv2.warpAffine(crop, matrix, crop.shape[1::-1], flags=cv2.INTER_NEAREST,
                                       borderMode=cv2.BORDER_REPLICATE))  # fmt: skip


def _degraded_rgb(rgb: Image8, kind: int, strength: float, rng: np.random.Generator) -> Image8:
    """Make an RGB crop dark, blurred, over-exposed or black, by `kind`."""
    if kind == 0:
        gain, noise = 0.02 + 0.28 * strength, 1 + 6 * float(rng.random())
        return _noisy(cast(Image8, cv2.convertScaleAbs(rgb, alpha=gain)), noise, int(rng.integers(200)))
    if kind == 1:
        return cast(Image8, cv2.GaussianBlur(rgb, (0, 0), 2 + 6 * strength))
    if kind == 2:
        return cast(Image8, cv2.convertScaleAbs(rgb, alpha=1.5 + 3 * strength, beta=60))
    return np.zeros_like(rgb)


def _degraded_aux(aux: Image8, kind: int, strength: float, rng: np.random.Generator) -> Image8:
    """Make a crop of the second stream blank, noisy, faint or shifted, by `kind`."""
    if kind == 0:
        # Half of the time no data at all, else an even picture: no event, no echo, one temperature.
        level = 0 if rng.random() < 0.5 else int(np.median(aux))
        return np.full_like(aux, level)
    if kind == 1:
        return _noisy(aux, 15 + 60 * strength, int(rng.integers(200)))
    if kind == 2:
        gain = 0.1 + 0.4 * strength
        return cast(Image8, cv2.convertScaleAbs(aux, alpha=gain, beta=(1 - gain) * float(aux.mean())))
    way = rng.uniform(-0.25, 0.25, 2) * aux.shape[0]
    return _moved(aux, way)


def _tinted(patch: Image8, rng: np.random.Generator) -> Image8:
    return replace(Look.draw(rng, 0.0), gains=tuple(np.exp(0.5 * rng.standard_normal(3)).tolist())).apply(
        patch
    )


def _shrunk(crop: Image8, factor: float) -> Image8:
    size = max(int(crop.shape[0] * factor), 8)
    small = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return cast(Image8, cv2.resize(small, crop.shape[1::-1]))


def _motion_blurred(crop: Image8, rng: np.random.Generator) -> Image8:
    length = int(rng.integers(3, 14))
    kernel = np.zeros((length, length), np.float32)
    turn = float(rng.uniform(0, math.pi))
    half = (length - 1) / 2
    dx, dy = half * math.cos(turn), half * math.sin(turn)
    start, end = (round(half - dx), round(half - dy)), (round(half + dx), round(half + dy))
    cv2.line(kernel, start, end, (1.0,))
    return cast(Image8, cv2.filter2D(crop, -1, kernel / kernel.sum()))


#: Noise, drawn once; every crop takes a piece of it.
_GRAIN: Final = np.random.default_rng(5).standard_normal((512, 512, 3)).astype(np.float32)


def _noisy(crop: Image8, strength: float, shift: int) -> Image8:
    size = crop.shape[0]
    grain = _GRAIN[shift : shift + size, 255 - shift : 255 - shift + size]
    grain = grain[..., : crop.shape[2]]
    return np.clip(crop + strength * grain, 0, 255).astype(np.uint8)


def _paste(
    ground: Image8, patch: Image8, cx: float, cy: float, w: int, h: int, *, square: bool = False
) -> None:
    """Blend a patch, or with `square` False the ellipse in it, into the ground around a point."""
    patch = cast(Image8, cv2.resize(np.ascontiguousarray(patch), (w, h)))
    alpha = np.full((h, w), 255 if square else 0, np.uint8)
    if not square:
        cv2.ellipse(alpha, (w // 2, h // 2), (max(w // 2 - 1, 1), max(h // 2 - 1, 1)), 0, 0, 360, 255, -1)
    soft = cv2.GaussianBlur(alpha, (0, 0), 1.0)
    left, top = round(cx - w / 2), round(cy - h / 2)
    x1, y1 = max(left, 0), max(top, 0)
    x2, y2 = min(left + w, ground.shape[1]), min(top + h, ground.shape[0])
    if x2 <= x1 or y2 <= y1:
        return
    share = soft[y1 - top : y2 - top, x1 - left : x2 - left, None].astype(np.float32) / 255
    part = patch[y1 - top : y2 - top, x1 - left : x2 - left]
    ground[y1:y2, x1:x2] = (share * part + (1 - share) * ground[y1:y2, x1:x2]).astype(np.uint8)
