"""Synthetic things: blobs, boxes, walking people, animals, vehicles, aircraft, balls and faces.

Every builder draws parts onto a `Drawing` (colour, alpha and temperature together): parts differ in surface
and in temperature, and the temperature of a part is independent of its colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dmtrack.synthetic.affine import Points
from dmtrack.synthetic.picture import Drawing, Sprite, make_sprite
from dmtrack.synthetic.textures import Colour, Image, SurfaceBank, colour

_SIDE_PX = 128
_STRIDE_POSES = 8


# --- outlines, in fractions of the side ------------------------------------------------------


def ellipse(cx: float, cy: float, rx: float, ry: float, angle_rad: float = 0.0) -> Points:
    """Return the corners of an ellipse."""
    t = np.linspace(0.0, 2.0 * np.pi, 28, endpoint=False)
    x, y = rx * np.cos(t), ry * np.sin(t)
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], axis=-1)


def limb(x1: float, y1: float, x2: float, y2: float, w1: float, w2: float) -> Points:
    """Return a tapered bar with round ends from one joint to another; `w1`, `w2` are its radii."""
    angle = math.atan2(y2 - y1, x2 - x1)
    back = np.linspace(angle + 0.5 * np.pi, angle + 1.5 * np.pi, 7)
    front = np.linspace(angle - 0.5 * np.pi, angle + 0.5 * np.pi, 7)
    a = np.stack([x1 + w1 * np.cos(back), y1 + w1 * np.sin(back)], axis=-1)
    b = np.stack([x2 + w2 * np.cos(front), y2 + w2 * np.sin(front)], axis=-1)
    return np.concatenate([a, b])


def rounded_box(cx: float, cy: float, w: float, h: float, power: float = 5.0) -> Points:
    """Return a superellipse: 2 is an ellipse, large is a box."""
    t = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
    c, s = np.cos(t), np.sin(t)
    x = np.sign(c) * np.abs(c) ** (2.0 / power)
    y = np.sign(s) * np.abs(s) ** (2.0 / power)
    return np.stack([cx + 0.5 * w * x, cy + 0.5 * h * y], axis=-1)


def blob_outline(rng: np.random.Generator) -> Callable[[float], Points]:
    """Return a function of the phase (cycles) that gives a wobbling, smooth or angular outline."""
    smooth = rng.random() < 0.6
    count = 44 if smooth else int(rng.integers(3, 10))
    t = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False) + rng.uniform(0, 2 * np.pi)
    orders = np.arange(1, 6)
    size = rng.normal(0.0, 0.22, 5) / orders
    turn = rng.uniform(0.0, 2.0 * np.pi, 5)
    wobble = rng.uniform(0.0, 0.5, 5) * rng.uniform(0.0, 1.0)
    ragged = np.ones(count) if smooth else rng.uniform(0.55, 1.0, count)
    aspect = math.exp(rng.normal(0.0, 0.3))

    def outline(at: float) -> Points:
        swing = wobble * math.sin(2.0 * math.pi * at)
        radius = 1.0 + (size * np.cos(np.outer(t, orders) + turn + swing)).sum(axis=1)
        radius = np.clip(radius, 0.3, 1.9) * ragged
        points = np.stack([radius * np.cos(t) * aspect, radius * np.sin(t) / aspect], axis=-1)
        return np.asarray(0.5 + 0.46 * points / np.abs(points).max(), np.float64)

    return outline


# --- builders ----------------------------------------------------------------------------------


def _surface(bank: SurfaceBank) -> Image:
    return bank.draw(_SIDE_PX, _SIDE_PX)


def _fill(rng: np.random.Generator, bank: SurfaceBank, surface_share: float) -> Image | Colour:
    """Draw the fill of a part: a surface, or one colour."""
    return _surface(bank) if rng.random() < surface_share else colour(rng)


def _skin(rng: np.random.Generator) -> Colour:
    tone = np.array([224.0, 172.0, 138.0]) * rng.uniform(0.3, 1.1) + rng.normal(0, 6, 3)
    return np.clip(tone, 0, 255).astype(np.float32)


def body_heat(rng: np.random.Generator) -> float:
    """Draw the temperature of skin: usually, but not always, above that of the surroundings."""
    return float(rng.uniform(150.0, 245.0))


def thing_heat(rng: np.random.Generator) -> float:
    """Draw the temperature of a lifeless thing."""
    return float(rng.uniform(20.0, 235.0))


def blob(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A random shape with up to four inner parts, half of them pulsating."""
    poses = 6 if rng.random() < 0.4 else 1
    whole = blob_outline(rng)
    base, warm = _surface(bank), thing_heat(rng)
    parts = []
    for _ in range(int(rng.integers(0, 5))):
        shrink, shift = rng.uniform(0.15, 0.55), rng.uniform(-0.28, 0.28, 2)
        fill = _fill(rng, bank, 0.6)
        parts.append((blob_outline(rng), shrink, shift, fill, warm + rng.normal(0.0, 40.0)))
    pictures = []
    for k in range(poses):
        drawing = Drawing.of_thing()
        drawing.paint(whole(k / poses), base, warm)
        silhouette = drawing.alpha.copy()
        for outline, shrink, shift, fill, heat in parts:
            drawing.paint(0.5 + shift + shrink * (outline(k / poses) - 0.5), fill, heat)
        drawing.alpha = np.minimum(drawing.alpha, silhouette)
        pictures.append(drawing.picture())
    return make_sprite(pictures)


def person(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A standing, walking or running figure, tall and thin: head, torso, arms, legs, sometimes a bag."""
    figure = _Figure(rng, bank)
    count = 1 if rng.random() < 0.2 else _STRIDE_POSES
    return make_sprite([figure.draw(2.0 * math.pi * k / count) for k in range(count)], upright=True)


class _Figure:
    """The clothes, proportions and gait of one person."""

    def __init__(self, rng: np.random.Generator, bank: SurfaceBank) -> None:
        self.skin = _skin(rng)
        self.hair: Colour = (colour(rng) * rng.uniform(0.1, 0.8)).astype(np.float32)
        self.shirt = self._cloth(rng, bank)
        self.trousers = self._cloth(rng, bank)
        self.shoes: Colour = (colour(rng) * 0.6).astype(np.float32)
        self.skin_heat = body_heat(rng)
        self.cloth_heat = self.skin_heat - rng.uniform(0.0, 90.0)
        self.bulk = rng.uniform(0.75, 1.4)
        self.stride = rng.choice([rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.75)])
        self.arms = rng.uniform(0.2, 1.0) * self.stride + rng.uniform(0.0, 0.15)
        self.lean = rng.normal(0.0, 0.05)
        self.coat = rng.uniform(0.0, 0.22) if rng.random() < 0.35 else 0.0
        self.bare = rng.random() < 0.3
        self.facing = rng.choice([-1.0, 1.0])
        self.front = rng.random() < 0.5
        self.bag = (self._cloth(rng, bank), rng.uniform(0.05, 0.09)) if rng.random() < 0.3 else None

    @staticmethod
    def _cloth(rng: np.random.Generator, bank: SurfaceBank) -> Image | Colour:
        if rng.random() < 0.5:
            return colour(rng)
        return _surface(bank)

    def _shown_on(self, cloth: Image | Colour) -> tuple[Image | Colour, float]:
        """Return the fill and temperature of a lower limb: skin, or the cloth on it."""
        return (self.skin, self.skin_heat) if self.bare else (cloth, self.cloth_heat)

    def draw(self, phase: float) -> tuple[Image, Image, Image]:
        """Draw the figure at `phase` radians of its stride."""
        drawing, swing = Drawing.of_thing(), math.sin(phase)
        hip, shoulder = (0.5, 0.52), (0.5 + self.lean, 0.21)
        self._leg(drawing, hip, -swing)
        self._arm(drawing, shoulder, swing)
        self._leg(drawing, hip, swing)
        half = (0.085 if self.front else 0.06) * self.bulk
        waist = 0.9 * half
        torso = np.array([
            (shoulder[0] - half, 0.185), (shoulder[0] + half, 0.185),
            (hip[0] + waist * (1.0 + 2.0 * self.coat), 0.54 + self.coat),
            (hip[0] - waist * (1.0 + 2.0 * self.coat), 0.54 + self.coat),
        ])  # fmt: skip
        drawing.paint(torso, self.shirt, self.cloth_heat)
        if self.bag is not None:
            fill, radius = self.bag
            drawing.paint(
                rounded_box(0.5 - self.facing * half, 0.32, 2 * radius, 3 * radius),
                fill,
                self.cloth_heat - 40,
            )
        self._arm(drawing, shoulder, -swing)
        head_x = shoulder[0] + 0.3 * self.lean
        drawing.paint(ellipse(head_x, 0.1, 0.048, 0.065), self.hair, self.skin_heat - 25)
        drawing.paint(ellipse(head_x + self.facing * 0.012, 0.112, 0.04, 0.052), self.skin, self.skin_heat)
        return drawing.picture()

    def _leg(self, drawing: Drawing, hip: tuple[float, float], swing: float) -> None:
        side = 0.035 * self.bulk * (1.0 if swing > 0 else -1.0) if self.front else 0.0
        reach = self.stride * (0.35 if self.front else 1.0)
        thigh = reach * swing * self.facing
        knee = (hip[0] + side + 0.22 * math.sin(thigh), hip[1] + 0.22 * math.cos(thigh))
        bend = thigh - self.facing * reach * max(0.0, 0.9 - swing) * 0.8
        foot = (knee[0] + 0.22 * math.sin(bend), knee[1] + 0.22 * math.cos(bend))
        width = 0.042 * self.bulk
        drawing.paint(limb(*hip, *knee, 1.15 * width, width), self.trousers, self.cloth_heat)
        drawing.paint(limb(*knee, *foot, 0.9 * width, 0.65 * width), *self._shown_on(self.trousers))
        toe = (foot[0] + 0.04 * self.facing, foot[1] + 0.012)
        drawing.paint(limb(*foot, *toe, 0.6 * width, 0.5 * width), self.shoes, self.cloth_heat - 30)

    def _arm(self, drawing: Drawing, shoulder: tuple[float, float], swing: float) -> None:
        side = 0.1 * self.bulk * (1.0 if swing > 0 else -1.0) if self.front else 0.0
        upper = self.arms * swing * self.facing
        x, y = shoulder[0] + side, shoulder[1] + 0.02
        elbow = (x + 0.15 * math.sin(upper), y + 0.15 * math.cos(upper))
        fore = upper + self.facing * self.arms * 0.7
        hand = (elbow[0] + 0.14 * math.sin(fore), elbow[1] + 0.14 * math.cos(fore))
        width = 0.028 * self.bulk
        drawing.paint(limb(x, y, *elbow, width, 0.85 * width), self.shirt, self.cloth_heat)
        drawing.paint(limb(*elbow, *hand, 0.8 * width, 0.7 * width), *self._shown_on(self.shirt))
        drawing.paint(ellipse(*hand, 0.9 * width, 0.9 * width), self.skin, self.skin_heat)


def animal(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A four-legged animal from the side, trotting."""
    coat = _fill(rng, bank, 0.6)
    heat, facing = body_heat(rng), rng.choice([-1.0, 1.0])
    length, depth = rng.uniform(0.5, 0.68), rng.uniform(0.16, 0.3)
    legs, stride, neck = rng.uniform(0.15, 0.34), rng.uniform(0.1, 0.8), rng.uniform(-0.2, 1.1)
    head, tail = rng.uniform(0.07, 0.12), rng.uniform(0.05, 0.25)
    middle = 0.42
    pictures = []
    for k in range(6):
        drawing, phase = Drawing.of_thing(), 2.0 * math.pi * k / 6
        for leg in range(4):
            x = 0.5 + (0.36 if leg % 2 else -0.36) * length
            swing = stride * math.sin(phase + math.pi * (leg in (1, 2)) + 0.4 * leg)
            foot = (x + legs * math.sin(swing), middle + 0.3 * depth + legs * math.cos(swing))
            drawing.paint(limb(x, middle + 0.2 * depth, *foot, 0.045, 0.022), coat, heat - 20)
        end = 0.5 - facing * 0.5 * length
        lift = math.sin(phase) * 0.06
        drawing.paint(
            limb(end, middle - 0.05, end - facing * tail, middle - 0.1 + lift, 0.03, 0.012), coat, heat - 30
        )
        drawing.paint(rounded_box(0.5, middle, length, depth, 3.0), coat, heat)
        nx = 0.5 + facing * (0.5 * length + 0.08)
        ny = middle - 0.16 * neck - 0.3 * depth
        drawing.paint(limb(0.5 + facing * 0.4 * length, middle, nx, ny, 0.35 * depth, 0.8 * head), coat, heat)
        drawing.paint(
            ellipse(nx + facing * 0.3 * head, ny, 1.3 * head, 0.8 * head, facing * 0.3), coat, heat + 15
        )
        pictures.append(drawing.picture())
    return make_sprite(pictures, upright=True)


def car_side(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A car, van or bus from the side."""
    drawing, paint = Drawing.of_thing(), _fill(rng, bank, 0.25)
    heat, tall = thing_heat(rng), rng.uniform(0.12, 0.3)
    glass: Colour = (colour(rng, 0.1) * 0.5).astype(np.float32)
    low, length = 0.62, rng.uniform(0.82, 0.96)
    x1, x2 = 0.5 - 0.5 * length, 0.5 + 0.5 * length
    front, back = rng.uniform(0.02, 0.25), rng.uniform(0.02, 0.15)
    bonnet = rng.uniform(0.1, 0.16)
    roof = low - bonnet - tall
    top = low - bonnet
    rear = [(x1, low), (x1, top), (x1 + back, top), (x1 + back + 0.06, roof)]
    nose = [(x2 - front - 0.08, roof), (x2 - front, top), (x2, low - 0.8 * bonnet), (x2, low)]
    body = np.array(rear + nose)
    drawing.paint(body, paint, heat)
    panes = int(rng.integers(1, 6))
    left, right = x1 + back + 0.08, x2 - front - 0.1
    for k in range(panes):
        a, b = left + (right - left) * k / panes, left + (right - left) * (k + 0.85) / panes
        drawing.paint(
            np.array([(a, roof + 0.03), (b, roof + 0.03), (b, low - bonnet), (a, low - bonnet)]),
            glass,
            heat - 50,
        )
    radius = rng.uniform(0.05, 0.085)
    for x in (x1 + 0.18 * length, x2 - 0.18 * length):
        drawing.paint(ellipse(x, low, radius, radius), np.full(3, 22, np.float32), heat + 60)
        drawing.paint(ellipse(x, low, 0.5 * radius, 0.5 * radius), colour(rng, 0.05), heat + 30)
    return make_sprite([drawing.picture()], upright=True)


def car_top(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A car or lorry from above."""
    drawing, paint = Drawing.of_thing(), _fill(rng, bank, 0.2)
    heat, wide = thing_heat(rng), rng.uniform(0.3, 0.48)
    glass: Colour = (colour(rng, 0.1) * 0.4).astype(np.float32)
    drawing.paint(rounded_box(0.5, 0.5, wide, 0.94, rng.uniform(3.0, 9.0)), paint, heat)
    if rng.random() < 0.7:
        roof: Colour = colour(rng) if rng.random() < 0.15 else np.zeros(0, np.float32)
        drawing.paint(rounded_box(0.5, 0.33, 0.8 * wide, 0.13, 4.0), glass, heat - 40)
        drawing.paint(rounded_box(0.5, 0.78, 0.76 * wide, 0.09, 4.0), glass, heat - 40)
        if roof.size:
            drawing.paint(rounded_box(0.5, 0.55, 0.8 * wide, 0.34, 5.0), roof, heat + 10)
        drawing.paint(
            rounded_box(0.5, 0.12, 0.7 * wide, 0.16, 4.0),
            (colour(rng) * 0.2 + (paint if paint.ndim == 1 else 100.0) * 0.8).astype(np.float32),
            heat + 50,
        )
    else:
        drawing.paint(rounded_box(0.5, 0.6, 0.92 * wide, 0.7, 14.0), _surface(bank), heat - 30)
        drawing.paint(rounded_box(0.5, 0.12, 0.8 * wide, 0.08, 4.0), glass, heat - 30)
    return make_sprite([drawing.picture()])


def aircraft(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A drone with rotors, or a bird or aeroplane with wings."""
    shade: Colour = (colour(rng, 0.15) * rng.uniform(0.1, 1.0)).astype(np.float32)
    heat, pictures = float(rng.uniform(90.0, 255.0)), []
    arms, flat = int(rng.integers(2, 7)), rng.uniform(0.25, 1.0)
    core = rng.uniform(0.08, 0.18)
    winged = rng.random() < 0.45
    sweep, span = rng.uniform(-0.15, 0.2), rng.uniform(0.3, 0.48)
    for k in range(4):
        drawing, beat = Drawing.of_thing(), math.sin(0.5 * math.pi * k)
        if winged:
            for side in (-1.0, 1.0):
                tip = (0.5 + side * span, 0.5 + sweep + 0.22 * beat)
                drawing.paint(np.array([(0.5, 0.42), tip, (0.5, 0.56)]), shade, heat - 30)
            drawing.paint(ellipse(0.5, 0.5, 0.07, 0.2), shade, heat)
        else:
            for arm in range(arms):
                angle = 2.0 * math.pi * (arm + 0.5) / arms
                x, y = 0.5 + 0.36 * math.cos(angle), 0.5 + 0.36 * flat * math.sin(angle)
                drawing.paint(limb(0.5, 0.5, x, y, 0.035, 0.025), shade, heat)
                drawing.paint(
                    ellipse(x, y - 0.03, 0.1, 0.03 + 0.03 * flat, 0.5 * beat),
                    colour(rng, 0.05) * 0.5,
                    heat + 20,
                )
            drawing.paint(rounded_box(0.5, 0.5 + 0.02, 2 * core, core, 4.0), shade, heat + 30)
        pictures.append(drawing.picture())
    return make_sprite(pictures if winged else pictures[:1], upright=True)


def box_object(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A cube, parcel, book or bag: faces in different light, sometimes a handle."""
    drawing, heat = Drawing.of_thing(), thing_heat(rng)
    wide, tall = rng.uniform(0.35, 0.7), rng.uniform(0.35, 0.7)
    dx, dy = rng.uniform(0.0, 0.22), rng.uniform(0.0, 0.22)
    x, y = 0.5 - 0.5 * (wide + dx), 0.5 + 0.5 * (tall + dy)
    face = _surface(bank)
    light = rng.uniform(0.4, 1.5, 2)
    if rng.random() < 0.35:
        ring = ellipse(x + 0.5 * wide, y - tall, 0.3 * wide, rng.uniform(0.1, 0.2))
        drawing.paint(ring, colour(rng), heat - 20)
    front = np.array([(x, y), (x + wide, y), (x + wide, y - tall), (x, y - tall)])
    top = np.array(
        [(x, y - tall), (x + dx, y - tall - dy), (x + dx + wide, y - tall - dy), (x + wide, y - tall)]
    )
    side = np.array(
        [(x + wide, y), (x + wide + dx, y - dy), (x + wide + dx, y - dy - tall), (x + wide, y - tall)]
    )
    other = face if rng.random() < 0.5 else _surface(bank)
    drawing.paint(top, np.clip(other * light[0], 0, 255).astype(np.uint8), heat + 10)
    drawing.paint(side, np.clip(other * light[1], 0, 255).astype(np.uint8), heat - 10)
    drawing.paint(front, face, heat)
    for _ in range(int(rng.integers(0, 3))):
        cx, cy = x + rng.uniform(0.3, 0.7) * wide, y - rng.uniform(0.3, 0.7) * tall
        drawing.paint(
            rounded_box(cx, cy, rng.uniform(0.1, 0.6) * wide, rng.uniform(0.1, 0.5) * tall),
            colour(rng),
            heat + rng.normal(0, 25),
        )
    return make_sprite([drawing.picture()])


def ball_or_face(rng: np.random.Generator, bank: SurfaceBank) -> Sprite | None:
    """A ball with a shaded surface, or a head with hair, eyes and mouth."""
    drawing = Drawing.of_thing()
    if rng.random() < 0.5:
        drawing.paint(ellipse(0.5, 0.5, 0.46, 0.46), _surface(bank), thing_heat(rng))
        yy, xx = np.mgrid[0:_SIDE_PX, 0:_SIDE_PX] / _SIDE_PX
        lit = 1.15 - 1.6 * ((xx - rng.uniform(0.3, 0.5)) ** 2 + (yy - rng.uniform(0.25, 0.45)) ** 2)
        drawing.rgb = np.clip(drawing.rgb * lit[..., None], 0, 255).astype(np.uint8)
        return make_sprite([drawing.picture()])
    heat = body_heat(rng)
    skin = _skin(rng)
    dark: Colour = (colour(rng) * rng.uniform(0.05, 0.6)).astype(np.float32)
    turn = rng.uniform(-0.09, 0.09)
    drawing.paint(ellipse(0.5, 0.46, 0.36, 0.42), dark, heat - 30)
    drawing.paint(ellipse(0.5 + turn, 0.55, 0.3, 0.38), skin, heat)
    for side in (-0.13, 0.13):
        drawing.paint(
            ellipse(0.5 + 1.5 * turn + side, 0.5, 0.06, 0.03), np.full(3, 240, np.float32), heat + 5
        )
        drawing.paint(ellipse(0.5 + 1.6 * turn + side, 0.5, 0.025, 0.028), dark, heat + 5)
    drawing.paint(ellipse(0.5 + 1.8 * turn, 0.61, 0.03, 0.05), np.asarray(skin * 0.8, np.float32), heat - 15)
    drawing.paint(ellipse(0.5 + 1.5 * turn, 0.76, 0.1, 0.03), np.array([150, 60, 60], np.float32), heat + 10)
    return make_sprite([drawing.picture()])


_BUILDERS: tuple[tuple[Callable[[np.random.Generator, SurfaceBank], Sprite | None], float], ...] = (
    (blob, 0.34), (person, 0.24), (animal, 0.07), (car_side, 0.08), (car_top, 0.08),
    (aircraft, 0.05), (box_object, 0.08), (ball_or_face, 0.06),
)  # fmt: skip
_SHARES = np.array([share for _, share in _BUILDERS])


def made_up_sprite(rng: np.random.Generator, bank: SurfaceBank) -> Sprite:
    """Draw one synthetic thing of any kind."""
    while True:
        build = _BUILDERS[int(rng.choice(len(_BUILDERS), p=_SHARES))][0]
        sprite = build(rng, bank)
        if sprite is not None and max(sprite.box_size) < 6 * min(sprite.box_size):
            return sprite
