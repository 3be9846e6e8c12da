"""A street at night: a pedestrian walks through dark and lamp light, behind a parked car and a post."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from render.camera import Camera, Floats, dot, unit
from render.car import Car, Look
from render.figure import Clothes, Person
from render.light import Lamp, Lighting, light
from render.motion import Shake, path
from render.picture import Picture
from render.sensor import Bytes, ColourCamera, ThermalCore, Words
from render.shapes import Box, Ellipsoid, RoundCone
from render.surface import Hit, Surface, plain
from render.texture import bricks, colour, hashed, inside, mix, noise_tile

from scenes.clip import Drawable, PixelBox, exposures, true_box

DURATION_S = 6
RGB_RATE, THERMAL_RATE = Fraction(30), Fraction(15)
THERMAL_START_S = Fraction(12, 1000)
_SHUTTER_S = 1 / 40
_PARTS = 4
_GROUND, _CLOTH, _DIRT = (
    noise_tile(1, 6.0, slope=0.7),
    noise_tile(2, 1.2, slope=1.3),
    noise_tile(3, 3.0, slope=1.4),
)
_WALL = noise_tile(4, 9.0, slope=1.2)
_KERB_Y, _FACADE_Y = 10.1, 15.5
_SODIUM = (1.0, 0.66, 0.30)
_LAMP_XS = (-7.2, 2.4, 11.5)

_COLOUR = ColourCamera(exposure=2.1, electrons=2000.0, read_noise=0.007, bloom=0.16, seed=11)
_THERMAL = ThermalCore(seed=12)


@dataclass(frozen=True)
class _Walker:
    """A person walking on a straight line."""

    person: Person
    start: tuple[float, float]
    velocity: tuple[float, float]
    phase_m: float = 0.0
    faces: float = 0.0

    def at(self, time_s: float) -> tuple[float, float]:
        return self.start[0] + self.velocity[0] * time_s, self.start[1] + self.velocity[1] * time_s

    def shapes(self, time_s: float) -> list[Drawable]:
        speed = float(np.hypot(*self.velocity))
        heading = float(np.arctan2(self.velocity[1], self.velocity[0])) if speed > 0 else self.faces
        return [*self.person.pose(*self.at(time_s), heading, self.phase_m + speed * time_s, 0.12)]


def _person(
    height: float, coat: tuple[float, float, float], trousers: tuple[float, float, float], **more: bool
) -> Person:
    return Person(height, Clothes(coat, trousers, **more), _CLOTH)


_TARGET = _Walker(_person(1.78, (0.34, 0.07, 0.06), (0.10, 0.11, 0.15)), (-4.25, 12.75), (1.42, -0.06), 0.3)
_OTHERS = (
    _Walker(
        _person(1.72, (0.10, 0.12, 0.10), (0.06, 0.06, 0.07), long_coat=True), (5.4, 13.9), (-1.22, 0.02), 0.9
    ),
    _Walker(_person(1.66, (0.30, 0.28, 0.25), (0.05, 0.06, 0.12)), (6.1, 14.6), (0, 0), 0.12, faces=1.9),
    _Walker(_person(1.80, (0.07, 0.07, 0.09), (0.09, 0.08, 0.07)), (-1.2, 14.2), (1.18, 0.0), 0.6),
    _Walker(_person(1.70, (0.22, 0.10, 0.07), (0.05, 0.05, 0.06)), (-8.6, 14.3), (1.30, 0.01), 0.0),
)
_PARKED = (
    Car(Look((0.16, 0.18, 0.21), engine_heat=29120), -0.4, 8.95, 0.02, _DIRT),
    Car(Look((0.045, 0.05, 0.09), saloon=True, engine_heat=29800, body_heat=28900), 6.6, 9.0, -0.01, _DIRT),
    Car(Look((0.30, 0.29, 0.27), saloon=True, engine_heat=28900), -7.2, 8.95, 0.0, _DIRT),
)


def camera(time_s: float) -> Camera:
    """Return the hand-held, slowly panning colour camera."""
    yaw = path((0, 2.2, 4.4, 6), ((-0.06,), (0.05,), (0.17,), (0.21,)), time_s)[0]
    return Camera(
        (0.0, 0.0, 4.0),
        float(yaw) + Shake(21, 0.0035)(time_s),
        -0.155 + Shake(22, 0.003)(time_s),
        Shake(23, 0.004)(time_s),
        650.0,
        640,
        360,
    )


def thermal_camera(time_s: float) -> Camera:
    """Return the thermal camera: beside the colour camera, half the grid, not perfectly aligned."""
    seen = camera(time_s)
    x, y, z = seen.position
    aside = replace(seen, position=(x + 0.06, y, z + 0.03), yaw=seen.yaw + 0.001, pitch=seen.pitch + 0.0012)
    return replace(aside.scaled(0.5), roll=seen.roll + 0.004)


def box(frame: int) -> PixelBox:
    """Return the true box of the target in a colour frame."""
    time_s = float(frame / RGB_RATE)
    return true_box(camera(time_s), _TARGET.shapes(time_s))


def colour_frame(frame: int) -> Bytes:
    """Return one colour picture `(360, 640, 3)`."""
    total: Floats | float = 0.0
    for time_s, dx, dy in exposures(float(frame / RGB_RATE), _SHUTTER_S, _PARTS):
        picture = Picture(camera(time_s), dx, dy)
        picture.draw(_scene(time_s))
        radiance = light(picture, _lighting(time_s))
        sky = ~np.isfinite(picture.depth)
        radiance[sky] = (0.006, 0.007, 0.012)
        total = total + radiance / _PARTS
    return _COLOUR.develop(np.asarray(total, np.float32), frame)


def thermal_frame(frame: int) -> Words:
    """Return one thermal picture `(180, 320)` in hundredths of a kelvin."""
    total: Floats | float = 0.0
    for time_s, dx, dy in exposures(float(THERMAL_START_S + frame / THERMAL_RATE), 0.012, _PARTS):
        picture = Picture(thermal_camera(time_s), dx, dy)
        picture.draw(_scene(time_s))
        view = unit(picture.rays)
        grazing = 1 - np.clip(-dot(picture.normal, view), 0, 1)
        heat = picture.heat - np.clip(picture.heat - 28600, 0, None) * 0.28 * grazing**3
        up = np.clip(picture.rays[..., 2] / 0.3, 0, 1)
        total = total + np.where(np.isfinite(picture.depth), heat, 27250 - 550 * up) / _PARTS
    return _THERMAL.measure(np.asarray(total, np.float32), frame)


def _passing_car(time_s: float) -> Car:
    look = Look((0.32, 0.33, 0.35), head_glow=60, tail_glow=3, engine_heat=30150, body_heat=29050)
    driven = 7.6 * (time_s - 2.6)
    return Car(look, 1.0 - driven, 6.35, np.pi, _DIRT, driven)


def _scene(time_s: float) -> list[Drawable]:
    shapes: list[Drawable] = [*_STREET]
    for walker in (_TARGET, *_OTHERS):
        shapes += walker.shapes(time_s)
    for car in (*_PARKED, _passing_car(time_s)):
        shapes += car.shapes()
    return shapes


def _lighting(time_s: float) -> Lighting:
    walkers = (_TARGET, *_OTHERS)
    passing = _passing_car(time_s)
    lamps = [Lamp((x, 10.95, 5.05), tuple(13.0 * c for c in _SODIUM), focus=1.6) for x in _LAMP_XS]
    lamps.append(Lamp((5.6, 15.0, 2.3), (1.9, 1.75, 1.35), (0, -0.8, -0.6), 1.0, 0.5, 4.0))
    for left in (-0.6, 0.6):
        ahead = passing.to_world(2.3, left, 0.66)
        aim = np.subtract(passing.to_world(14, left, -0.1), ahead)
        lamps.append(Lamp(ahead, (34.0, 32.0, 28.0), tuple(aim), 26.0, shadows_m=0.0))
    return Lighting(
        above=(0.016, 0.018, 0.026),
        below=(0.016, 0.012, 0.008),
        lamps=lamps,
        blockers=[b for w in walkers for b in w.person.blockers(*w.at(time_s), 0.12)]
        + [b for car in _PARKED[:2] for b in car.blockers()],
        contacts=[car.contact() for car in (*_PARKED, passing)],
    )


def _road(hit: Hit) -> Surface:
    x, y = hit.world[:, 0], hit.world[:, 1]
    grain = _GROUND.sample(x, y, hit.footprint)
    worn = _WALL.sample(x * 0.3, y, hit.footprint)
    rgb = colour(len(x), (0.085, 0.085, 0.09)) * (1 + 0.22 * grain + 0.12 * worn)[:, None]
    dash = inside(y, 5.0 - 0.07, 5.0 + 0.07, hit.footprint) * inside(np.mod(x, 6), 1, 4, hit.footprint)
    line = inside(y, 8.0 - 0.05, 8.0 + 0.05, hit.footprint) * inside(np.mod(x, 5.2), 0.1, 0.9, 0.02)
    rgb = mix(rgb, (0.45, 0.45, 0.43), np.maximum(dash, line) * np.clip(0.75 + 0.2 * grain, 0, 1))
    wet = np.clip(0.25 + 0.5 * worn, 0, 0.8)
    return Surface(rgb, gloss=0.35 * wet, heat=29080 + 14 * grain + 22 * worn)


def _pavement(hit: Hit) -> Surface:
    x, y = hit.world[:, 0], hit.world[:, 1]
    grain = _GROUND.sample(x, y, hit.footprint)
    i, j = np.floor(x / 0.6), np.floor(y / 0.6)
    tint = hashed(i, j, 3)
    face = inside(x - i * 0.6, 0.012, 0.588, hit.footprint) * inside(y - j * 0.6, 0.012, 0.588, hit.footprint)
    rgb = colour(len(x), (0.24, 0.23, 0.22)) * (0.85 + 0.3 * tint + 0.15 * grain)[:, None]
    rgb = mix(rgb, (0.07, 0.07, 0.07), 1 - face)
    return Surface(rgb, heat=28930 + 16 * grain + 24 * tint)


def _brick_wall(hit: Hit) -> Surface:
    x, z = hit.world[:, 0], hit.world[:, 2]
    tint, mortar = bricks(x, z, hit.footprint)
    stain = _WALL.sample(x, z, hit.footprint)
    rgb = mix(colour(len(x), (0.19, 0.085, 0.06)), (0.12, 0.06, 0.05), tint) * (1 + 0.18 * stain)[:, None]
    rgb = mix(rgb, (0.24, 0.22, 0.20), 0.7 * mortar)
    return _with_windows(hit, Surface(rgb, heat=28880 + 25 * stain + 18 * tint), width_m=2.3, seed=5)


def _plaster_wall(hit: Hit) -> Surface:
    x, z = hit.world[:, 0], hit.world[:, 2]
    stain = _WALL.sample(x, z, hit.footprint)
    grain = _GROUND.sample(x, z, hit.footprint)
    rgb = colour(len(x), (0.36, 0.33, 0.27)) * (1 + 0.12 * stain + 0.06 * grain)[:, None]
    rgb = mix(rgb, (0.12, 0.12, 0.12), inside(z, -1, 0.55, 0.05))
    return _with_windows(hit, Surface(rgb, heat=28790 + 30 * stain), width_m=2.6, seed=9)


def _with_windows(hit: Hit, wall: Surface, width_m: float, seed: int) -> Surface:
    """Cut windows of the upper and ground floor into a wall; some are lit."""
    x, z, edge = hit.world[:, 0], hit.world[:, 2], hit.footprint
    i, floor = np.floor(x / width_m), np.floor(z / 2.9)
    u, v = x - (i + 0.5) * width_m, z - floor * 2.9
    frame = inside(u, -0.60, 0.60, edge) * inside(v, 0.95, 2.35, edge)
    glass = inside(np.abs(u), 0.035, 0.53, edge) * inside(v, 1.02, 2.28, edge)
    lit = (hashed(i, floor, seed) > 0.66) * inside(v, 1.0, 1.75 + 0.5 * hashed(floor, i, seed), edge)
    rgb = mix(mix(wall.albedo, (0.35, 0.34, 0.32), frame), (0.015, 0.016, 0.02), glass)
    warm = np.stack([0.34 + 0.1 * hashed(i, floor), 0.23 + 0.05 * hashed(floor, i), 0.10 + 0 * u], axis=1)
    fabric = 0.8 + 0.2 * np.cos(40 * u)
    emit = warm * (glass * lit * fabric)[:, None]
    warmth = np.where(hashed(i, floor, seed) > 0.66, 240.0, 40.0)
    heat = np.asarray(wall.heat) * (1 - frame) + frame * (28760 + warmth)
    return Surface(rgb, emit.astype(np.float32), 0.5 * glass, heat.astype(np.float32))


def _shop(hit: Hit) -> Surface:
    """A lit shop window: shelves, goods, a dark frame, a sign above."""
    x, z, edge = hit.local[:, 0], hit.world[:, 2], hit.footprint
    pane = inside(np.abs(np.mod(x + 1.5, 1.0) - 0.5), -1, 0.46, edge) * inside(z, 0.55, 2.35, edge)
    shelf = inside(np.mod(z, 0.45), 0.0, 0.05, edge)
    goods = hashed(np.floor(x / 0.13), np.floor(z / 0.45), 2)
    tall = inside(np.mod(z, 0.45), 0.05, 0.12 + 0.27 * goods, edge) * (goods > 0.25)
    hue = np.stack([hashed(np.floor(x / 0.13), np.floor(z / 0.45), k) for k in (3, 4, 5)], axis=1)
    inner = colour(len(x), (0.85, 0.78, 0.58)) * (0.55 + 0.25 * np.clip(z - 0.6, 0, 2))[:, None]
    inner = mix(inner, (0.25, 0.20, 0.14), shelf)
    inner = inner * (1 - tall[:, None]) + hue * tall[:, None] * np.float32(0.7)
    sign = inside(z, 2.48, 2.80, edge) * inside(np.abs(x), -1, 1.4, edge)
    letters = sign * inside(z, 2.55, 2.73, edge) * (hashed(np.floor(x / 0.09), 0 * x, 8) > 0.4)
    emit = inner * (0.55 * pane)[:, None] + letters[:, None] * np.array([0.2, 0.9, 0.75], np.float32)
    return Surface(
        mix(colour(len(x), (0.05, 0.06, 0.06)), (0.02, 0.05, 0.05), sign),
        emit,
        0.2 * pane,
        28980 + 160 * pane,
    )


def _street() -> list[Drawable]:
    """Return everything that does not move."""
    iron = plain((0.05, 0.055, 0.05), gloss=0.2, heat=28780)
    shapes: list[Drawable] = [
        Box((0, _KERB_Y - 20, -0.5), (60, 20, 0.5), _road),
        Box((0, 30, -0.38), (60, 30 - _KERB_Y, 0.5), _pavement),
        Box((-12, _FACADE_Y + 4, 5), (15.2, 4, 5), _brick_wall),
        Box((5.6, _FACADE_Y + 4, 2.35), (2.38, 4, 2.5), _plaster_wall),
        Box((5.6, _FACADE_Y + 0.05, 1.5), (1.6, 0.12, 1.5), _shop),
        Box((17.5, _FACADE_Y + 3, 4.5), (6.2, 4, 5), _brick_wall),
        Box((9, 42, 3.2), (14, 3, 4.2), _plaster_wall),
        Box((-2.3, _FACADE_Y - 0.05, 1.05), (0.46, 0.1, 1.05), plain((0.05, 0.09, 0.07), heat=28990)),
        Box((9.3, 14.6, 0.6), (0.32, 0.3, 0.5), plain((0.06, 0.09, 0.06), heat=28820)),
    ]
    for x in _LAMP_XS:
        shapes += [
            RoundCone((x, 10.55, 0.0), (x, 10.55, 5.1), 0.085, 0.06, iron),
            RoundCone((x, 10.55, 5.1), (x, 10.95, 5.2), 0.04, 0.04, iron),
            Ellipsoid(
                (x, 10.98, 5.16), (0.17, 0.26, 0.07), plain((0.1, 0.1, 0.1), emit=(7.0, 4.6, 2.1), heat=30650)
            ),
        ]
    for x in (-9.9, -5.1, 1.9, 4.4, 9.4):
        shapes.append(RoundCone((x, 10.4, 0.1), (x, 10.4, 0.95), 0.06, 0.055, iron))
    return shapes


_STREET = _street()
