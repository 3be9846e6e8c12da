"""Light: sky, sun, lamps, and what stands in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from render.camera import Floats, dot, unit
from render.picture import Picture
from render.shapes import rotation

Rgb = tuple[float, float, float]
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)


@dataclass(frozen=True)
class Blocker:
    """An ellipsoid that throws a soft shadow; `reach_m` is how far the shadow is followed."""

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    turn: Floats = field(default_factory=rotation)
    reach_m: float = 4.0


@dataclass(frozen=True)
class Contact:
    """The dark patch under something that stands on a horizontal plane at height `floor_m`."""

    centre: tuple[float, float]
    half: tuple[float, float]
    yaw: float = 0.0
    soft_m: float = 0.35
    strength: float = 0.85
    floor_m: float = 0.0


@dataclass(frozen=True)
class Sun:
    """Light from far away: `towards` points at the source."""

    towards: tuple[float, float, float]
    rgb: Rgb
    softness: float = 0.12


@dataclass(frozen=True)
class Lamp:
    """Light from a point, stronger along `aim` the larger `focus` is (0: all around).

    It throws the shadows of the blockers that are nearer to it than `shadows_m`.
    """

    position: tuple[float, float, float]
    rgb: Rgb
    aim: tuple[float, float, float] = (0.0, 0.0, -1.0)
    focus: float = 0.0
    softness: float = 0.25
    shadows_m: float = 9.0


@dataclass(frozen=True)
class Lighting:
    """All light of a moment."""

    above: Rgb
    below: Rgb
    sun: Sun | None = None
    lamps: Sequence[Lamp] = ()
    blockers: Sequence[Blocker] = ()
    contacts: Sequence[Contact] = ()


def light(
    picture: Picture, lighting: Lighting, sky_share: Floats | float = 1.0, sun_share: Floats | float = 1.0
) -> Floats:
    """Return the linear radiance `(H, W, 3)` of every surface; the sky stays 0.

    Args:
        picture: What is seen.
        lighting: The light there is.
        sky_share: `(H, W)` share of the sky's light that reaches each point (a tunnel has little).
        sun_share: `(H, W)` share of the sun's light that large things leave.
    """
    points = picture.points()
    normal = picture.normal
    upward = (0.5 + 0.5 * normal[..., 2:3]).astype(np.float32)
    ambient = upward * np.asarray(lighting.above, np.float32) + (1 - upward) * np.asarray(
        lighting.below, np.float32
    )
    open_sky = np.asarray(sky_share, np.float32) * _contact(points, lighting.contacts)
    arriving = ambient * open_sky[..., None]
    mirrored = np.zeros_like(arriving)
    view = -unit(picture.rays)
    if lighting.sun is not None:
        towards = unit(np.asarray(lighting.sun.towards, np.float32))
        clear = _clear(picture, points, towards, lighting.blockers, lighting.sun.softness) * np.asarray(
            sun_share, np.float32
        )
        facing = np.clip(normal @ towards, 0, 1) * clear
        arriving += facing[..., None] * np.asarray(lighting.sun.rgb, np.float32)
        mirrored += _highlight(picture, view, towards, clear)[..., None] * np.asarray(
            lighting.sun.rgb, np.float32
        )
    for lamp in lighting.lamps:
        _add_lamp(lamp, lighting, picture, points, view, arriving, mirrored)
    mirrored += _sky_mirror(normal, view, lighting) * open_sky[..., None]
    seen = picture.emit + picture.albedo * arriving + picture.gloss[..., None] * mirrored
    return np.where(np.isfinite(picture.depth)[..., None], seen, 0).astype(np.float32)


def _add_lamp(
    lamp: Lamp,
    lighting: Lighting,
    picture: Picture,
    points: Floats,
    view: Floats,
    arriving: Floats,
    mirrored: Floats,
) -> None:
    """Add the light of one lamp to what arrives and what is mirrored."""
    offset = np.asarray(lamp.position, np.float32) - points
    square = dot(offset, offset)
    towards = offset / np.sqrt(square)[..., None]
    strength = 1 / (square + np.float32(0.05))
    if lamp.focus > 0:
        strength *= np.clip(-(towards @ unit(np.asarray(lamp.aim, np.float32))), 0, 1) ** np.float32(
            lamp.focus
        )
    near = [
        b for b in lighting.blockers if np.linalg.norm(np.subtract(b.centre, lamp.position)) < lamp.shadows_m
    ]
    if near:
        strength *= _clear(picture, points, towards, near, lamp.softness)
    facing = np.clip(dot(picture.normal, towards), 0, 1) * strength
    rgb = np.asarray(lamp.rgb, np.float32)
    arriving += facing[..., None] * rgb
    mirrored += _highlight(picture, view, towards, strength)[..., None] * rgb


def _highlight(picture: Picture, view: Floats, towards: Floats, strength: Floats) -> Floats:
    """Return the glint `(H, W)` of a light in the direction `towards` on what is glossy."""
    shiny = picture.gloss > 0
    direction = towards if towards.ndim == 1 else towards[shiny]
    spread = np.clip(dot(picture.normal[shiny], unit(view[shiny] + direction)), 0, 1)
    glint = np.zeros(shiny.shape, np.float32)
    glint[shiny] = np.float32(6.0) * spread ** np.float32(90.0) * strength[shiny]
    return glint


def _sky_mirror(normal: Floats, view: Floats, lighting: Lighting) -> Floats:
    """Return the mirror image of the surroundings, stronger at grazing angles."""
    facing = np.clip(dot(normal, view), 0, 1)
    fresnel = np.float32(0.06) + np.float32(0.94) * (1 - facing) ** 5
    height = np.clip(2 * facing * normal[..., 2] - view[..., 2], -1, 1)
    sky = np.clip(0.5 + 2.5 * height, 0, 1)[..., None]
    above, below = np.asarray(lighting.above, np.float32), np.asarray(lighting.below, np.float32)
    return fresnel[..., None] * (sky * above + (1 - sky) * below * np.float32(0.6))


def _contact(points: Floats, contacts: Sequence[Contact]) -> Floats:
    """Return the share of sky light left near the feet of things."""
    left = np.ones(points.shape[:2], np.float32)
    for contact in contacts:
        c, s = np.cos(contact.yaw), np.sin(contact.yaw)
        dx, dy = points[..., 0] - contact.centre[0], points[..., 1] - contact.centre[1]
        near = (np.abs(dx) < contact.half[0] + contact.half[1] + contact.soft_m) & (
            np.abs(points[..., 2] - contact.floor_m) < max(0.02, contact.soft_m * 0.2)
        )
        near &= np.abs(dy) < contact.half[0] + contact.half[1] + contact.soft_m
        x, y = dx[near], dy[near]
        qx, qy = np.abs(c * x + s * y) - contact.half[0], np.abs(c * y - s * x) - contact.half[1]
        outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0)
        dark = np.clip(0.5 - outside / contact.soft_m * 0.5, 0, 1)
        left[near] *= 1 - contact.strength * dark * dark * (3 - 2 * dark)
    return left


def _clear(
    picture: Picture, points: Floats, towards: Floats, blockers: Sequence[Blocker], softness: float
) -> Floats:
    """Return the share `(H, W)` of a light that passes the blockers, found on every other pixel."""
    height, width = points.shape[:2]
    thin = points[::2, ::2]
    passed = np.ones(thin.shape[:2], np.float32)
    for blocker in blockers:
        reach = _CORNERS * np.float32(blocker.reach_m)
        window = picture.camera.window(np.asarray(blocker.centre, np.float32) + reach)
        if window is None:
            continue
        half = tuple(slice(part.start // 2, part.stop // 2) for part in window)
        direction = towards if towards.ndim == 1 else towards[::2, ::2][half]
        passed[half] *= 1 - _shade(thin[half], direction, blocker, softness)
    return cv2.resize(passed, (width, height), interpolation=cv2.INTER_LINEAR)


def _shade(points: Floats, towards: Floats, blocker: Blocker, softness: float) -> Floats:
    """Return how much of the light from `towards` one blocker takes from each point."""
    half, centre = np.asarray(blocker.half, np.float32), np.asarray(blocker.centre, np.float32)
    offset = centre - points
    o, d = (offset @ blocker.turn.T) / half, (towards @ blocker.turn.T) / half
    dd = dot(d, d)
    along = dot(o, d) / dd
    oo = dot(o, o)
    miss = np.sqrt(np.maximum(oo - along * along * dd, 0))
    width = softness * np.maximum(along / half.mean(), 0) + np.float32(0.12)
    shade = np.clip((1 + width - miss) / (2 * width), 0, 1)
    shade = shade * shade * (3 - 2 * shade) * ((along > 0) & (oo > 1.15))
    return shade * np.clip(2 - 2 * np.sqrt(dot(offset, offset)) / blocker.reach_m, 0, 1)
