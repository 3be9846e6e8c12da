"""`TrainingSampler`: templates, a search crop and the box in it, cut from synthetic scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box
from dmtrack.synthetic.camera_look import CameraLook, NoiseBank
from dmtrack.synthetic.casting import CastingConfig, SceneFactory
from dmtrack.synthetic.sample import (
    AnnotationHabit,
    SampleShape,
    TrainingSample,
    annotated,
    believed,
    flipped,
    in_square,
    template_spread,
)
from dmtrack.synthetic.scene import Scene, View
from dmtrack.synthetic.sensors import LOOKS
from dmtrack.synthetic.stock import Stock, load_photographs
from dmtrack.synthetic.textures import Image
from dmtrack.video.frame import Modality

_SMALLEST_SIDE_PX = 6
_TRIES = 400
_VISIBLE_SHARE = 0.2
_FIRST_VISIBLE_SHARE = 0.6
#: Share of absent targets, among those that can be removed, that are removed; others are outside the crop.
_GONE_SHARE = 0.7

Stream = Literal["rgb", "grey", "thermal", "depth", "event"]


@dataclass(frozen=True, slots=True)
class SamplerConfig(SampleShape):
    """The composition of synthetic samples."""

    photographs: Path | None = None  # folder of photographs with polygons, or None
    thermal_images: Path | None = None  # folder of thermal images with boxes, or None
    # One stream: share of flat collages, colour or grey, each a scene of its own: more variety but no
    # physics. The rest are scenes.
    collage_share: float = 0.0
    grey_share: float = 0.08  # one stream: share of grey pictures
    thermal_share: float = 0.14  # one stream: share of thermal pictures
    depth_share: float = 0.03  # one stream: share of encoded depth pictures
    event_share: float = 0.03  # one stream: share of event pictures
    # Share of thermal samples made from real thermal images, if there are any
    real_thermal_share: float = 0.5
    # Pairs: share with the RGB stream at night, blurred or over-exposed
    rgb_degraded_share: float = 0.3
    aux_degraded_share: float = 0.15  # pairs: share with the second stream blank or nearly so
    # Share of search crops with the published centre jitter; the rest are near the target
    wide_jitter_share: float = 0.5
    # Standard deviation of the centre (as a share of the size) and of the log size of recent templates
    template_jitter: float = 0.05
    habit_share: float = 0.5  # share of samples whose boxes are not tight, see `AnnotationHabit`
    light_change_share: float = 0.15  # share of samples with other light in the search frame
    # Share of samples whose target is not in the search crop: removed, or elsewhere
    absent_share: float = 0.1
    takes_per_scene: int = 5  # samples drawn from a scene before a new one is made
    casting: CastingConfig = field(default_factory=CastingConfig)  # the composition of scenes

    def __post_init__(self) -> None:
        SampleShape.__post_init__(self)
        if not 0.0 <= self.collage_share <= 1.0:
            raise ConfigError(f"collage_share={self.collage_share} is not in [0, 1]")
        if self.grey_share + self.thermal_share + self.depth_share + self.event_share > 1.0:
            raise ConfigError("the shares of grey, thermal, depth and event pictures add up to more than 1")


@dataclass(frozen=True, slots=True)
class _Moment:
    """One crop to draw: scene, time, and square of the frame."""

    scene: Scene
    t: float
    left_px: int
    top_px: int
    side_px: int
    size: int

    @classmethod
    def around(cls, scene: Scene, t: float, box: Box, factor: float, size: int) -> _Moment:
        """Return the published crop: side a whole number of pixels, corner rounded.

        Source: specification 3.2.
        """
        side_px = max(math.ceil(factor * math.sqrt(box.area)), _SMALLEST_SIDE_PX)
        return cls(scene, t, round(box.cx - 0.5 * side_px), round(box.cy - 0.5 * side_px), side_px, size)

    @property
    def view(self) -> View:
        """The window to draw, never finer than the frame's own pixels."""
        return View.square(self.left_px, self.top_px, self.side_px, min(self.size, self.side_px))

    def box(self, box: Box) -> npt.NDArray[np.float32]:
        """Return a box of the frame as fractions of the crop: `(4,)` cx, cy, w, h."""
        return in_square(box, self.left_px, self.top_px, self.side_px)

    def finished(self, picture: Image) -> Image:
        """Blacken everything outside the frame, and resize the drawn picture to the size of the crop."""
        self.view.blacken(picture, self.scene.width, self.scene.height)
        if picture.shape[0] == self.size:
            return picture
        return np.asarray(cv2.resize(picture, (self.size, self.size), interpolation=cv2.INTER_LINEAR))


class TrainingSampler:
    """Draws samples without end, the same for the same seed; `DatasetError`: photographs cannot be read."""

    def __init__(self, config: SamplerConfig, seed: int) -> None:
        self._config = config
        self._rng = np.random.default_rng(seed)
        photographs = load_photographs(config.photographs) if config.photographs else ()
        thermal = load_photographs(config.thermal_images) if config.thermal_images else ()
        self._stock = Stock(self._rng, photographs, thermal)
        self._factory = SceneFactory(config.casting, self._stock, self._rng)
        self._noise = NoiseBank(self._rng)
        self._scenes: dict[bool, tuple[Scene, int]] = {}

    def sample(self) -> TrainingSample:
        """Draw the next sample."""
        collage = self._config.modality is None and self._rng.random() < self._config.collage_share
        stream = self._stream(collage=collage)
        for _ in range(_TRIES):
            sample = self._attempt(self._scene(stream, collage=collage), stream)
            if sample is not None:
                return sample
        raise ConfigError(
            f"no usable scene in {_TRIES} tries", hint="the casting leaves no target inside the frame"
        )

    # -- what and when --

    def _stream(self, *, collage: bool) -> Stream:
        """Choose the second stream of a pair, or the only stream."""
        config = self._config
        if config.modality is not None:
            return config.modality.value
        shares: dict[Stream, float] = {"grey": config.grey_share, "thermal": config.thermal_share}
        if not collage:
            shares |= {"depth": config.depth_share, "event": config.event_share}
        elif not self._stock.thermal:
            del shares["thermal"]  # a collage has no temperatures; only a real thermal image has
        u = self._rng.random()
        for stream, share in shares.items():
            u -= share
            if u < 0.0:
                return stream
        return "rgb"

    def _scene(self, stream: Stream, *, collage: bool) -> Scene:
        """Return the last scene until it has served its samples, then a new one; a collage is always new."""
        if collage and stream != "thermal":
            return self._factory.draw_collage()
        real = stream == "thermal" and bool(self._stock.thermal)
        real = real and (collage or self._rng.random() < self._config.real_thermal_share)
        scene, left = self._scenes.get(real, (None, 0))
        if scene is None or left <= 0:
            scene = (self._factory.draw_thermal() if real else None) or self._factory.draw()
            left = self._config.takes_per_scene
        self._scenes[real] = (scene, left - 1)
        return scene

    def _times(self, duration: float) -> list[float]:
        """Return the times of the templates, oldest first, and of the search frame."""
        rng = self._rng
        search = rng.uniform(0.25, 1.0) * duration
        recent = [search - search ** float(rng.uniform(0.0, 0.9)) for _ in range(self._config.templates - 1)]
        return [0.0, *sorted(max(t, 0.0) for t in recent), search]

    def _attempt(self, scene: Scene, stream: Stream) -> TrainingSample | None:
        """Try to draw a sample; None if no crop could show the target."""
        times = self._times(scene.duration)
        tight = [scene.target_box(t) for t in times]
        if not all(_usable(box, scene) for box in tight):
            self._scenes.clear()
            return None
        habit = AnnotationHabit.draw(self._rng, self._config.habit_share)
        boxes = [annotated(habit.of(box), self._rng) for box in tight]
        templates = [
            self._template_moment(scene, t, box, first=k == 0)
            for k, (t, box) in enumerate(zip(times[:-1], boxes[:-1], strict=True))
        ]
        search = self._search_moment(scene, times[-1], boxes[-1])
        drawn = self._draw(scene, [*(moment for moment, _ in templates), search], stream)
        if drawn is None:
            self._scenes.clear()
            return None
        pictures, visible = drawn
        placed = np.stack([moment.box(box) for moment, box in templates])
        return self._pack(pictures, placed, search.box(boxes[-1]), visible=visible)

    def _template_moment(self, scene: Scene, t: float, box: Box, *, first: bool) -> tuple[_Moment, Box]:
        """Return a template around the box that a tracker would have, and that box."""
        rng, config = self._rng, self._config
        own = believed(box, rng, template_spread(rng, first=first, usual=config.template_jitter))
        return _Moment.around(scene, t, own, config.template_factor, config.template_size), own

    def _search_moment(self, scene: Scene, t: float, box: Box) -> _Moment:
        rng, config = self._rng, self._config
        absent = rng.random() < config.absent_share
        gone = absent and scene.movable_target and rng.random() < _GONE_SHARE
        wide = rng.random() < config.wide_jitter_share
        grow = config.scale_jitter * (1.0 if wide else 0.4) * rng.normal(0.0, 1.0, 2)
        guess = math.sqrt(box.area) * math.exp(0.5 * float(np.clip(grow, -0.75, 0.75).sum()))
        side = guess * config.search_factor
        if absent and not gone:
            # Just outside the crop, on any side.
            turn = rng.uniform(0.0, 2.0 * math.pi)
            way = np.array((math.cos(turn), math.sin(turn)))
            shift = way / np.abs(way).max() * 0.5 * (side + 1.1 * max(box.w, box.h))
        else:
            shift = (
                config.centre_jitter * guess * (rng.random(2) - 0.5)
                if wide
                else rng.normal(0.0, 0.25, 2) * guess
            )
            shift = np.clip(shift, -0.47 * side, 0.47 * side)
        aim = Box.from_cxcywh(box.cx + float(shift[0]), box.cy + float(shift[1]), guess, guess)
        shown = replace(scene, target_gone=True) if gone else scene
        return _Moment.around(shown, t, aim, config.search_factor, config.search_size)

    # -- drawing --

    def _draw(self, scene: Scene, moments: list[_Moment], stream: Stream) -> tuple[list[Image], bool] | None:
        """Draw all crops with all their channels; None if the first template hardly shows the target."""
        config, rng = self._config, self._rng
        paired = config.modality is not None
        # Never degrade both: a sample that shows nothing teaches nothing.
        luck = rng.random() if paired else 0.5
        dark, blind = luck < config.rgb_degraded_share, luck > 1.0 - config.aux_degraded_share
        if not paired and stream not in ("rgb", "grey"):
            search = moments[-1]
            visible = search.scene.render(search.t, search.view, rgb=False).visible_share > _VISIBLE_SHARE
            return self._second(scene, moments, stream, blind=False), visible
        pictures, shares = self._colour(moments, degraded=dark)
        if shares[0] < _FIRST_VISIBLE_SHARE:
            return None
        if paired:
            second = self._second(scene, moments, stream, blind=blind)
            # Not np.concatenate, which is many times slower along the last axis.
            pictures = [np.asarray(cv2.merge(pair), np.uint8) for pair in zip(pictures, second, strict=True)]
        elif stream == "grey":
            pictures = [_grey(picture) for picture in pictures]
        return pictures, shares[-1] > _VISIBLE_SHARE

    def _colour(self, moments: list[_Moment], *, degraded: bool) -> tuple[list[Image], list[float]]:
        """Return the RGB camera's picture, and the visible share of the target, for each crop."""
        rng, config = self._rng, self._config
        look = CameraLook.draw(rng)
        last = CameraLook.draw(rng) if rng.random() < config.light_change_share else look
        if degraded:
            last = last.degraded(rng)
            look = last if rng.random() < 0.5 else look
        pictures, shares = [], []
        for k, moment in enumerate(moments):
            rendering = moment.scene.render(moment.t, moment.view)
            assert rendering.rgb is not None  # noqa: S101
            current = (last if k == len(moments) - 1 else look).varied(rng)
            pictures.append(moment.finished(current.apply(rendering.rgb, self._noise)))
            shares.append(rendering.visible_share)
        return pictures, shares

    def _second(self, scene: Scene, moments: list[_Moment], stream: Stream, *, blind: bool) -> list[Image]:
        """Return the second camera's picture for each crop; its settings suit the scene with its target."""
        look = LOOKS[Modality(stream)].draw(self._rng, scene)
        look = look.blinded(self._rng) if blind else look
        return [m.finished(look.picture(m.scene, m.t, m.view, self._noise)) for m in moments]

    def _pack(
        self,
        pictures: list[Image],
        template_boxes: npt.NDArray[np.float32],
        box: npt.NDArray[np.float32],
        *,
        visible: bool,
    ) -> TrainingSample:
        """Build the sample, everything flipped together half of the time."""
        if self._rng.random() < 0.5:
            pictures = [np.ascontiguousarray(p[:, ::-1]) for p in pictures]
            template_boxes, box = flipped(template_boxes), flipped(box)
        return TrainingSample(np.stack(pictures[:-1]), template_boxes, pictures[-1], box, visible)


def _grey(rgb: Image) -> Image:
    """Return the picture without colour, still with three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _usable(box: Box, scene: Scene) -> bool:
    """Return whether the target is large enough and mostly inside the frame."""
    inside_w = min(box.x + box.w, scene.width) - max(box.x, 0.0)
    inside_h = min(box.y + box.h, scene.height) - max(box.y, 0.0)
    if min(inside_w, inside_h) < 3.0 or box.w * box.h > 0.7 * scene.width * scene.height:
        return False
    return inside_w * inside_h > 0.6 * box.area and math.sqrt(box.area) >= 7.0
