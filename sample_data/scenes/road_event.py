"""A drive into low sun and through an underpass: the car ahead changes lanes behind another one."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from render.camera import Camera, Floats, unit
from render.car import Car, Look
from render.light import Blocker, Lamp, Lighting, Sun, light
from render.motion import Shake, path, smoothstep
from render.picture import Picture
from render.sensor import Bytes, ColourCamera, EventCamera
from render.shapes import Box, Ellipsoid, RoundCone
from render.surface import Hit, Surface, plain
from render.texture import colour, hashed, inside, mix, noise_tile

from scenes.clip import Drawable, PixelBox, true_box

DURATION_S = 6
RATE = Fraction(25)
WIDTH, HEIGHT = 346, 260
STEPS = 6  # pictures of the scene per frame: what the event camera sees of the motion
_EXPOSED = slice(1, 5)  # the steps during which the colour shutter is open
_SPEED = 14.0
_TUNNEL, _CEILING_M = (40.0, 68.0), 4.7
_SUNWARDS = np.array([0.20, 0.94, 0.27]) / np.linalg.norm([0.20, 0.94, 0.27])
_ASPHALT, _PATCHES, _LEAVES = (
    noise_tile(71, 3.0, slope=0.6),
    noise_tile(72, 14.0, slope=1.3),
    noise_tile(73, 2.0, slope=0.8),
)
_DIRT = noise_tile(74, 3.0, slope=1.4)
_COLOUR = ColourCamera(exposure=0.62, electrons=2500.0, read_noise=0.006, bloom=0.10, vignette=0.3, seed=81)


def camera(time_s: float) -> Camera:
    """Return the camera behind the windscreen."""
    return Camera(
        (Shake(91, 0.05, 0.1, 0.6)(time_s), _SPEED * time_s, 1.5 + Shake(92, 0.012, 0.8, 5.0)(time_s)),
        float(path((0, 3, 6), ((0.02,), (0.05,), (0.10,)), time_s)[0]) + Shake(93, 0.004)(time_s),
        -0.035 + Shake(94, 0.0035, 0.7, 6.0)(time_s),
        Shake(95, 0.004)(time_s),
        330.0,
        WIDTH,
        HEIGHT,
    )


def frame_count() -> int:
    """Return how many frames the clip has."""
    return int(DURATION_S * RATE)


def box(frame: int) -> PixelBox:
    """Return the true box of the car ahead."""
    time_s = float(frame / RATE)
    return true_box(camera(time_s), _target(time_s).shapes())


def radiances(frame: int) -> Floats:
    """Return what falls on the sensors during one frame, `(STEPS, HEIGHT, WIDTH, 3)`."""
    moments = [float((frame + (k + 0.5) / STEPS - 0.5) / RATE) for k in range(STEPS)]
    return np.stack([_radiance(time_s) for time_s in moments])


def colour_frame_of(steps: Floats, frame: int) -> Bytes:
    """Return the colour picture of a frame from its radiances."""
    return _COLOUR.develop(steps[_EXPOSED].mean(axis=0), frame, _auto_exposure(float(frame / RATE)))


def event_camera() -> EventCamera:
    """Return the event camera at the start of the clip."""
    return EventCamera((HEIGHT, WIDTH), dark=0.006, seed=82)


def _radiance(time_s: float) -> Floats:
    """Return the scene as light sees it, drawn twice as fine and averaged."""
    picture = Picture(camera(time_s).scaled(2))
    picture.draw(_scene(time_s))
    points = picture.points()
    seen = light(picture, _lighting(time_s), _sky_share(points), _sun_share(points))
    depth = picture.depth
    air = (1 - np.exp(-np.minimum(depth, 2000) / 260))[..., None].astype(np.float32)
    sky = _sky(picture.rays)
    haze = air * np.float32(0.5) * (_sky_share(points) ** 0.5)[..., None]
    seen = np.where(np.isfinite(depth)[..., None], seen * (1 - haze) + haze * np.minimum(sky, 1.4), sky)
    return cv2.resize(seen.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def _sky(rays: Floats) -> Floats:
    """Return the radiance of the sky along rays, with the sun in it."""
    view = unit(rays)
    angle = np.arccos(np.clip(view @ _SUNWARDS.astype(np.float32), -1, 1))[..., None]
    up = np.clip(view[..., 2:3] / 0.45, 0, 1)
    base = (1 - up) * np.array([1.25, 1.10, 0.92], np.float32) + up * np.array([0.42, 0.62, 0.95], np.float32)
    halo = 2.6 * np.exp(-angle / 0.10) + 0.9 * np.exp(-angle / 0.32)
    disc = 90.0 * np.clip((0.021 - angle) / 0.004, 0, 1)
    return (base + (halo + disc) * np.array([1.0, 0.86, 0.62], np.float32)).astype(np.float32)


def _auto_exposure(time_s: float) -> float:
    """Return the gain of the colour camera: it notices the dark, and the light after it, late."""
    return 1 + 5.5 * (smoothstep(2.85, 3.75, time_s) - smoothstep(4.75, 5.35, time_s))


def _sky_share(points: Floats) -> Floats:
    """Return how much of the sky's light gets to a point: little under the bridge."""
    y, z = points[..., 1], points[..., 2]
    depth = np.minimum(y - _TUNNEL[0], _TUNNEL[1] - y)
    under = (z < _CEILING_M + 0.02) & (np.abs(points[..., 0] + 2.5) < 11)
    dark = 0.012 + 0.75 * np.exp(-np.maximum(depth, 0) / 3.2)
    outside = 1 - 0.25 * np.exp(-np.maximum(-depth, 0) / 3.0)
    return np.where(under, np.where(depth > 0, dark, outside), 1).astype(np.float32)


def _sun_share(points: Floats) -> Floats:
    """Return how much sun the bridge leaves to a point: its shadow falls towards the camera."""
    rise = np.maximum(_CEILING_M + 0.6 - points[..., 2], 0)
    y = points[..., 1] + rise * np.float32(_SUNWARDS[1] / _SUNWARDS[2])
    low = points[..., 2] < _CEILING_M + 1.15
    return 1 - inside(y, _TUNNEL[0] + 1.5, _TUNNEL[1] + 1.5, 0.7) * low


def _ahead(
    time_s: float, times: tuple[float, ...], spots: tuple[tuple[float, float], ...], look: Look
) -> Car:
    """Return a car whose place is given as `x` and distance ahead of the camera."""
    (x, d), (x2, d2) = path(times, spots, time_s), path(times, spots, time_s + 0.05)
    heading = float(np.arctan2(_SPEED * 0.05 + d2 - d, x2 - x))
    driven = _SPEED * time_s + d
    return Car(look, float(x), float(driven), heading, _DIRT, float(driven))


def _brakes(car_y: float) -> float:
    return (
        0.25
        + 0.9 * smoothstep(_TUNNEL[0] - 6, _TUNNEL[0], car_y)
        - 0.7 * smoothstep(_TUNNEL[1] + 2, _TUNNEL[1] + 9, car_y)
    )


def _target(time_s: float) -> Car:
    times = (0.0, 1.4, 2.6, 3.8, 4.8, 6.0)
    spots = ((0.35, 11.6), (0.25, 10.2), (0.9, 11.2), (2.7, 12.6), (3.25, 12.4), (3.0, 10.2))
    place = path(times, spots, time_s)
    return _ahead(
        time_s, times, spots, Look((0.36, 0.40, 0.45), tail_glow=_brakes(_SPEED * time_s + place[1]))
    )


def _others(time_s: float) -> list[Car]:
    glow = 0.5
    cars = [
        _ahead(time_s, (0, 1.5, 3.0, 4.3, 6), ((3.9, 19), (3.9, 15.5), (3.95, 9.6), (3.95, 8.3), (4.2, 5.8)),
               Look((0.30, 0.035, 0.03), saloon=True, tail_glow=glow)),
        _ahead(time_s, (-0.1, 2.5, 6), ((-3.4, 5.2), (-3.45, 12.5), (-3.4, 24)),
               Look((0.40, 0.41, 0.42), tail_glow=glow)),
        _ahead(time_s, (0, 6), ((0.1, 31), (0.0, 27)), Look((0.05, 0.055, 0.07), size=1.12, tail_glow=glow)),
        _ahead(time_s, (0, 6), ((-3.5, 40), (-3.5, 38)), Look((0.5, 0.5, 0.48), saloon=True, tail_glow=glow)),
    ]  # fmt: skip
    for start, paint in (
        (62.0, (0.25, 0.25, 0.27)),
        (110.0, (0.05, 0.09, 0.20)),
        (128.0, (0.45, 0.44, 0.42)),
    ):
        y = start - 11.0 * time_s
        cars.append(
            Car(Look(paint, saloon=start > 100, head_glow=4.0), -8.9, y, -np.pi / 2, _DIRT, 11 * time_s)
        )
    ego = _SPEED * time_s
    return [car for car in cars if ego + 3.2 < car.y < ego + 90]


def _lighting(time_s: float) -> Lighting:
    ego = _SPEED * time_s
    cars = [_target(time_s), *_others(time_s)]
    near = [car for car in cars if car.y < ego + 45]
    lamps = [  # one for each pair of fittings: from below they light the same
        Lamp((-0.5, y, _CEILING_M - 0.2), (1.0, 0.76, 0.44), focus=1.0, shadows_m=0.0)
        for y in np.arange(_TUNNEL[0] + 5, _TUNNEL[1], 9)
        if ego - 4 < y < ego + 26
    ]
    trees = [
        Blocker((x, y, 5.2), (1.7, 1.7, 1.8), reach_m=24.0)
        for x, y in _tree_spots(ego)
        if x > 0 and ego < y < ego + 45
    ]
    return Lighting(
        above=(0.46, 0.52, 0.62),
        below=(0.16, 0.15, 0.13),
        sun=Sun(tuple(_SUNWARDS), (2.5, 2.05, 1.45), 0.03),
        lamps=lamps,
        blockers=[b for car in near for b in car.blockers()] + trees,
        contacts=[car.contact() for car in near],
    )


def _scene(time_s: float) -> list[Drawable]:
    ego = _SPEED * time_s
    shapes: list[Drawable] = [
        Box((0, 100, -0.5), (60, 160, 0.5), _ground),
        *_bridge(),
        *_roadside(ego),
    ]
    for car in (_target(time_s), *_others(time_s)):
        shapes += car.shapes()
    return shapes


def _bridge() -> list[Drawable]:
    middle, half = (_TUNNEL[0] + _TUNNEL[1]) / 2, (_TUNNEL[1] - _TUNNEL[0]) / 2
    shapes: list[Drawable] = [
        Box((-2.5, middle, _CEILING_M + 0.55), (26, half, 0.55), _concrete),
        Box((7.4, middle, 2.3), (0.4, half, 2.5), _concrete),
        Box((-13.0, middle, 2.3), (0.4, half, 2.5), _concrete),
        Box((-2.5, _TUNNEL[0] - 0.1, _CEILING_M + 1.6), (26, 0.06, 0.06), plain((0.1, 0.14, 0.12))),
        Box((-2.5, _TUNNEL[0] - 0.1, _CEILING_M + 2.0), (26, 0.06, 0.06), plain((0.1, 0.14, 0.12))),
    ]
    shapes += [
        Box((-5.9, y, 2.3), (0.28, 0.45, 2.5), _concrete) for y in np.arange(_TUNNEL[0] + 1, _TUNNEL[1], 4.5)
    ]
    shapes += [
        Box((x, _TUNNEL[0] - 0.1, _CEILING_M + 1.6), (0.04, 0.05, 0.5), plain((0.1, 0.14, 0.12)))
        for x in np.arange(-22, 20, 2.0)
    ]
    shapes += [
        Box((x, y, _CEILING_M - 0.04), (0.12, 0.7, 0.05), plain((0.3, 0.3, 0.3), emit=(1.1, 0.8, 0.42)))
        for y in np.arange(_TUNNEL[0] + 5, _TUNNEL[1], 9)
        for x in (-3.5, 3.5)
    ]
    return shapes


def _tree_spots(ego: float) -> list[tuple[float, float]]:
    spots = []
    for i in range(int(ego // 11), int(ego // 11) + 11):
        for side in (-1, 1):
            shift = float(hashed(np.array([i]), np.array([side + 5]), 4)[0])
            x, y = side * 11.5 - 3 * (side < 0) + 2 * shift, i * 11 + 6 * shift
            if not _TUNNEL[0] - 4 < y < _TUNNEL[1] + 4:
                spots.append((x, y))
    return spots


def _roadside(ego: float) -> list[Drawable]:
    """Return what passes by: trees, lamp posts, rails, houses; only what can be seen."""
    shapes: list[Drawable] = []
    for x, y in _tree_spots(ego):
        shapes.append(RoundCone((x, y, 0), (x, y, 4.2), 0.16, 0.12, plain((0.09, 0.07, 0.05))))
        for k in range(9):
            dx, dy, dz = (float(hashed(np.array([int(y)]), np.array([k]), s)[0]) for s in (1, 2, 3))
            centre = (x + 3.0 * (dx - 0.5), y + 3.0 * (dy - 0.5), 3.7 + 3.0 * dz)
            half = (0.7 + 0.6 * dy, 0.7 + 0.6 * dx, 0.55 + 0.45 * dx)
            shapes.append(Ellipsoid(centre, half, _foliage))
    for i in range(int(ego // 18), int(ego // 18) + 6):
        y = i * 18.0 + 7
        if not _TUNNEL[0] - 2 < y < _TUNNEL[1] + 2:
            shapes.append(RoundCone((7.0, y, 0), (7.0, y, 7.5), 0.10, 0.07, plain((0.20, 0.21, 0.22))))
            shapes.append(RoundCone((7.0, y, 7.5), (5.2, y, 7.8), 0.06, 0.06, plain((0.20, 0.21, 0.22))))
    shapes.append(Box((6.5, 100, 0.62), (0.04, 160, 0.15), plain((0.30, 0.31, 0.32), gloss=0.4)))
    shapes += [
        Box((6.58, y, 0.35), (0.05, 0.06, 0.35), plain((0.22, 0.22, 0.23)))
        for y in np.arange(ego // 4 * 4, ego + 44, 4)
    ]
    shapes.append(Box((-5.9, 100, 0.4), (0.22, 160, 0.4), _concrete))
    for i in range(int(ego // 26) - 1, int(ego // 26) + 6):
        for side in (-1, 1):
            tall = 5 + 7 * float(hashed(np.array([i]), np.array([side + 3]), 9)[0])
            if not _TUNNEL[0] - 14 < i * 26 + 10 < _TUNNEL[1] + 12:
                shapes.append(
                    Box((side * 24.0 - 2.5, i * 26.0 + 10, tall / 2), (5.0, 10.5, tall / 2), _house)
                )
    return shapes


def _ground(hit: Hit) -> Surface:
    x, y, edge = hit.world[:, 0], hit.world[:, 1], hit.footprint
    long_edge = edge * np.float32(4)  # the road is seen at a slant
    grain, worn = _ASPHALT.sample(x, y, long_edge), _PATCHES.sample(x, y * 0.4, edge)
    lane = np.abs(np.mod(x + 1.75, 3.5) - 1.75)
    tracks = np.exp(-(((lane - 0.75) / 0.3) ** 2))
    rgb = colour(len(x), (0.12, 0.12, 0.125)) * (1 + 0.14 * grain + 0.15 * worn - 0.12 * tracks)[:, None]
    repair = (hashed(np.floor(x / 1.75), np.floor(y / 7), 6) > 0.88).astype(np.float32)
    rgb = mix(rgb, (0.055, 0.055, 0.06), 0.7 * repair)
    crack = (
        inside(np.mod(y + 0.15 * worn, 12.5), 0, 0.05, long_edge)
        * 0.5
        * np.clip(0.08 / np.maximum(long_edge, 0.08), 0, 1)
    )
    rgb = mix(rgb, (0.03, 0.03, 0.03), crack)
    dash = inside(np.abs(np.abs(x) - 1.75), -1, 0.075, edge) * inside(np.mod(y, 9), 0, 3.5, long_edge)
    border = inside(np.abs(x + 0.0) - 5.3, -0.075, 0.075, edge)
    far_dash = inside(x, -11.05, -10.9, edge) * inside(np.mod(y, 9), 0, 3.5, long_edge)
    paint = np.maximum(np.maximum(dash, border), far_dash) * np.clip(0.85 + 0.1 * grain, 0, 1)
    rgb = mix(rgb, (0.62, 0.62, 0.60), paint)
    grass = ((x > 8.2) | (x < -14)).astype(np.float32)
    turf = colour(len(x), (0.10, 0.15, 0.04)) * (1 + 0.35 * _LEAVES.sample(x, y, long_edge))[:, None]
    rgb = rgb * (1 - grass[:, None]) + turf * grass[:, None]
    return Surface(rgb.astype(np.float32), gloss=0.10 * (1 - grass))


def _concrete(hit: Hit) -> Surface:
    x, y, z = hit.world[:, 0], hit.world[:, 1], hit.world[:, 2]
    stain = _PATCHES.sample(y + x, z * 0.6, hit.footprint)
    joint = inside(np.mod(y, 4.0), 0, 0.05, hit.footprint) * (np.abs(hit.normal[:, 0]) > 0.5)
    rgb = colour(len(x), (0.34, 0.33, 0.31)) * (1 + 0.14 * stain)[:, None]
    return Surface(mix(rgb, (0.1, 0.1, 0.1), 0.6 * joint))


def _foliage(hit: Hit) -> Surface:
    leaves = _LEAVES.sample(
        hit.world[:, 0] + hit.world[:, 1], hit.world[:, 2] + 0.4 * hit.world[:, 1], hit.footprint
    )
    return Surface(colour(len(leaves), (0.08, 0.13, 0.035)) * np.clip(1 + 0.8 * leaves, 0.05, 3.5)[:, None])


def _house(hit: Hit) -> Surface:
    along = np.where(np.abs(hit.normal[:, 0]) > 0.5, hit.world[:, 1], hit.world[:, 0])
    z, edge = hit.world[:, 2], hit.footprint
    i, j = np.floor(along / 2.6), np.floor(z / 3.0)
    pane = (
        inside(along - i * 2.6, 0.7, 1.9, edge)
        * inside(z - j * 3.0, 0.9, 2.4, edge)
        * (np.abs(hit.normal[:, 2]) < 0.5)
    )
    tint = hashed(np.floor(hit.world[:, 1] / 26), np.sign(hit.world[:, 0]), 2)[:, None]
    wall = (1 - tint) * np.array([0.42, 0.36, 0.28], np.float32) + tint * np.array(
        [0.30, 0.20, 0.16], np.float32
    )
    wall = wall * (1 + 0.08 * _PATCHES.sample(along, z, edge))[:, None]
    return Surface(mix(wall.astype(np.float32), (0.05, 0.06, 0.08), pane), gloss=0.5 * pane)
