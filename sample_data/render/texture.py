"""Tileable noise and the patterns made from it; all lengths in metres."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from render.camera import Floats

_ROW = 512  # remap wants maps narrower than 32768


@dataclass(frozen=True)
class Tile:
    """A square of noise, zero mean and unit spread, repeated over a plane.

    Args:
        sharp: `(S, S)` values.
        soft: The same, smoothed, for where a pixel covers many texels.
        period_m: Side length of the square.
    """

    sharp: Floats
    soft: Floats
    period_m: float

    def sample(self, u_m: Floats, v_m: Floats, footprint_m: Floats | float = 0.0) -> Floats:
        """Return the noise at `(u, v)`, fading towards its smooth part as the footprint grows."""
        size = self.sharp.shape[0]
        texel = self.period_m / size
        x, y = np.mod(u_m / texel, size), np.mod(v_m / texel, size)
        weight = np.clip((footprint_m / texel - 1) / 6, 0, 1).astype(np.float32)
        return _lookup(self.sharp, x, y) * (1 - weight) + _lookup(self.soft, x, y) * weight


def _lookup(image: Floats, x: Floats, y: Floats) -> Floats:
    """Return `image` at `(x, y)` with linear interpolation and wrap-around."""
    count = x.size
    padded = -(-count // _ROW) * _ROW
    maps = np.zeros((2, padded), np.float32)
    maps[0, :count], maps[1, :count] = x, y
    grid = maps.reshape(2, -1, _ROW)
    out = cv2.remap(image, grid[0], grid[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return out.reshape(-1)[:count]


def noise_tile(
    seed: int, period_m: float, *, size: int = 512, slope: float = 1.0, stretch: float = 1.0
) -> Tile:
    """Return a tile whose amplitude falls as `frequency ** -slope`; `stretch` > 1 draws it out along u."""
    white = np.random.default_rng(seed).standard_normal((size, size))
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.fftfreq(size)[None, :] * size * stretch
    radius = np.maximum(np.hypot(fx, fy), 1.0)
    field = np.fft.ifft2(np.fft.fft2(white) * radius**-slope).real
    field = (field - field.mean()) / field.std()
    sharp = field.astype(np.float32)
    wrapped = cv2.copyMakeBorder(sharp, 32, 32, 32, 32, cv2.BORDER_WRAP)
    return Tile(sharp, cv2.GaussianBlur(wrapped, (0, 0), 4)[32:-32, 32:-32].copy(), period_m)


def hashed(i: Floats, j: Floats, seed: int = 0) -> Floats:
    """Return a number in [0, 1) for every integer pair: the same pair, the same number."""
    a = np.asarray(i).astype(np.int64).astype(np.uint32) * np.uint32(0x9E3779B1)
    b = np.asarray(j).astype(np.int64).astype(np.uint32) * np.uint32(0x85EBCA77)
    h = a ^ b ^ np.uint32(seed * 0x27D4EB2F & 0xFFFFFFFF)
    for _ in range(2):
        h ^= h >> np.uint32(15)
        h *= np.uint32(0x2C1B3C6D)
        h ^= h >> np.uint32(12)
    return (h >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def inside(value: Floats, low: float, high: float, edge: Floats | float = 0.0) -> Floats:
    """Return 1 where `low < value < high`, 0 elsewhere, with a ramp `edge` wide on both borders."""
    width = np.maximum(edge, 1e-4)
    rise = np.clip((value - low) / width + 0.5, 0, 1)
    fall = np.clip((high - value) / width + 0.5, 0, 1)
    return np.minimum(rise, fall).astype(np.float32)


def mix(first: Floats, second: Floats | tuple[float, ...], weight: Floats) -> Floats:
    """Blend colours `(N, 3)` towards `second` by `weight` `(N,)`."""
    w = np.asarray(weight, np.float32)[:, None]
    return first * (1 - w) + np.asarray(second, np.float32) * w


def colour(count: int, rgb: tuple[float, float, float]) -> Floats:
    """Return `count` rows of one linear colour."""
    return np.tile(np.asarray(rgb, np.float32), (count, 1))


def bricks(u_m: Floats, v_m: Floats, footprint_m: Floats) -> tuple[Floats, Floats]:
    """Return the tint in [0, 1) of the brick at `(u, v)` and how much mortar shows there."""
    height, length, joint = 0.075, 0.24, 0.012
    row = np.floor(v_m / height)
    shifted = u_m + np.mod(row, 2) * (length / 2)
    column = np.floor(shifted / length)
    edge = np.maximum(footprint_m, 0.004)
    face = inside(v_m - row * height, joint / 2, height - joint / 2, edge)
    face = face * inside(shifted - column * length, joint / 2, length - joint / 2, edge)
    return hashed(column, row, 7), 1 - face
