"""The second streams: pictures of a scene by a thermal, a depth or an event camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from dmtrack.synthetic import affine
from dmtrack.synthetic.camera_look import NoiseBank
from dmtrack.synthetic.scene import Depth, Scene, View
from dmtrack.synthetic.textures import Field, Image, smooth_noise
from dmtrack.video.events.event_source import CANVAS_RGB, NEGATIVE_RGB, POSITIVE_RGB
from dmtrack.video.frame import Modality
from dmtrack.video.second.encoding import MAX_DEPTH_MM

_COARSE_PX = 72
_JET = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_JET).reshape(1, 256, 3)


@dataclass(frozen=True, slots=True)
class Misalignment:
    """Misalignment of the second camera's picture with the RGB camera's, in frame pixels."""

    dx_px: float
    dy_px: float
    scale: float

    @classmethod
    def draw(cls, rng: np.random.Generator, scene: Scene, largest_px: float) -> Misalignment:
        """Draw a shift of up to `largest_px`, less for a small target, and a little scaling."""
        box = scene.target_box(0.0)
        largest = min(largest_px, 0.12 * math.sqrt(box.area) + 0.5)
        dx, dy = rng.normal(0.0, 0.5 * largest, 2).clip(-largest, largest)
        scale = float(np.exp(rng.normal(0.0, 0.003)))
        # The scaling is about the target, so that it hardly shifts it.
        return cls(float(dx) + (1.0 - scale) * box.cx, float(dy) + (1.0 - scale) * box.cy, scale)

    def view(self, view: View) -> View:
        """Return the view as seen by the second camera."""
        shift = affine.placement(self.dx_px, self.dy_px, self.scale, self.scale, 0.0)
        return View(view.matrix @ shift, view.width, view.height)


def _coarse_view(scene: Scene) -> View:
    """Return the whole frame, small."""
    scale = _COARSE_PX / scene.width
    return View(affine.scaling(scale, scale), _COARSE_PX, max(8, round(scene.height * scale)))


# --- thermal -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThermalLook:
    """The settings of a thermal camera."""

    low: float  # temperature shown black
    high: float  # temperature shown white
    white_hot: bool  # whether hot is bright
    coarse: float  # frame pixels per thermal pixel
    noise: float  # temporal noise (NETD) in grey levels
    stripes: float  # fixed-pattern column noise in grey levels, the same in every frame
    pattern: Field  # `(h, w)` float32 slow fixed pattern in grey levels
    columns: Field  # `(n,)` float32 offsets of unit size, read by column
    blur_px: float  # blur of the optics, in thermal pixels
    alignment: Misalignment  # of the two cameras

    @classmethod
    def draw(cls, rng: np.random.Generator, scene: Scene) -> ThermalLook:
        """Draw a camera whose gain suits the scene: mostly white-hot, coarse, often with low contrast."""
        heat = scene.render(0.0, _coarse_view(scene), rgb=False, heat=True).heat
        assert heat is not None  # noqa: S101
        mean, spread = (float(v[0, 0]) for v in cv2.meanStdDev(heat))
        reach = max(spread, 6.0) * math.exp(rng.uniform(math.log(1.1), math.log(4.0)))
        middle = mean + rng.normal(0.0, 0.4) * spread
        return cls(
            low=middle - reach,
            high=middle + reach,
            white_hot=bool(rng.random() < 0.88),
            coarse=float(rng.choice([1.0, rng.uniform(1.0, 2.0), rng.uniform(2.0, 4.0)])),
            noise=math.exp(rng.uniform(math.log(0.7), math.log(9.0))),
            stripes=float(rng.choice([0.0, rng.uniform(0.3, 4.0)])),
            pattern=(rng.uniform(0.0, 22.0) * (smooth_noise(rng, 24, 32, 2.0, 2) - 0.5)).astype(np.float32),
            columns=rng.standard_normal(512, dtype=np.float32),
            blur_px=float(rng.uniform(0.0, 1.0)),
            alignment=Misalignment.draw(rng, scene, float(rng.choice([1.0, 3.0, 7.0]))),
        )

    def blinded(self, rng: np.random.Generator) -> ThermalLook:
        """Return the camera at thermal cross-over (no contrast), out of range, or drowned in noise."""
        kind = rng.random()
        if kind < 0.4:
            return replace(self, low=self.low - 900.0, high=self.high + 900.0)
        if kind < 0.7:
            return replace(
                self, noise=float(rng.uniform(20.0, 34.0)), low=self.low - 250.0, high=self.high + 250.0
            )
        shift = 260.0 if rng.random() < 0.5 else -260.0
        return replace(self, low=self.low + shift, high=self.high + shift)

    def picture(self, scene: Scene, t: float, view: View, noise: NoiseBank) -> Image:
        """Return `(h, w, 3)` uint8 with three equal channels."""
        heat = scene.render(t, self.alignment.view(view), rgb=False, heat=True).heat
        assert heat is not None  # noqa: S101
        grey = self._read_out(heat, affine.magnification(view.matrix), noise)
        return np.asarray(cv2.merge([grey, grey, grey]))

    def _read_out(self, heat: Image, pixels_per_frame_px: float, noise: NoiseBank) -> Image:
        height, width = heat.shape
        shrink = min(1.0, 1.0 / (self.coarse * pixels_per_frame_px))
        size = (max(4, round(width * shrink)), max(4, round(height * shrink)))
        small = cv2.resize(heat, size, interpolation=cv2.INTER_AREA) if size != (width, height) else heat
        if self.blur_px > 0.3:
            small = cv2.GaussianBlur(small, (0, 0), self.blur_px)
        small = np.asarray(cv2.LUT(small, self._table()))
        uneven = cv2.resize(self.pattern, size)
        if self.stripes > 0.0:
            uneven = uneven + self.stripes * np.resize(self.columns, size[0])
        small = np.asarray(cv2.add(small, uneven.astype(np.float32), dtype=cv2.CV_8U))
        small = noise.add(np.asarray(small, np.uint8), self.noise)
        if size == (width, height):
            return small
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))

    def _table(self) -> Image:
        grey = (np.arange(256) - self.low) * (255.0 / (self.high - self.low))
        return np.asarray(np.clip(grey if self.white_hot else 255.0 - grey, 0, 255), np.uint8)


# --- depth -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DepthLook:
    """The settings of a depth camera."""

    longest_mm: float  # largest measured distance
    shortest_mm: float  # smallest measured distance
    step: float  # quantisation at 1 m, in mm; it grows with the square of the distance
    noise: float  # standard deviation at 1 m, in mm; it grows with the square of the distance
    edge: float  # a jump larger than this share of the distance leaves a hole
    holes: float  # share of the picture lost in patches
    shadow_px: float  # width of the hole beside near things, in frame pixels
    smooth_px: float  # blur of the camera's own filter, in frame pixels
    blind: bool  # nothing is measured at all
    seed: int  # of the patches and the noise
    alignment: Misalignment  # of the two cameras

    @classmethod
    def draw(cls, rng: np.random.Generator, scene: Scene) -> DepthLook:
        """Draw a camera: structured light, stereo or time of flight, usually one that suits the scene."""
        longest = float(rng.choice([4500.0, 8000.0, 10000.0, 20000.0, 65000.0]))
        shortest = float(rng.uniform(100.0, 500.0))
        if rng.random() < 0.9:
            longest = max(longest, 1.1 * scene.backdrop.far_mm)
            shortest = min(shortest, 0.7 * min(actor.distance_mm for actor in scene.actors))
        return cls(
            longest_mm=longest,
            shortest_mm=shortest,
            step=float(rng.choice([1.0, rng.uniform(1.0, 12.0)])),
            noise=float(rng.uniform(0.5, 10.0)),
            edge=float(rng.uniform(0.06, 0.4)),
            holes=float(rng.choice([0.0, rng.uniform(0.0, 0.2)])),
            shadow_px=float(rng.uniform(0.0, 5.0)),
            smooth_px=float(rng.choice([0.0, rng.uniform(0.0, 2.0)])),
            blind=False,
            seed=int(rng.integers(2**31)),
            alignment=Misalignment.draw(rng, scene, float(rng.choice([0.5, 2.0]))),
        )

    def blinded(self, rng: np.random.Generator) -> DepthLook:
        """Return the camera blinded by the sun, or with most of the picture lost."""
        return replace(self, blind=True) if rng.random() < 0.5 else replace(self, holes=0.75)

    def depth_mm(self, scene: Scene, t: float, view: View) -> Depth:
        """Return `(h, w)` uint16 millimetres; 0 where nothing was measured."""
        truth = scene.render(t, self.alignment.view(view), rgb=False, depth=True).depth_mm
        assert truth is not None  # noqa: S101
        if self.blind:
            return np.zeros_like(truth)
        return self._measured(truth, affine.magnification(view.matrix), t)

    def _measured(self, truth: Depth, pixels_per_frame_px: float, t: float) -> Depth:
        rng = np.random.default_rng((self.seed, int(t * 16) & 0xFFFFFFFF, truth.shape[0]))
        z = truth.astype(np.float32)
        lost = self._holes(rng, truth, pixels_per_frame_px)
        if self.smooth_px * pixels_per_frame_px > 0.3:
            z = np.asarray(cv2.GaussianBlur(z, (0, 0), self.smooth_px * pixels_per_frame_px), np.float32)
        metres2 = np.square(z * np.float32(1e-3))
        grain = cv2.resize(rng.standard_normal((z.shape[0] // 3 + 1, z.shape[1] // 3 + 1), dtype=np.float32),
                           (z.shape[1], z.shape[0]))  # fmt: skip
        z = z + grain * metres2 * np.float32(self.noise)
        step = np.maximum(metres2 * np.float32(self.step), np.float32(1.0))
        z = np.rint(z / step) * step
        lost |= (truth < self.shortest_mm) | (truth > self.longest_mm)
        z[lost] = 0.0
        return np.asarray(np.clip(z, 0, 65535), np.uint16)

    def _holes(
        self, rng: np.random.Generator, truth: Depth, pixels_per_frame_px: float
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Return where nothing is measured: beside steps, and in patches."""
        near = cv2.erode(truth, np.ones((3, 3), np.uint8))
        jump = (truth > near * np.float32(1.0 + self.edge)).astype(np.uint8)
        width = max(1, round(self.shadow_px * pixels_per_frame_px))
        lost = cv2.dilate(jump, np.ones((1 + width // 3, width), np.uint8), anchor=(width - 1, 0)) > 0
        if self.holes > 0.0:
            height, width = truth.shape
            # Patches are large, so a quarter of the resolution suffices.
            field = smooth_noise(rng, max(height // 4, 2), max(width // 4, 2), 9.0, 3)
            edge = np.quantile(field, self.holes)
            lost |= np.asarray(cv2.resize(field, (width, height))) < edge
        return lost

    def picture(self, scene: Scene, t: float, view: View, noise: NoiseBank) -> Image:
        """Return `(h, w, 3)` uint8: the view, encoded with the range of the whole frame."""
        return encode_within(self.depth_mm(scene, t, view), self.depth_mm(scene, t, _coarse_view(scene)))


def encode_within(depth_mm: Depth, frame_mm: Depth) -> Image:
    """Encode `(h, w)` uint16 as published (JET, BGR order), with the range of the frame at any resolution.

    Equals `dmtrack.video.second.encoding.encode_depth` if both are the same picture.

    Source: specification 3.6: values are limited to `min(3 median, 10000)`, then stretched.
    """
    limit = np.uint16(min(3.0 * float(np.median(frame_mm)), MAX_DEPTH_MM))
    low, high = (int(np.minimum(end, limit)) for end in (frame_mm.min(), frame_mm.max()))
    if high <= low:
        grey = np.zeros(depth_mm.shape, np.uint8)
    else:
        above = np.clip(depth_mm, low, high) - np.uint16(low)
        grey = np.asarray(cv2.convertScaleAbs(above, alpha=255.0 / (high - low)))
    # The same bytes as cv2.applyColorMap, three times as fast.
    return np.asarray(cv2.LUT(cv2.merge([grey, grey, grey]), _JET))


# --- event -------------------------------------------------------------------------------------


_LOG_LIGHT = np.log(np.arange(256, dtype=np.float32) + np.float32(6.0)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class EventLook:
    """The settings of an event camera."""

    threshold: float  # change of log light that triggers an event
    exposure: float  # frames over which events are collected
    shot: float  # share of pixels with a false event
    lost: float  # share of true events that are not reported
    blind: bool  # only noise is reported
    alignment: Misalignment  # of the two cameras

    @classmethod
    def draw(cls, rng: np.random.Generator, scene: Scene) -> EventLook:
        """Draw a camera and its settings."""
        return cls(
            threshold=float(rng.uniform(0.06, 0.3)),
            exposure=math.exp(rng.uniform(math.log(0.8), math.log(6.0))),
            shot=math.exp(rng.uniform(math.log(1e-4), math.log(2e-2))),
            lost=float(rng.uniform(0.0, 0.35)),
            blind=False,
            alignment=Misalignment.draw(rng, scene, float(rng.choice([0.5, 2.0]))),
        )

    def blinded(self, rng: np.random.Generator) -> EventLook:
        """Return the camera with nothing to see: no events, or only noise."""
        return replace(self, blind=True, shot=float(rng.choice([0.0, rng.uniform(0.02, 0.25)])))

    def picture(self, scene: Scene, t: float, view: View, noise: NoiseBank) -> Image:
        """Return `(h, w, 3)` uint8 in VisEvent's style: white canvas, red up, blue down, RGB order."""
        seen = self.alignment.view(view)
        canvas = np.full((view.height, view.width, 3), CANVAS_RGB, np.uint8)
        chance = noise.rng.random((view.height, view.width), dtype=np.float32)
        up, down = chance < 0.5 * self.shot, chance > 1.0 - 0.5 * self.shot
        if not self.blind:
            change = _log_light(scene, t, seen) - _log_light(scene, t - self.exposure, seen)
            reported = chance < 1.0 - self.lost
            up |= (change > self.threshold) & reported
            down |= (change < -self.threshold) & reported
        canvas[up] = POSITIVE_RGB
        canvas[down] = NEGATIVE_RGB
        return canvas


def _log_light(scene: Scene, t: float, view: View) -> Field:
    rgb = scene.render(t, view).rgb
    assert rgb is not None  # noqa: S101
    return np.asarray(cv2.LUT(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), _LOG_LIGHT))


#: The camera class of each modality.
LOOKS: Final[Mapping[Modality, type[ThermalLook] | type[DepthLook] | type[EventLook]]] = MappingProxyType(
    {Modality.THERMAL: ThermalLook, Modality.DEPTH: DepthLook, Modality.EVENT: EventLook}
)
