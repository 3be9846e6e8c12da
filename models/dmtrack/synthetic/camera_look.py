"""The RGB camera: exposure, colour, noise, blur, compression."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.synthetic.textures import Image

_SIGMAS = (1.0, 2.0, 3.5, 5.5, 8.0, 12.0, 17.0, 24.0, 34.0)


class NoiseBank:
    """Gaussian noise drawn once: taking a random piece of it costs a hundredth of drawing new noise.

    `side` is that of the largest piece in pixels.
    """

    def __init__(self, rng: np.random.Generator, side: int = 288) -> None:
        self.rng = rng
        self._side = side
        unit = rng.standard_normal((self._side, self._side, 3), dtype=np.float32)
        self._fields = tuple(np.rint(unit * sigma).astype(np.int16) for sigma in _SIGMAS)

    def add(self, picture: Image, sigma: float) -> Image:
        """Add noise of about `sigma` grey levels to `(h, w)` or `(h, w, 3)` uint8."""
        if sigma < 0.5 * _SIGMAS[0]:
            return picture
        index = int(np.argmin([abs(s - sigma) for s in _SIGMAS]))
        height, width = picture.shape[:2]
        if height > self._side or width > self._side:
            noise = self.rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(sigma)
            return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)
        y = int(self.rng.integers(self._side - height + 1))
        x = int(self.rng.integers(self._side - width + 1))
        piece = self._fields[index][y : y + height, x : x + width]
        if picture.ndim == 2:
            piece = np.ascontiguousarray(piece[..., int(self.rng.integers(3))])
        return np.asarray(cv2.add(picture, piece, dtype=cv2.CV_8U))


@dataclass(frozen=True, slots=True)
class CameraLook:
    """A camera's settings in certain light."""

    gain: float = 1.0  # exposure factor
    gamma: float = 1.0  # exponent of the tone curve
    contrast: float = 1.0  # factor about middle grey
    offset: float = 0.0  # grey levels added at the end
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factor per colour
    saturation: float = 1.0  # 1 keeps the colours, 0 is grey
    noise: float = 0.0  # standard deviation of the noise in grey levels
    blur_px: float = 0.0  # sigma of the lens blur, in pixels of the rendered picture
    # Length and angle (radians) of the motion blur, in pixels of the rendered picture
    smear_px: tuple[float, float] = (0.0, 0.0)
    jpeg_quality: int | None = None  # None: no compression

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CameraLook:
        """Draw an ordinary camera in ordinary light; 6 % of the scenes are at dusk."""
        dusk = rng.uniform(0.15, 0.5) if rng.random() < 0.06 else 1.0
        tint = np.exp(rng.normal(0.0, 0.08, 3))
        return cls(
            gain=dusk * math.exp(rng.normal(0.0, 0.18)),
            gamma=math.exp(rng.normal(0.0, 0.15)),
            contrast=math.exp(rng.normal(-0.02, 0.15)),
            offset=rng.normal(0.0, 8.0),
            cast=(float(tint[0]), float(tint[1]), float(tint[2])),
            saturation=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.6 else 1.0,
            noise=math.exp(rng.uniform(math.log(0.7), math.log(9.0))) if rng.random() < 0.6 else 0.0,
            blur_px=float(rng.uniform(0.3, 1.1)) if rng.random() < 0.3 else 0.0,
            jpeg_quality=int(rng.integers(25, 90)) if rng.random() < 0.2 else None,
        )

    def degraded(self, rng: np.random.Generator) -> CameraLook:
        """Return the look at night, over-exposed, strongly blurred or with hardly any contrast."""
        kind = rng.random()
        if kind < 0.5:
            dark = math.exp(rng.uniform(math.log(0.02), math.log(0.3)))
            return replace(self, gain=dark, offset=min(self.offset, 0.0), noise=float(rng.uniform(3.0, 20.0)))
        if kind < 0.65:
            return replace(self, gain=float(rng.uniform(2.5, 6.0)), offset=float(rng.uniform(0.0, 60.0)))
        if kind < 0.85:
            smear = (float(rng.uniform(5.0, 17.0)), float(rng.uniform(0.0, np.pi)))
            return replace(self, blur_px=float(rng.uniform(1.5, 5.0)), smear_px=smear)
        return replace(self, contrast=float(rng.uniform(0.03, 0.2)), noise=float(rng.uniform(4.0, 34.0)))

    def varied(self, rng: np.random.Generator) -> CameraLook:
        """Return the look a moment later: slightly different exposure, sometimes motion blur."""
        smear = self.smear_px
        if rng.random() < 0.1:
            smear = (float(rng.uniform(3.0, 11.0)), float(rng.uniform(0.0, np.pi)))
        return replace(self, gain=self.gain * float(rng.uniform(0.8, 1.2)), smear_px=smear)

    def apply(self, rgb: Image, noise: NoiseBank) -> Image:
        """Return the camera's picture of `(h, w, 3)` light."""
        picture: Image = rgb
        if self.smear_px[0] > 2.0:
            picture = smeared(picture, *self.smear_px)
        if self.blur_px > 0.0:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur_px))
        if self.saturation != 1.0:
            picture = np.asarray(cv2.transform(picture, _saturation_matrix(self.saturation)))
        picture = np.asarray(cv2.LUT(picture, self._table()))
        if self.noise > 0.0:
            picture = noise.add(picture, self.noise)
        if self.jpeg_quality is not None:
            picture = recompressed(picture, self.jpeg_quality)
        return picture

    def _table(self) -> Image:
        x = np.arange(256, dtype=np.float32)[:, None] / np.float32(255.0)
        y = (x * np.asarray(self.cast, np.float32) * np.float32(self.gain)) ** np.float32(self.gamma)
        y = (y - 0.5) * self.contrast + 0.5 if self.gain > 0.35 else y * self.contrast
        return np.asarray(np.clip(y * 255.0 + self.offset, 0, 255), np.uint8).reshape(1, 256, 3)


def _saturation_matrix(saturation: float) -> npt.NDArray[np.float32]:
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    return (saturation * np.eye(3, dtype=np.float32) + (1.0 - saturation) * luma).astype(np.float32)


def smeared(picture: Image, length_px: float, angle_rad: float) -> Image:
    """Return the picture blurred along a line."""
    reach = math.ceil(0.5 * length_px)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    dx, dy = 0.5 * length_px * math.cos(angle_rad), 0.5 * length_px * math.sin(angle_rad)
    ends = np.rint(np.array([reach - dx, reach - dy, reach + dx, reach + dy]) * 16).astype(int).tolist()
    cv2.line(kernel, (ends[0], ends[1]), (ends[2], ends[3]), 1.0, 1, cv2.LINE_8, 4)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()))


def recompressed(picture: Image, quality: int) -> Image:
    """Return the picture after JPEG compression."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
