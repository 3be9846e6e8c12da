"""Annotated pictures: pure functions from a frame pair and its boxes to pixels.

Everything is sized by the height of the drawn panel, so that it reads the same at any resolution. Small
frames are enlarged by a whole factor first (text needs pixels), very large ones are shrunk to what
players can decode. Colours are chosen for colour-blind eyes, and each line has a dark rim, because
backgrounds range from night black to the white of event pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.boxes.results import PictureSize
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import FramePair, Modality

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

READABLE_SIDE_PX: Final = 360  # frames whose shorter side is below this are enlarged
LARGEST_SIDE_PX: Final = 4096
"""No drawn picture is wider or taller: the limit of most hardware decoders for H.264."""

PALETTE: Final[tuple[Colour, ...]] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
"""RGB. Source: Okabe and Ito, "Color universal design" (2008), black left out."""

DARK: Final[Colour] = (16, 16, 16)
LIGHT: Final[Colour] = (245, 245, 245)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
SUBPIXEL_BITS: Final = 4


class Layout(StrEnum):
    """What an annotated picture shows. Without a second stream every layout is `RGB`."""

    SIDE = "side"
    OVERLAY = "overlay"
    RGB = "rgb"
    AUX = "aux"


class LineStyle(StrEnum):
    """How the outline of a box is drawn."""

    SOLID = "solid"
    DASHED = "dashed"
    DOTTED = "dotted"


_LINE_OF_STATE: Final = {
    TrackState.INIT: LineStyle.SOLID,
    TrackState.TRACKED: LineStyle.SOLID,
    TrackState.UNCERTAIN: LineStyle.DASHED,
    TrackState.LOST: LineStyle.DOTTED,
    TrackState.ABSENT: LineStyle.DOTTED,  # an annotator's box of an invisible target
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One box to draw: pixels of the full RGB frame, RGB colour; an empty label has no plate."""

    box: Box
    label: str
    colour: Colour
    line: LineStyle = LineStyle.SOLID

    @classmethod
    def of(cls, target: TrackedBox, colour: Colour | None = None, *, is_alone: bool = False) -> Mark:
        """Return the mark of a box, labelled with what is known of it; its line shows the state.

        `colour` is that of a file drawn beside others, by default the target's own; `is_alone`: there is no
        other target, so that the label of a file's box leaves out the id.
        """
        words = [] if colour and is_alone else [str(target.target_id)]
        words += [] if target.score is None else [f"{target.score:.2f}"]
        words += [] if target.measure is None else [str(target.measure)]
        is_plain = target.state is None or (colour and target.state is TrackState.TRACKED)
        words += [] if is_plain else [str(target.state)]
        line = LineStyle.SOLID if target.state is None else _LINE_OF_STATE[target.state]
        return cls(target.box, "  ".join(words), colour or target_colour(target.target_id), line)


class LegendEntry(NamedTuple):
    """A colour and the name of what is drawn in it, such as a result file."""

    name: str
    colour: Colour


class Trail(NamedTuple):
    """A target's path, one point a frame: pixels of the full RGB frame."""

    points: tuple[tuple[float, float], ...]
    colour: Colour


class Plate(NamedTuple):
    """A rectangle for text, in px of the drawn panel."""

    x: int
    y: int
    width: int
    height: int

    def overlap(self, other: Plate) -> int:
        """Return the common area in px."""
        w = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        h = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0, w) * max(0, h)


@dataclass(frozen=True, slots=True)
class Pen:
    """Sizes in px of the drawn panel, derived from its size."""

    line_px: int
    rim_px: int
    text_px: int
    pad_px: int

    @classmethod
    def for_panel(cls, size: PictureSize) -> Pen:
        """Return sizes that read well on a panel seen as a whole."""
        # A panoramic or upright panel is seen smaller than its longer side suggests.
        side = min(size.height, 0.75 * size.width)
        return cls(
            line_px=max(2, round(side / 280)),
            rim_px=max(1, round(side / 600)),
            text_px=max(12, round(side / 34)),
            pad_px=max(3, round(side / 140)),
        )


def target_colour(target_id: int) -> Colour:
    """Return the RGB colour of a 1-based target id; colours repeat after seven."""
    return PALETTE[(target_id - 1) % len(PALETTE)]


def compose_result(result: FrameResult, layout: Layout) -> Picture:
    """Draw all targets of a tracked frame (see `compose`)."""
    return compose(result.pair, [Mark.of(target) for target in result.targets], layout)


def compose(
    pair: FramePair,
    marks: Sequence[Mark],
    layout: Layout,
    legend: Sequence[LegendEntry] = (),
    trails: Sequence[Trail] = (),
    height_px: int | None = None,
) -> Picture:
    """Draw a frame pair with marks.

    In `SIDE` boxes are drawn on both panels and labelled on the first; `legend` is at the bottom right of the
    last panel, `trails` are on every panel, below the boxes. `height_px` None: the frame's height, enlarged
    to be readable. The picture is `(H', W', 3)` uint8 RGB; its size depends only on the frame size, the
    layout, `height_px`, and whether there is a second stream.
    """
    height, width = pair.image.shape[:2]
    canvas, drawn = _panels(pair, layout, height_px)
    size = PictureSize(drawn[0].shape[1], drawn[0].shape[0])
    pen = Pen.for_panel(size)
    placed = [_scaled(mark, size.width / width, size.height / height) for mark in marks]
    for number, panel in enumerate(drawn):
        for trail in trails:
            _draw_trail(panel, trail, size.width / width, size.height / height, pen)
        _draw_boxes(panel, placed, pen)
        taken: list[Plate] = []
        if number == 0:
            taken.append(draw_text(panel, clock_text(pair), (0, 0), pen, DARK))
        if number == len(drawn) - 1:
            taken += _draw_legend(panel, legend, pen)
            taken += _draw_caption(panel, _caption(pair, layout), pen)
        if number == 0:
            _draw_labels(panel, placed, pen, taken)
    return canvas


def drawing_scale(frame: PictureSize, panels: int = 1, height_px: int | None = None) -> Fraction:
    """Return drawn px per frame px.

    It follows from `height_px`; without that it is a whole number for small frames, below 1 for very large
    ones.
    """
    wanted = -(-READABLE_SIDE_PX // min(frame))
    largest = Fraction(LARGEST_SIDE_PX, max(frame.width * panels, frame.height))
    if height_px is not None:
        return min(largest, Fraction(height_px, frame.height))
    if largest < 1:
        return largest
    return Fraction(max(1, min(wanted, int(largest))))


def clock_text(pair: FramePair) -> str:
    """Return the 0-based index of the RGB frame and its time since the first as `frame 12  0:00.400`."""
    total_ms = round(pair.elapsed_s * 1000)
    sign, total_ms = ("-", -total_ms) if total_ms < 0 else ("", total_ms)
    minutes, ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes}:{ms / 1000:06.3f}" if not hours else f"{hours}:{minutes:02d}:{ms / 1000:06.3f}"
    return f"frame {pair.rgb.index}  {sign}{clock}"


def place_label(box: Box, plate: PictureSize, panel: PictureSize, taken: Sequence[Plate]) -> Plate:
    """Return where to put a label: the first place above, below, beside or in the box that is free of others.

    If all cover some, it is the one that covers least. All is in px of the drawn panel; the box may reach
    outside, the label does not as long as it fits into the panel.
    """
    x1, y1, x2, y2 = (round(value) for value in box.xyxy)
    w, h = plate
    corners = (
        (x1, y1 - h),
        (x1, y2),
        (x2 - w, y1 - h),
        (x2 - w, y2),
        (x2, y1),
        (x1 - w, y1),
        (x1, y1),
        (x1, y2 - h),
        *((x1, y1 - step * h) for step in range(2, 5)),
        *((x1, y2 + step * h) for step in range(1, 4)),
    )
    places = [Plate(_clamped(x, panel.width - w), _clamped(y, panel.height - h), w, h) for x, y in corners]

    def covered(place: Plate) -> int:
        return sum(place.overlap(other) for other in taken)

    return next((place for place in places if not covered(place)), None) or min(places, key=covered)


# --- panels ----------------------------------------------------------------------------------


def _panels(pair: FramePair, layout: Layout, height_px: int | None) -> tuple[Picture, list[Picture]]:
    """Return a new picture, and its panels, which are views of it."""
    layout = Layout.RGB if pair.aux_image is None else layout
    count = 2 if layout is Layout.SIDE else 1
    height, width = pair.image.shape[:2]
    scale = drawing_scale(PictureSize(width, height), count, height_px)
    size = PictureSize(max(1, round(width * scale)), max(1, round(height * scale)))
    canvas: Picture = np.empty((size.height, count * size.width, 3), dtype=np.uint8)
    panels = [canvas[:, number * size.width : (number + 1) * size.width] for number in range(count)]
    if scale == 1:
        _fill(panels, pair, layout)
        return canvas, panels
    unscaled: list[Picture] = [np.empty((height, width, 3), dtype=np.uint8) for _ in panels]
    _fill(unscaled, pair, layout)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    for panel, whole in zip(panels, unscaled, strict=True):
        cv2.resize(whole, size, dst=panel, interpolation=method)
    return canvas, panels


def _fill(panels: Sequence[Picture], pair: FramePair, layout: Layout) -> None:
    """Copy the pictures of a layout into panels of the frame's size."""
    if layout is Layout.OVERLAY and _aux_shown(pair):
        rgb, aux = np.empty_like(panels[0]), np.empty_like(panels[0])
        _copy_channels(pair.image, (rgb, aux))
        panels[0][:] = _blended(rgb, aux, pair.modality)
    else:
        _copy_channels(pair.image, panels, first=3 if layout is Layout.AUX else 0)


def _copy_channels(image: Picture, panels: Sequence[Picture], first: int = 0) -> None:
    """Copy three channels to each panel, black where the image ends; ten times as fast as NumPy's slices."""
    wanted = range(first, first + 3 * len(panels))
    moves = [(channel if channel < image.shape[2] else -1, channel - first) for channel in wanted]
    cv2.mixChannels([image], list(panels), [number for move in moves for number in move])


def _aux_shown(pair: FramePair) -> bool:
    """Return whether the second stream has a picture: its partner's, or one held from before."""
    return pair.aux is not None or bool(pair.image[..., 3:6].any())


def _blended(rgb: Picture, aux: Picture, modality: Modality | None) -> Picture:
    if modality is not Modality.EVENT:
        return np.asarray(cv2.addWeighted(rgb, 0.5, aux, 0.5, 0.0), dtype=np.uint8)
    # White means no event: the further from white, the more opaque the event picture.
    weight = (255 - aux.min(axis=2, keepdims=True)).astype(np.float32) * (0.85 / 255)
    mixed: npt.NDArray[np.float32] = rgb + (aux - rgb.astype(np.float32)) * weight
    return np.rint(mixed).astype(np.uint8)


def _caption(pair: FramePair, layout: Layout) -> str:
    if pair.modality is None or layout is Layout.RGB:
        return ""
    if pair.skew_s is None:
        return f"{pair.modality}: {'held' if _aux_shown(pair) else 'no frame'}"
    return f"{pair.modality}  {float(pair.skew_s * 1000):+.1f} ms"


def _scaled(mark: Mark, x_scale: float, y_scale: float) -> Mark:
    x, y, w, h = mark.box.xywh
    return replace(mark, box=Box(x * x_scale, y * y_scale, w * x_scale, h * y_scale))


# --- boxes -----------------------------------------------------------------------------------


def _draw_boxes(panel: Picture, marks: Sequence[Mark], pen: Pen) -> None:
    for mark in marks:
        strokes = _outline(mark, pen, PictureSize(panel.shape[1], panel.shape[0]))
        for colour, width in ((DARK, pen.line_px + 2 * pen.rim_px), (mark.colour, pen.line_px)):
            for start, end in strokes:
                cv2.line(panel, start, end, colour, width, cv2.LINE_AA, SUBPIXEL_BITS)


def _draw_trail(panel: Picture, trail: Trail, x_scale: float, y_scale: float, pen: Pen) -> None:
    """Draw a line through the points; points far outside are moved nearer."""
    height, width = panel.shape[:2]
    places = np.asarray(trail.points) * (x_scale, y_scale)
    near = np.clip(places, (-width, -height), (2 * width, 2 * height)) - 0.5  # see `subpixel`
    points = np.rint(near * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for colour, thickness in ((DARK, pen.line_px + 2 * pen.rim_px), (trail.colour, pen.line_px)):
        cv2.polylines(panel, [points], False, colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def _outline(mark: Mark, pen: Pen, panel: PictureSize) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return strokes in 1/16 px; ends far outside the panel are cut, which keeps numbers small."""
    reach = 8.0 * pen.line_px
    x1, y1, x2, y2 = mark.box.xyxy
    x1, x2 = (min(max(x, -reach), panel.width + reach) for x in (x1, x2))
    y1, y2 = (min(max(y, -reach), panel.height + reach) for y in (y1, y2))
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    return [
        (subpixel(start), subpixel(end))
        for number in range(4)
        for start, end in _dashes(corners[number], corners[(number + 1) % 4], mark.line, pen)
    ]


def _dashes(
    start: tuple[float, float], end: tuple[float, float], line: LineStyle, pen: Pen
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    if line is LineStyle.SOLID:
        return [(start, end)]
    dash_px = pen.line_px * (7.0 if line is LineStyle.DASHED else 2.0)
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    # An odd number of equal steps, so that every side begins and ends with a dash: corners show.
    steps = max(1, round(length / dash_px)) // 2 * 2 + 1
    points = [
        (start[0] + (end[0] - start[0]) * i / steps, start[1] + (end[1] - start[1]) * i / steps)
        for i in range(steps + 1)
    ]
    return [(points[i], points[i + 1]) for i in range(0, steps, 2)]


def subpixel(point: tuple[float, float]) -> tuple[int, int]:
    """Return a point in OpenCV's fixed-point form, with `SUBPIXEL_BITS`."""
    # For OpenCV whole coordinates are pixel centres, for a `Box` pixel corners: hence half a pixel.
    x, y = (round((value - 0.5) * (1 << SUBPIXEL_BITS)) for value in point)
    return (x, y)


# --- text ------------------------------------------------------------------------------------


def _draw_labels(panel: Picture, marks: Sequence[Mark], pen: Pen, taken: list[Plate]) -> None:
    size = PictureSize(panel.shape[1], panel.shape[0])
    for mark in marks:
        if mark.label:
            text = PlateText.fitted(mark.label, pen, size.width)
            taken.append(place_label(mark.box, text.plate, size, taken))
            text.draw(panel, taken[-1], mark.colour)


def _draw_legend(panel: Picture, legend: Sequence[LegendEntry], pen: Pen) -> list[Plate]:
    plates: list[Plate] = []
    bottom = panel.shape[0]
    for entry in reversed(legend):
        text = PlateText.fitted(entry.name, pen, panel.shape[1])
        bottom -= text.plate.height
        corner = (panel.shape[1] - text.plate.width, bottom)
        plates.append(draw_text(panel, entry.name, corner, pen, entry.colour))
    return plates


def _draw_caption(panel: Picture, caption: str, pen: Pen) -> list[Plate]:
    if not caption:
        return []
    text = PlateText.fitted(caption, pen, panel.shape[1])
    return [draw_text(panel, caption, (0, panel.shape[0] - text.plate.height), pen, DARK)]


def draw_text(panel: Picture, line: str, corner: tuple[int, int], pen: Pen, colour: Colour) -> Plate:
    """Draw a line of text on a plate of a colour; return the plate."""
    text = PlateText.fitted(line, pen, panel.shape[1])
    plate = Plate(max(0, corner[0]), max(0, corner[1]), *text.plate)
    text.draw(panel, plate, colour)
    return plate


@dataclass(frozen=True, slots=True)
class PlateText:
    """A line of text with the font scale at which it fits."""

    line: str
    scale: float
    thickness: int
    pad_px: int
    ascent_px: int
    plate: PictureSize

    @classmethod
    def fitted(cls, line: str, pen: Pen, room_px: int) -> PlateText:
        """Measure `line` at the pen's size, or smaller if it is wider than `room_px`."""
        printable = line.encode("ascii", "replace").decode()
        thickness = max(1, round(pen.text_px / 12))
        scale = float(cv2.getFontScaleFromHeight(_FONT, pen.text_px, thickness))
        (width, ascent), descent = cv2.getTextSize(printable, _FONT, scale, thickness)
        if width + 2 * pen.pad_px > room_px:
            scale *= max(1, room_px - 2 * pen.pad_px) / width
            thickness = 1
            (width, ascent), descent = cv2.getTextSize(printable, _FONT, scale, thickness)
        plate = PictureSize(width + 2 * pen.pad_px, ascent + descent + 2 * pen.pad_px)
        return cls(printable, scale, thickness, pen.pad_px, ascent, plate)

    def draw(self, panel: Picture, plate: Plate, colour: Colour) -> None:
        """Draw the plate in `colour` with the text in black or white, whichever stands out."""
        far = (plate.x + plate.width - 1, plate.y + plate.height - 1)
        cv2.rectangle(panel, (plate.x, plate.y), far, colour, cv2.FILLED)
        cv2.rectangle(panel, (plate.x, plate.y), far, DARK, 1)
        brightness = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
        ink = DARK if brightness > 110 else LIGHT
        base = (plate.x + self.pad_px, plate.y + self.pad_px + self.ascent_px)
        cv2.putText(panel, self.line, base, _FONT, self.scale, ink, self.thickness, cv2.LINE_AA)


def _clamped(value: int, most: int) -> int:
    return max(0, min(value, most))
