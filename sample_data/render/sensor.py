"""What a sensor makes of radiance: colour camera, thermal core, depth camera, event camera."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from render.camera import Camera, Floats

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


def rng_for(seed: int, frame: int) -> np.random.Generator:
    """Return the random numbers of one frame, the same in whatever order frames are made."""
    return np.random.default_rng([seed, frame])


@dataclass(frozen=True)
class ColourCamera:
    """Exposure, glow in the lens, vignetting, noise and tone curve of a colour camera.

    Args:
        exposure: Gain from radiance to signal; signal 1 is close to white.
        electrons: Electrons at signal 1; fewer make more shot noise.
        read_noise: Noise in the dark, as signal.
        bloom: Share of the light that spreads in the lens.
        vignette: Loss in the corners.
        seed: Chooses the noise.
    """

    exposure: float = 1.0
    electrons: float = 4000.0
    read_noise: float = 0.004
    bloom: float = 0.06
    vignette: float = 0.35
    seed: int = 0

    def develop(self, radiance: Floats, frame: int, gain: float = 1.0) -> Bytes:
        """Return the 8-bit RGB picture of linear radiance `(H, W, 3)`; `gain` is the auto exposure."""
        height, width = radiance.shape[:2]
        wide = cv2.GaussianBlur(radiance, (0, 0), width / 28)
        near = cv2.GaussianBlur(radiance, (0, 0), width / 160)
        light = radiance * (1 - self.bloom) + self.bloom * (0.45 * wide + 0.55 * near)
        signal = np.maximum(light * (self._vignetting(height, width)[..., None] * self.exposure * gain), 0)
        rng = rng_for(self.seed, frame)
        grain = rng.standard_normal((height, width, 4), dtype=np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.55) * np.float32(1.7)
        grain = (
            0.8 * grain[..., :1] + 0.6 * grain[..., 1:]
        )  # cameras smooth colour noise more than grey noise
        noise = np.sqrt(np.minimum(signal, 1.5) / self.electrons * gain + self.read_noise**2 * gain)
        return tone(signal + grain * noise)

    def _vignetting(self, height: int, width: int) -> Floats:
        y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height * 2 - 1
        x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
        return 1 - np.float32(self.vignette) * (x * x * 0.65 + y * y * 0.35)


def tone(signal: Floats) -> Bytes:
    """Return the display picture: a soft shoulder, then gamma 2.2."""
    soft = 1 - np.exp(-1.35 * np.maximum(signal, 0))
    return np.clip(255 * soft ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class ThermalCore:
    """An uncooled thermal core that reports hundredths of a kelvin.

    Args:
        blur_px: Spread of the lens.
        noise: Noise from frame to frame, hundredths of a kelvin.
        pattern: Fixed differences between columns and pixels.
        seed: Chooses the noise.
    """

    blur_px: float = 0.75
    noise: float = 1.2
    pattern: float = 1.4
    seed: int = 0

    def measure(self, heat: Floats, frame: int) -> Words:
        """Return the 16-bit picture of a temperature field `(H, W)`."""
        fixed = np.random.default_rng(self.seed)
        columns = fixed.standard_normal((1, heat.shape[1]), dtype=np.float32) * np.float32(self.pattern)
        pixels = fixed.standard_normal(heat.shape, dtype=np.float32) * np.float32(self.pattern * 0.4)
        rng = rng_for(self.seed, frame)
        noise = rng.standard_normal(heat.shape, dtype=np.float32) * np.float32(self.noise)
        drift = 4 * np.sin(frame / 40)
        field_ = cv2.GaussianBlur(heat, (0, 0), self.blur_px) + columns + pixels + noise + drift
        return np.clip(np.round(field_), 0, 65535).astype(np.uint16)


@dataclass(frozen=True)
class DepthCamera:
    """A structured-light or stereo depth camera: disparity steps, shadows, holes.

    Args:
        baseline_m: Distance between projector and camera.
        step_px: Smallest difference of disparity it tells apart.
        noise_px: Error of the disparity, smooth over a few pixels.
        range_m: Nearest and farthest distance it measures.
        seed: Chooses the noise.
    """

    baseline_m: float = 0.075
    step_px: float = 0.25
    noise_px: float = 0.05
    range_m: tuple[float, float] = (0.25, 3.5)
    seed: int = 0

    def measure(self, depth: Floats, dark: NDArray[np.bool_], camera: Camera, frame: int) -> Words:
        """Return millimetres `(H, W)`; 0 where there is no measurement.

        Args:
            depth: True depth in metres.
            dark: Where too little of the projected light comes back.
            camera: Gives the focal length.
            frame: Frame number, for the noise.
        """
        scale = camera.focal_px * self.baseline_m
        disparity = scale / np.clip(depth, 0.05, 100)
        rng = rng_for(self.seed, frame)
        wobble = cv2.GaussianBlur(rng.standard_normal(depth.shape, dtype=np.float32), (0, 0), 5.0)
        noisy = disparity + wobble * np.float32(self.noise_px * 17.7)  # the blur leaves 1/17.7 of the spread
        stepped = np.round(noisy / self.step_px) * self.step_px
        millimetres = 1000 * scale / np.maximum(stepped, 0.01)
        ragged = cv2.GaussianBlur(rng.standard_normal(depth.shape, dtype=np.float32), (0, 0), 1.2)
        lost = _projector_shadow(disparity) | self._edges(depth, ragged) | (dark & (wobble > -0.06))
        lost |= (depth < self.range_m[0]) | (depth > self.range_m[1])
        return np.where(lost, 0, np.round(millimetres)).astype(np.uint16)

    def _edges(self, depth: Floats, ragged: Floats) -> NDArray[np.bool_]:
        near = cv2.erode(depth, np.ones((3, 3), np.uint8))
        far = cv2.dilate(depth, np.ones((3, 3), np.uint8))
        return (far > near * 1.06) & (ragged > 0.02)


def _projector_shadow(disparity: Floats) -> NDArray[np.bool_]:
    """Return the pixels that the projector, one baseline to the left, does not see."""
    height, width = disparity.shape
    landing = np.clip(np.round(np.arange(width) + disparity).astype(np.int64), 0, width * 2)
    flat = landing + np.arange(height)[:, None] * (width * 2 + 1)
    front = np.zeros(height * (width * 2 + 1), np.float32)
    np.maximum.at(front, flat.ravel(), disparity.ravel())
    shadow = (front[flat] > disparity + 0.9).astype(np.uint8)
    return cv2.morphologyEx(shadow, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)


@dataclass
class EventCamera:
    """Compares the log brightness of every pixel with what it last reported.

    The pictures look as VisEvent's: white canvas, brighter in red, darker in blue, darker painted last.

    Args:
        size: Rows and columns.
        threshold: Change of log brightness that makes an event.
        spread: How much thresholds differ from pixel to pixel.
        dark: Radiance below which changes drown.
        noise_rate: Chance of a spurious event per pixel and step.
        seed: Chooses thresholds and noise.
    """

    size: tuple[int, int]
    threshold: float = 0.22
    spread: float = 0.15
    dark: float = 0.01
    noise_rate: float = 0.0006
    seed: int = 0
    reference: Floats | None = None
    brighter: NDArray[np.bool_] = field(init=False)
    darker: NDArray[np.bool_] = field(init=False)

    POSITIVE = (220, 30, 30)
    NEGATIVE = (30, 30, 200)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        scale = 1 + self.spread * self._rng.standard_normal(self.size, dtype=np.float32)
        self._limit = self.threshold * np.clip(scale, 0.4, 2)
        self._clear()

    def see(self, radiance: Floats) -> None:
        """Take in one linear radiance picture `(H, W, 3)`."""
        grey = radiance @ np.array([0.30, 0.59, 0.11], np.float32)
        level = np.log(np.minimum(grey, 1e4) + self.dark)
        if self.reference is None:
            self.reference = level.astype(np.float32)
            return
        change = (level - self.reference) / self._limit
        steps = np.trunc(change)
        self.reference += steps * self._limit
        chance = self._rng.random(self.size, dtype=np.float32)
        self.brighter |= (steps > 0) | (chance < self.noise_rate * 0.6)
        self.darker |= (steps < 0) | (chance > 1 - self.noise_rate * 0.4)

    def picture(self) -> Bytes:
        """Return the events since the last call as an RGB picture."""
        canvas = np.full((*self.size, 3), 255, np.uint8)
        canvas[self.brighter] = self.POSITIVE
        canvas[self.darker] = self.NEGATIVE
        self._clear()
        return canvas

    def _clear(self) -> None:
        self.brighter = np.zeros(self.size, bool)
        self.darker = np.zeros(self.size, bool)
