"""A cluttered desk, hand-held camera: a hand carries a tea carton behind a bottle and back to the front."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from render.camera import Camera, Floats
from render.figure import SKIN
from render.light import Blocker, Contact, Lighting, Sun, light
from render.motion import Shake, path
from render.picture import Picture
from render.sensor import Bytes, ColourCamera, DepthCamera, Words
from render.shapes import Box, Cylinder, Ellipsoid, RoundCone, Shape, rotation
from render.surface import Hit, Material, Surface, plain
from render.texture import colour, hashed, inside, mix, noise_tile

from scenes.clip import Drawable, PixelBox, exposures, true_box

DURATION_S = 5
RATE = Fraction(30)
_SHUTTER_S = 1 / 80
_PARTS = 4
_WOOD, _FINE = noise_tile(31, 0.8, slope=1.1, stretch=7.0), noise_tile(32, 0.25, slope=0.6)
_BLOTCH = noise_tile(33, 1.5, slope=1.5)
_COLOUR = ColourCamera(exposure=1.0, electrons=4500.0, read_noise=0.004, bloom=0.05, vignette=0.28, seed=41)
_DEPTH = DepthCamera(seed=42)
_HALF = (0.044, 0.029, 0.062)
Rgb = tuple[float, float, float]


def camera(time_s: float) -> Camera:
    """Return the hand-held camera: it drifts, sways and leans in a little."""
    x, y, z = path(
        (0, 1.7, 3.4, 5),
        ((-0.05, -0.78, 0.50), (0.02, -0.76, 0.49), (0.06, -0.70, 0.47), (-0.01, -0.72, 0.51)),
        time_s,
    )
    return Camera(
        (x + Shake(51, 0.004)(time_s), y + Shake(52, 0.004)(time_s), z + Shake(53, 0.004)(time_s)),
        float(path((0, 2, 3.5, 5), ((-0.03,), (0.03,), (0.0,), (-0.05,)), time_s)[0])
        + Shake(54, 0.006)(time_s),
        -0.36 + Shake(55, 0.006)(time_s),
        0.02 + Shake(56, 0.010, 0.2, 2.0)(time_s),
        440.0,
        480,
        360,
    )


def box(frame: int) -> PixelBox:
    """Return the true box of the carton, the hand left out."""
    time_s = float(frame / RATE)
    return true_box(camera(time_s), [_target(time_s)])


def colour_frame(frame: int) -> Bytes:
    """Return one colour picture `(360, 480, 3)`."""
    total: Floats | float = 0.0
    for time_s, dx, dy in exposures(float(frame / RATE), _SHUTTER_S, _PARTS):
        picture = Picture(camera(time_s), dx, dy)
        picture.draw(_scene(time_s))
        total = total + light(picture, _lighting(time_s)) / _PARTS
    return _COLOUR.develop(np.asarray(total, np.float32), frame)


def depth_frame(frame: int) -> Words:
    """Return the depth of the same moment, `(360, 480)` in millimetres, 0 where there is none."""
    time_s = float(frame / RATE)
    picture = Picture(camera(time_s))
    picture.draw(_scene(time_s))
    dark = (picture.albedo.mean(axis=-1) < 0.035) & (picture.gloss > 0.25)
    return _DEPTH.measure(picture.depth, dark, picture.camera, frame)


def _pose(time_s: float) -> tuple[np.ndarray, Floats]:
    """Return centre and turn of the carton in the hand."""
    times = (0, 0.9, 1.7, 2.4, 3.2, 4.1, 5)
    centre = path(
        times,
        ((-0.27, 0.10, 0.085), (-0.16, 0.22, 0.12), (0.02, 0.30, 0.10), (0.19, 0.27, 0.10),
         (0.20, 0.06, 0.17), (0.03, -0.12, 0.17), (-0.13, -0.03, 0.13)), time_s,
    )  # fmt: skip
    centre = centre + [Shake(61 + i, 0.003, 0.8, 6.0)(time_s) for i in range(3)]
    yaw, pitch, roll = path(
        times,
        ((0.25, 0, 0), (0.05, 0.08, 0.05), (-0.25, 0.0, 0.1), (-0.45, -0.14, 0.0),
         (-0.1, -0.2, -0.12), (0.5, 0.06, -0.1), (0.75, 0.14, 0.0)), time_s,
    )  # fmt: skip
    return centre, rotation(float(yaw), float(pitch), float(roll))


def _target(time_s: float) -> Shape:
    centre, turn = _pose(time_s)
    return Box(tuple(centre), _HALF, _carton((0.50, 0.025, 0.03), (0.85, 0.62, 0.08), 1), turn)


def _hand(time_s: float) -> list[Drawable]:
    """Return fingers over the top edge of the carton, and the arm that comes from the right."""
    centre, turn = _pose(time_s)

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return tuple(centre + np.array([x, y, z]) @ turn)

    def limb(
        a: tuple[float, float, float],
        b: tuple[float, float, float],
        ra: float,
        rb: float,
        m: Material = _skin,
    ) -> Shape:
        return RoundCone(a, b, ra, rb, m)

    shapes: list[Drawable] = [
        Ellipsoid(at(0.03, 0.055, 0.075), (0.042, 0.024, 0.036), _skin, turn),
        limb(at(0.035, 0.04, 0.085), at(0.02, -0.012, 0.088), 0.012, 0.010),
        limb(at(0.02, -0.012, 0.088), at(0.012, -0.037, 0.066), 0.010, 0.008),
        limb(at(0.05, 0.04, 0.08), at(0.045, -0.008, 0.085), 0.012, 0.010),
        limb(at(0.045, -0.008, 0.085), at(0.036, -0.037, 0.060), 0.010, 0.008),
        limb(at(0.058, 0.04, 0.068), at(0.058, -0.01, 0.060), 0.012, 0.010),
        limb(at(0.058, -0.01, 0.060), at(0.046, -0.036, 0.042), 0.010, 0.0075),
        limb(at(0.01, 0.05, 0.065), at(-0.015, 0.038, 0.03), 0.013, 0.010),
    ]
    wrist = np.array(at(0.055, 0.085, 0.085))
    elbow = np.array([0.62, 0.05, 0.26]) * 0.7 + wrist * 0.3 + [0.12, 0.06, 0.02]
    cuff = wrist + (elbow - wrist) * 0.22
    shapes += [
        limb(at(0.035, 0.058, 0.078), tuple(wrist), 0.030, 0.026),
        limb(tuple(wrist), tuple(cuff), 0.026, 0.030),
        limb(tuple(cuff), tuple(elbow), 0.042, 0.055, _sleeve),
    ]
    return shapes


def _scene(time_s: float) -> list[Drawable]:
    return [*_DESK, _target(time_s), *_hand(time_s)]


def _lighting(time_s: float) -> Lighting:
    centre, turn = _pose(time_s)
    c = tuple(float(v) for v in centre)
    moving = [
        Blocker(c, (0.047, 0.035, 0.066), turn, 0.5),
        Blocker((c[0] + 0.05, c[1] + 0.05, c[2] + 0.08), (0.05, 0.04, 0.035), reach_m=0.5),
        Blocker((c[0] + 0.24, c[1] + 0.07, c[2] + 0.12), (0.2, 0.05, 0.06), reach_m=0.6),
    ]
    flat = Contact(
        (c[0], c[1]),
        (0.045, 0.03),
        0.0,
        0.02 + 0.9 * max(c[2] - 0.06, 0),
        float(np.clip(0.03 / c[2], 0, 0.5)),
    )
    return Lighting(
        above=(0.34, 0.36, 0.40),
        below=(0.16, 0.13, 0.10),
        sun=Sun((-0.75, -0.35, 0.85), (1.05, 0.98, 0.86), 0.22),
        blockers=[*_BLOCKERS, *moving],
        contacts=[*_CONTACTS, flat],
    )


def _skin(hit: Hit) -> Surface:
    blotch = _FINE.sample(hit.world[:, 0] + hit.world[:, 1], hit.world[:, 2], hit.footprint)
    return Surface(colour(len(blotch), SKIN) * (1.15 + 0.05 * blotch)[:, None], gloss=0.12)


def _sleeve(hit: Hit) -> Surface:
    weave = _FINE.sample(hit.local[:, 2] * 0.3, hit.local[:, 0] * 2, hit.footprint)
    folds = _BLOTCH.sample(hit.local[:, 2] * 0.9, hit.local[:, 1] * 3, hit.footprint)
    return Surface(colour(len(weave), (0.07, 0.10, 0.17)) * (1 + 0.12 * weave + 0.25 * folds)[:, None])


def _desk_top(hit: Hit) -> Surface:
    x, y = hit.world[:, 0], hit.world[:, 1]
    grain = _WOOD.sample(x, y, hit.footprint)
    plank = np.floor(y / 0.14)
    seam = inside(y - plank * 0.14, 0.0, 0.0025, hit.footprint)
    rgb = mix(colour(len(x), (0.34, 0.205, 0.115)), (0.20, 0.105, 0.05), np.clip(0.4 + 0.3 * grain, 0, 1))
    rgb = rgb * (0.9 + 0.2 * hashed(plank, 0 * plank, 6))[:, None]
    return Surface(mix(rgb, (0.06, 0.03, 0.015), 0.8 * seam), gloss=0.30)


def _wall(hit: Hit) -> Surface:
    x, z = hit.world[:, 0], hit.world[:, 2]
    rough = _FINE.sample(x, z, hit.footprint) * 0.03 + _BLOTCH.sample(x, z, hit.footprint) * 0.04
    return Surface(colour(len(x), (0.52, 0.53, 0.50)) * (1 + rough)[:, None])


def _print(u: Floats, v: Floats, edge: Floats, line_m: float, seed: int) -> Floats:
    """Return 1 on the ink of something that looks like lines of text."""
    row = np.floor(v / line_m)
    letters = hashed(np.floor(u / (line_m * 0.45)), row, seed) > 0.3
    ragged = inside(u, -1, 0.6 * line_m * 20 * (0.6 + 0.4 * hashed(row, 0 * row, seed)), edge)
    return inside(v - row * line_m, line_m * 0.2, line_m * 0.7, edge) * letters * ragged


def _carton(base: Rgb, second: Rgb, seed: int) -> Material:
    """Return the print of a tea carton: a sun over a field of colour, a band, small text."""
    half = np.asarray(_HALF, np.float32)

    def material(hit: Hit) -> Surface:
        q, edge = hit.local, hit.footprint
        face = np.abs(q / half).argmax(axis=1)
        u = np.where(face == 0, q[:, 1], q[:, 0])
        v = np.where(face == 2, q[:, 1] * 1.6, q[:, 2])
        rgb = colour(len(u), base) * (1 + 0.25 * np.clip(v / 0.06, -1, 1))[:, None]
        rgb = mix(rgb, second, inside(np.hypot(u - 0.004, v - 0.018), -1, 0.023, edge))
        rgb = mix(rgb, base, inside(np.hypot(u + 0.006, v - 0.013), -1, 0.012, edge))
        rgb = mix(rgb, (0.04, 0.10, 0.05), inside(v + 0.35 * u, -0.026, -0.014, edge))
        rgb = mix(rgb, (0.82, 0.80, 0.74), inside(v, -0.056, -0.030, edge))
        ink = inside(v, -0.052, -0.034, edge) * _print(u + 0.036, v + 0.06, edge, 0.0065, seed)
        rgb = mix(rgb, (0.05, 0.03, 0.05), ink)
        title = inside(v, 0.044, 0.056, edge) * inside(np.abs(u), -1, 0.034, edge)
        rgb = mix(rgb, (0.85, 0.82, 0.75), title * (hashed(np.floor((u + 0.05) / 0.0075), 0 * u, seed) > 0.2))
        panel = (face == 0) * inside(v, -0.02, 0.04, edge) * inside(np.abs(u), -1, 0.022, edge)
        rgb = mix(rgb, (0.80, 0.78, 0.70), panel)
        rgb = mix(rgb, (0.1, 0.1, 0.1), panel * _print(u + 0.02, v, edge, 0.006, seed + 1))
        worn = inside(np.sort(np.abs(q / half), axis=1)[:, 1], 0.965, 2, 0.02)
        rgb = mix(rgb, (0.6, 0.55, 0.5), 0.35 * worn)
        return Surface(rgb, gloss=0.22)

    return material


def _keyboard(hit: Hit) -> Surface:
    x, y, edge = hit.local[:, 0] + 0.21, hit.local[:, 1] + 0.065, hit.footprint
    i, j = np.floor(x / 0.019), np.floor(y / 0.021)
    key = inside(x - i * 0.019, 0.0015, 0.0175, edge) * inside(y - j * 0.021, 0.0015, 0.0195, edge)
    key = key * inside(hit.local[:, 2], 0.008, 1)
    mark = key * inside(x - i * 0.019, 0.006, 0.011, edge) * inside(y - j * 0.021, 0.009, 0.014, edge)
    rgb = mix(colour(len(x), (0.05, 0.05, 0.055)), (0.12, 0.12, 0.125), key)
    return Surface(mix(rgb, (0.55, 0.55, 0.55), 0.8 * mark), gloss=0.1)


def _screen(hit: Hit) -> Surface:
    x, z, edge = hit.local[:, 0], hit.local[:, 2], hit.footprint
    on = inside(np.abs(x), -1, 0.262, edge) * inside(np.abs(z), -1, 0.152, edge) * (hit.local[:, 1] < -0.005)
    picture = mix(
        colour(len(x), (0.05, 0.09, 0.16)),
        (0.10, 0.22, 0.28),
        np.clip(0.5 + 0.6 * _BLOTCH.sample(x, z), 0, 1),
    )
    for left, low, wide, high, paper, seed in (
        (-0.23, -0.11, 0.24, 0.22, 0.75, 3),
        (0.05, -0.06, 0.17, 0.17, 0.05, 4),
    ):
        sheet = inside(x, left, left + wide, edge) * inside(z, low, low + high, edge)
        ink = sheet * _print(x - left - 0.012, z - low, edge, 0.0125, seed)
        picture = mix(picture, (paper, paper, paper * 1.05), sheet)
        picture = mix(picture, (0.75 - paper, 0.72 - paper, 0.68 - 0.5 * paper), ink)
        picture = mix(picture, (0.20, 0.24, 0.30), sheet * inside(z, low + high - 0.012, 1, edge))
    return Surface(
        colour(len(x), (0.012, 0.012, 0.013)), np.clip(picture, 0, 1) * (0.75 * on)[:, None], gloss=0.3
    )


def _book(rgb: Rgb, seed: int) -> Material:
    def material(hit: Hit) -> Surface:
        x, y, z, edge = hit.local[:, 0], hit.local[:, 1], hit.local[:, 2], hit.footprint
        paper = (np.abs(z) < 0.010) & ((x > 0.068) | (y > 0.097))
        cloth = colour(len(x), rgb) * (1 + 0.06 * _FINE.sample(x, y, edge))[:, None]
        title = _print(x + 0.04, y + 0.02, edge, 0.022, seed) * inside(y, -0.02, 0.045, edge)
        title = np.maximum(
            title, inside(np.abs(z), -1, 0.006, edge) * inside(x, -0.05, 0.03, edge) * (y < -0.09)
        )
        pages = (0.70 + 0.08 * np.sin(z * 4000))[:, None] * np.array([1.0, 0.95, 0.82], np.float32)
        return Surface(
            np.where(paper[:, None], pages, mix(cloth, (0.7, 0.6, 0.35), title)).astype(np.float32), gloss=0.1
        )

    return material


def _poster(hit: Hit) -> Surface:
    """A framed print of hills under an evening sky."""
    x, z, edge = hit.local[:, 0], hit.local[:, 2], hit.footprint
    sky = mix(colour(len(x), (0.62, 0.42, 0.25)), (0.20, 0.34, 0.50), np.clip((z + 0.03) / 0.2, 0, 1))
    sky = mix(sky, (0.85, 0.70, 0.42), inside(np.hypot(x - 0.03, z - 0.05), -1, 0.03, edge))
    for low, wave, rgb in (
        (0.02, 31.0, (0.16, 0.20, 0.24)),
        (-0.05, 23.0, (0.09, 0.15, 0.13)),
        (-0.12, 40.0, (0.04, 0.08, 0.05)),
    ):
        ridge = low + 0.022 * np.sin(wave * x + 3 * low) + 0.008 * np.sin(97 * x)
        sky = mix(sky, rgb, inside(z, -1, ridge, edge))
    mat = 1 - inside(np.abs(x), -1, 0.115, edge) * inside(np.abs(z), -1, 0.175, edge)
    frame = 1 - inside(np.abs(x), -1, 0.155, edge) * inside(np.abs(z), -1, 0.225, edge)
    return Surface(mix(mix(sky, (0.72, 0.71, 0.67), mat), (0.03, 0.025, 0.02), frame), gloss=0.1)


def _paper(hit: Hit) -> Surface:
    x, y, edge = hit.local[:, 0], hit.local[:, 1], hit.footprint
    ink = (
        _print(x + 0.08, y + 0.12, edge, 0.011, 12)
        * inside(np.abs(x), -1, 0.085, edge)
        * inside(np.abs(y), -1, 0.12, edge)
    )
    return Surface(mix(colour(len(x), (0.72, 0.72, 0.70)), (0.12, 0.12, 0.16), ink))


def _label(body: Rgb, band: Rgb, low: float, high: float, seed: int) -> Material:
    """Return a round thing with a printed band between two heights."""

    def material(hit: Hit) -> Surface:
        z, edge = hit.local[:, 2], hit.footprint
        around = np.arctan2(hit.local[:, 1], hit.local[:, 0]) * 0.035 + 0.15
        strip = inside(z, low, high, edge)
        rgb = mix(colour(len(z), body), band, strip)
        ink = strip * _print(np.mod(around, 0.09), z, edge, 0.014, seed)
        return Surface(mix(rgb, (0.85, 0.85, 0.82), ink), gloss=0.55)

    return material


def _plant() -> list[Drawable]:
    rng = np.random.default_rng(8)
    root = np.array([-0.50, 0.48, 0.12])
    shapes: list[Drawable] = [
        Cylinder((-0.50, 0.48, 0.06), (0.06, 0.06, 0.06), plain((0.50, 0.22, 0.12), gloss=0.05))
    ]
    for _ in range(26):
        turn, rise = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.35)
        reach = rng.uniform(0.07, 0.17)
        tip = root + reach * np.array(
            [np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise) * 1.2]
        )
        green = tuple(np.array([0.07, 0.20, 0.045]) * rng.uniform(0.6, 1.5))
        shapes.append(
            Ellipsoid(
                tuple(tip),
                (0.045, 0.017, 0.005),
                plain(green, gloss=0.2),
                rotation(turn, -rise * 0.5, rng.uniform(-0.5, 0.5)),
            )
        )
        shapes.append(RoundCone(tuple(root), tuple(tip), 0.003, 0.002, plain((0.10, 0.18, 0.06))))
    return shapes


def _mug(x: float, y: float) -> list[Drawable]:
    glaze = _label((0.62, 0.62, 0.58), (0.05, 0.13, 0.30), -0.02, 0.025, 21)
    ear = [(0.040, 0.028), (0.066, 0.022), (0.070, -0.004), (0.060, -0.024), (0.040, -0.028)]
    shapes: list[Drawable] = [
        Cylinder((x, y, 0.047), (0.041, 0.041, 0.047), glaze),
        Cylinder((x, y, 0.0935), (0.037, 0.037, 0.001), plain((0.05, 0.025, 0.012), gloss=0.4)),
    ]
    for (u0, v0), (u1, v1) in pairwise(ear):
        ends = (x - u0, y - 0.3 * u0, 0.05 + v0), (x - u1, y - 0.3 * u1, 0.05 + v1)
        shapes.append(RoundCone(*ends, 0.007, 0.007, plain((0.62, 0.62, 0.58), gloss=0.5)))
    return shapes


def _desk() -> list[Drawable]:
    """Return everything that stands still."""
    black = plain((0.03, 0.03, 0.032), gloss=0.2)
    shapes: list[Drawable] = [
        Box((0, 0.25, -0.02), (0.95, 0.60, 0.02), _desk_top),
        Box((0, 1.10, 0.5), (3, 0.05, 2), _wall),
        Box((0, 0, -0.75), (3, 3, 0.02), plain((0.16, 0.15, 0.14))),
        Box((0.42, 1.045, 0.36), (0.17, 0.006, 0.24), _poster),
        Box((-0.12, 0.60, 0.29), (0.28, 0.012, 0.165), _screen, rotation(0.10)),
        Box((-0.12, 0.63, 0.08), (0.03, 0.012, 0.10), black, rotation(0.10)),
        Box((-0.12, 0.62, 0.006), (0.11, 0.08, 0.006), black, rotation(0.10)),
        Box((-0.10, 0.02, 0.009), (0.215, 0.068, 0.009), _keyboard, rotation(0.06)),
        Box((0.27, -0.10, 0.001), (0.10, 0.145, 0.001), _paper, rotation(-0.25)),
        Box((0.48, 0.30, 0.016), (0.075, 0.105, 0.016), _book((0.32, 0.07, 0.06), 41), rotation(0.3)),
        Box((0.48, 0.31, 0.048), (0.075, 0.105, 0.016), _book((0.06, 0.12, 0.22), 42), rotation(0.1)),
        Box((0.47, 0.30, 0.078), (0.070, 0.100, 0.013), _book((0.22, 0.20, 0.08), 43), rotation(0.45)),
        Box((0.35, 0.45, 0.062), _HALF, _carton((0.035, 0.20, 0.06), (0.85, 0.62, 0.08), 2), rotation(0.3)),
        Box((-0.38, 0.22, 0.062), _HALF, _carton((0.52, 0.17, 0.02), (0.80, 0.75, 0.60), 3), rotation(-0.4)),
        Cylinder(
            (0.085, 0.185, 0.085),
            (0.029, 0.029, 0.085),
            _label((0.10, 0.26, 0.32), (0.04, 0.09, 0.30), -0.045, 0.03, 22),
        ),
        RoundCone(
            (0.085, 0.185, 0.163), (0.085, 0.185, 0.205), 0.029, 0.013, plain((0.10, 0.26, 0.32), gloss=0.6)
        ),
        Cylinder((0.085, 0.185, 0.222), (0.014, 0.014, 0.012), plain((0.55, 0.55, 0.58), gloss=0.2)),
        Cylinder((-0.30, 0.40, 0.05), (0.036, 0.036, 0.05), plain((0.10, 0.10, 0.11), gloss=0.2)),
        Ellipsoid(
            (0.24, 0.005, 0.016), (0.03, 0.05, 0.018), plain((0.06, 0.06, 0.065), gloss=0.3), rotation(-0.2)
        ),
    ]
    pens = ((0.30, 0.05, 0.05), (0.05, 0.12, 0.35), (0.45, 0.40, 0.08), (0.06, 0.06, 0.06))
    for i, rgb in enumerate(pens):
        lean = np.array([0.025 * np.cos(2.1 * i), 0.025 * np.sin(2.1 * i), 0.15])
        foot = np.array([-0.30, 0.40, 0.04]) + lean * 0.1
        shapes.append(RoundCone(tuple(foot), tuple(foot + lean), 0.004, 0.004, plain(rgb, gloss=0.3)))
    return shapes + _mug(0.26, 0.16) + _plant()


_DESK = _desk()
_BLOCKERS = [
    Blocker((0.085, 0.185, 0.11), (0.03, 0.03, 0.11), reach_m=0.45),
    Blocker((0.26, 0.16, 0.05), (0.043, 0.043, 0.05), reach_m=0.3),
    Blocker((0.35, 0.45, 0.062), (0.05, 0.035, 0.062), rotation(0.3), 0.3),
    Blocker((-0.38, 0.22, 0.062), (0.05, 0.035, 0.062), rotation(-0.4), 0.3),
    Blocker((0.48, 0.30, 0.045), (0.09, 0.115, 0.05), rotation(0.2), 0.4),
    Blocker((-0.30, 0.40, 0.06), (0.04, 0.04, 0.07), reach_m=0.3),
    Blocker((-0.50, 0.48, 0.18), (0.12, 0.12, 0.10), reach_m=0.6),
]
_CONTACTS = [
    Contact((0.085, 0.185), (0.024, 0.024), 0, 0.03, 0.6),
    Contact((0.26, 0.16), (0.034, 0.034), 0, 0.04, 0.6),
    Contact((0.35, 0.45), (0.042, 0.027), 0.3, 0.05, 0.6),
    Contact((-0.38, 0.22), (0.042, 0.027), -0.4, 0.05, 0.6),
    Contact((0.48, 0.30), (0.075, 0.105), 0.3, 0.06, 0.6),
    Contact((-0.10, 0.02), (0.213, 0.066), 0.06, 0.025, 0.5),
    Contact((-0.12, 0.62), (0.11, 0.08), 0.1, 0.06, 0.6),
    Contact((-0.50, 0.48), (0.05, 0.05), 0, 0.06, 0.6),
    Contact((-0.30, 0.40), (0.032, 0.032), 0, 0.04, 0.6),
    Contact((0.24, 0.005), (0.024, 0.044), -0.2, 0.025, 0.5),
]
