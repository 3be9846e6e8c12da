"""Annotated pictures: what is where, readable on any size and background."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from dmtrack.boxes.results import PictureSize
from dmtrack.drawing.draw import (
    LARGEST_SIDE_PX,
    PALETTE,
    Layout,
    LegendEntry,
    LineStyle,
    Mark,
    Plate,
    clock_text,
    compose,
    compose_result,
    drawing_scale,
    place_label,
    target_colour,
)
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair, Modality

LABEL, PANEL = PictureSize(80, 20), PictureSize(640, 480)
RED, BLUE = (200, 0, 0), (0, 0, 200)


def _pair(
    width: int = 640,
    height: int = 480,
    rgb: tuple[int, int, int] = RED,
    aux: tuple[int, int, int] | None = BLUE,
    modality: Modality | None = Modality.THERMAL,
    partner: bool = True,
) -> FramePair:
    first = np.full((height, width, 3), rgb, np.uint8)
    image = first if aux is None else np.concatenate([first, np.full_like(first, aux)], axis=2)
    frame = Frame(12, 400, Fraction(1, 1000), first)
    return FramePair(frame, Frame(12, 390, Fraction(1, 1000), first) if partner else None, modality, image)


def _target(box: Box, state: TrackState = TrackState.TRACKED, number: int = 1) -> TrackedBox:
    return TrackedBox(12, number, box, 0.87, state, Fraction(2, 5))


def _near(picture: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return (np.abs(picture.astype(int) - colour).max(axis=2) < 12).astype(np.bool_)


@pytest.mark.parametrize(
    ("layout", "columns", "left", "right"),
    [
        (Layout.SIDE, 1280, RED, BLUE),
        (Layout.RGB, 640, RED, RED),
        (Layout.AUX, 640, BLUE, BLUE),
        (Layout.OVERLAY, 640, (100, 0, 100), (100, 0, 100)),
    ],
)
def test_layouts(layout, columns, left, right):
    picture = compose(_pair(), [], layout)
    assert picture.shape == (480, columns, 3)
    assert tuple(picture[240, 10]) == left
    assert tuple(picture[240, -10]) == right


@pytest.mark.parametrize("layout", list(Layout))
def test_without_a_second_stream_every_layout_is_rgb(layout):
    picture = compose(_pair(aux=None, modality=None, partner=False), [], layout)
    assert picture.shape == (480, 640, 3)
    assert tuple(picture[240, 320]) == RED


def test_overlay_of_events_leaves_rgb_where_nothing_happened():
    white = compose(_pair(aux=(255, 255, 255), modality=Modality.EVENT), [], Layout.OVERLAY)
    assert tuple(white[240, 320]) == RED
    event = compose(_pair(aux=(30, 30, 200), modality=Modality.EVENT), [], Layout.OVERLAY)
    assert event[240, 320, 2] > 140


def test_overlay_without_a_partner_is_not_darkened():
    picture = compose(_pair(aux=(0, 0, 0), partner=False), [], Layout.OVERLAY)
    assert tuple(picture[240, 320]) == RED


def test_overlay_shows_a_held_picture():
    picture = compose(_pair(aux=BLUE, partner=False), [], Layout.OVERLAY)
    assert tuple(picture[240, 320]) == (100, 0, 100)


@pytest.mark.parametrize(
    ("layout", "left", "right"),
    [
        (Layout.SIDE, RED, (0, 0, 0)),
        (Layout.AUX, (0, 0, 0), (0, 0, 0)),
        (Layout.OVERLAY, RED, RED),
        (Layout.RGB, RED, RED),
    ],
)
def test_a_frame_seen_without_its_second_stream_shows_black_for_it(layout, left, right):
    picture = compose(_pair(aux=None, partner=False), [], layout)
    assert tuple(picture[240, 320]) == left
    assert tuple(picture[240, -320]) == right


def test_inputs_are_not_drawn_on():
    pair = _pair()
    before = pair.image.copy()
    compose_result(FrameResult(pair, (_target(Box(10, 10, 100, 100)),), 1.0), Layout.SIDE)
    assert np.array_equal(pair.image, before)


@pytest.mark.parametrize(
    ("width", "height", "panels", "scale"),
    [
        (64, 48, 2, 8),
        (160, 120, 2, 3),
        (320, 240, 1, 2),
        (640, 480, 2, 1),
        (1920, 1080, 2, 1),
        (3840, 2160, 1, 1),
        (3840, 2160, 2, Fraction(4096, 7680)),
        (1000, 40, 1, 4),
        (4096, 1, 1, 1),
        (1, 1, 1, 360),
    ],
)
def test_scale(width, height, panels, scale):
    assert drawing_scale(PictureSize(width, height), panels) == scale


@pytest.mark.parametrize(
    "size", [(64, 48), (160, 120), (641, 481), (1920, 1080), (3840, 2160), (1000, 40), (3, 900)]
)
@pytest.mark.parametrize("layout", [Layout.SIDE, Layout.RGB])
def test_box_sits_on_its_pixels_at_any_size(size, layout):
    width, height = size
    box = Box(width / 3, height / 3, width / 3, height / 3)
    mark = Mark(box, "", (255, 255, 255))
    picture = compose(_pair(width, height, rgb=(0, 0, 0), aux=(0, 0, 0)), [mark], layout)
    panel = picture[:, : picture.shape[1] // (2 if layout is Layout.SIDE else 1)]
    assert max(picture.shape) <= LARGEST_SIDE_PX
    row = panel.shape[0] // 2
    columns = np.flatnonzero(_near(panel[row : row + 1], (255, 255, 255))[0])
    scale = panel.shape[1] / width
    line = max(4, panel.shape[0] // 100)
    assert columns.min() == pytest.approx(width / 3 * scale, abs=line)
    assert columns.max() == pytest.approx(2 * width / 3 * scale, abs=line)


def test_side_draws_the_box_on_both_panels():
    picture = compose(
        _pair(rgb=(0, 0, 0), aux=(0, 0, 0)), [Mark(Box(200, 200, 100, 100), "", RED)], Layout.SIDE
    )
    assert _near(picture, RED)[190:310, :640].sum() == _near(picture, RED)[190:310, 640:].sum() > 500


@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (230, 159, 0)])
def test_box_stands_out_from_any_background(background):
    mark = Mark(Box(200, 200, 100, 100), "", PALETTE[0])
    picture = compose(_pair(rgb=background), [mark], Layout.RGB)
    edge = picture[250, 192:208].astype(int)
    assert np.abs(edge - background).max() > 140


def _share_drawn(line: LineStyle) -> float:
    mark = Mark(Box(100, 100, 400, 300), "", (255, 255, 255), line)
    picture = compose(_pair(rgb=(0, 0, 0)), [mark], Layout.RGB)
    return float(_near(picture, (255, 255, 255))[400, 110:490].mean())


def test_line_styles_differ():
    solid, dashed, dotted = (_share_drawn(line) for line in LineStyle)
    assert solid == 1.0
    assert 0.3 < dashed < 0.9
    assert 0.3 < dotted < 1.0
    lines = [Mark.of(_target(Box(0, 0, 9, 9), state)).line for state in TrackState]
    assert lines == [LineStyle.SOLID, LineStyle.SOLID, LineStyle.DASHED, LineStyle.DOTTED, LineStyle.DOTTED]


def test_label_says_id_score_and_state():
    assert Mark.of(_target(Box(0, 0, 9, 9), TrackState.LOST, 4)).label == "4  0.87  lost"


def test_colours_follow_ids():
    assert len({target_colour(number) for number in range(1, 8)}) == 7
    assert target_colour(8) == target_colour(1)


@pytest.mark.parametrize(
    ("pts", "text"),
    [
        (400, "frame 12  0:00.400"),
        (61_005, "frame 12  1:01.005"),
        (3_600_000, "frame 12  1:00:00.000"),
        (59_999, "frame 12  0:59.999"),
        (-40, "frame 12  -0:00.040"),
    ],
)
@pytest.mark.parametrize("start_s", [0, 26, 1_700_000_000])
def test_clock(pts, text, start_s):
    """A time that `--start` and `--from` take: since the first frame, whatever the source's clock says."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    frame = Frame(12, start_s * 1000 + pts, Fraction(1, 1000), pixels)
    assert clock_text(FramePair(frame, None, None, pixels, start_s=Fraction(start_s))) == text


def test_label_goes_above_then_below():
    label, panel = PictureSize(80, 20), PictureSize(640, 480)
    assert place_label(Box(100, 100, 50, 50), label, panel, []) == Plate(100, 80, 80, 20)
    above = Plate(100, 70, 100, 30)
    assert place_label(Box(100, 100, 50, 50), label, panel, [above]) == Plate(100, 150, 80, 20)


@pytest.mark.parametrize(
    "box",
    [
        Box(-500, -500, 20, 20),
        Box(635, 475, 100, 100),
        Box(0, 0, 640, 480),
        Box(600, 0, 40, 10),
        Box(1e6, 5, 9, 9),
    ],
    ids=["far outside", "over the corner", "whole frame", "top right", "very far"],
)
def test_label_stays_inside(box):
    x, y, w, h = place_label(box, PictureSize(80, 20), PictureSize(640, 480), [])
    assert 0 <= x <= x + w <= 640
    assert 0 <= y <= y + h <= 480


def test_labels_of_crowded_targets_do_not_cover_each_other():
    taken: list[Plate] = []
    for number in range(8):
        taken.append(
            place_label(Box(200 + number, 200, 60, 60), PictureSize(80, 20), PictureSize(640, 480), taken)
        )
    assert sum(a.overlap(b) for i, a in enumerate(taken) for b in taken[:i]) == 0


def test_plate_that_cannot_avoid_others_covers_least():
    everywhere = [Plate(0, 0, 640, 240), Plate(0, 240, 640, 240)]
    assert (
        place_label(Box(10, 10, 5, 5), PictureSize(80, 20), PictureSize(640, 480), everywhere).overlap(
            everywhere[0]
        )
        > 0
    )


def test_label_text_is_readable_on_white():
    target = _target(Box(200, 200, 100, 100))
    pair = _pair(rgb=(255, 255, 255))
    picture = compose_result(FrameResult(pair, (target,), 1.0), Layout.RGB)
    plate = picture[175:198, 202:290]
    assert _near(plate, PALETTE[0]).mean() > 0.4
    assert _near(plate, (16, 16, 16)).mean() > 0.03


def test_clock_and_caption_and_legend_are_on_plates():
    picture = compose(_pair(rgb=RED, aux=BLUE), [], Layout.SIDE, [LegendEntry("truth.txt", (240, 228, 66))])
    dark = _near(picture, (16, 16, 16))
    assert dark[2:16, 2:140].mean() > 0.5
    assert dark[-16:-2, 642:740].mean() > 0.5
    assert _near(picture, (240, 228, 66))[-18:, -70:].mean() > 0.4


def test_missing_partner_is_said():
    pairs = [_pair(), _pair(partner=False), _pair(aux=(0, 0, 0), partner=False)]
    plates = [(compose(pair, [], Layout.SIDE)[-18:, 641:760] > 128).all(axis=2).tobytes() for pair in pairs]
    assert len(set(plates)) == 3


def test_size_does_not_depend_on_what_is_drawn():
    marks = [Mark(Box(-1e9, -1e9, 2e9, 2e9), "x" * 300, RED), Mark(Box(5, 5, 1e-3, 1e-3), "\u00e9", BLUE)]
    assert compose(_pair(), marks, Layout.SIDE).shape == compose(_pair(), [], Layout.SIDE).shape
