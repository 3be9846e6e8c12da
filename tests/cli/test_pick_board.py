"""What the drawing window does with the mouse and the keys, without a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from dmtrack.drawing.draw import target_colour
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack_cli.console import Stopped
from dmtrack_cli.pick import window
from dmtrack_cli.pick.window import Board, draw_in_window

SCALE = 6
"""Drawn pixels a frame pixel, for the recording of the tests (96 x 64)."""
PANEL = 96 * SCALE


@pytest.fixture
def scene(recording: Any) -> DrawingScene:
    with open_pair(recording.rgb, recording.thermal, start=Position(index=2)) as pairs:
        first = next(iter(pairs))
    return DrawingScene(first, open_at=lambda _: pairs, lowest=0, last=11, ids=(2, 4, 5))


def drag(board: Board, start: tuple[int, int], *way: tuple[int, int]) -> None:
    """Press at `start`, move along `way`, let go at its end; all in pixels of the frame."""
    (first, *_), end = [(x * SCALE, y * SCALE) for x, y in (start, *way)], way[-1]
    board.on_mouse(cv2.EVENT_LBUTTONDOWN, *first)
    for x, y in way:
        board.on_mouse(cv2.EVENT_MOUSEMOVE, x * SCALE, y * SCALE)
    board.on_mouse(cv2.EVENT_LBUTTONUP, end[0] * SCALE, end[1] * SCALE)


def boxes(board: Board) -> list[tuple[float, ...]]:
    return [tuple(round(side) for side in start.box.xywh) for start in board.starts()]


def test_several_boxes_get_the_ids_in_order(scene: DrawingScene) -> None:
    board = Board(scene)
    drag(board, (20, 16), (30, 20), (36, 32))
    drag(board, (50, 40), (60, 50))
    assert boxes(board) == [(20, 16, 16, 16), (50, 40, 10, 10)]
    assert [(start.target_id, start.frame_index) for start in board.starts()] == [(2, 2), (4, 2)]


@pytest.mark.parametrize(
    ("start", "end", "box"),
    [
        pytest.param((36, 32), (20, 16), (20, 16, 16, 16), id="up-and-left"),
        pytest.param((90, 60), (130, 90), (90, 60, 6, 4), id="beyond-the-corner"),
        pytest.param((96 + 20, 16), (96 + 36, 32), (20, 16, 16, 16), id="on-the-second-stream"),
        pytest.param((96 + 4, 16), (80, 32), (0, 16, 4, 16), id="from-the-second-stream-into-the-first"),
        pytest.param((80, 10), (100, 30), (80, 10, 16, 20), id="from-the-first-stream-into-the-second"),
    ],
)
def test_a_drag_stays_in_its_panel(scene: DrawingScene, start: Any, end: Any, box: Any) -> None:
    board = Board(scene)
    drag(board, start, end)
    assert boxes(board) == [box]


def test_a_click_is_no_box(scene: DrawingScene) -> None:
    board = Board(scene)
    drag(board, (20, 16), (21, 17))
    board.on_mouse(cv2.EVENT_LBUTTONUP, 300, 300)
    assert board.starts() == ()


def test_undo_takes_back_the_drag_first_then_the_last_box(scene: DrawingScene) -> None:
    board = Board(scene)
    drag(board, (20, 16), (36, 32))
    drag(board, (50, 40), (60, 50))
    board.on_mouse(cv2.EVENT_LBUTTONDOWN, 0, 0)
    board.undo()
    assert len(board.starts()) == 2
    board.undo()
    assert boxes(board) == [(20, 16, 16, 16)]
    board.undo()
    board.undo()
    assert board.starts() == ()


def test_no_more_boxes_than_ids(scene: DrawingScene) -> None:
    board = Board(scene)
    for left in (0, 20, 40, 60):
        drag(board, (left, 10), (left + 10, 20))
    board.on_mouse(cv2.EVENT_LBUTTONDOWN, 0, 0)
    board.on_mouse(cv2.EVENT_MOUSEMOVE, 200, 200)
    assert board.picture().size
    assert len(board.starts()) == 3


def test_the_picture_shows_both_streams_and_every_box_on_both(scene: DrawingScene) -> None:
    board = Board(scene)
    empty = board.picture()
    assert empty.shape[1] == 2 * PANEL
    red, green, blue = target_colour(2)
    drag(board, (20, 40), (36, 56))
    drawn = board.picture()
    middle_of_left_edge = 48 * SCALE
    for panel in (0, PANEL):
        column = panel + 20 * SCALE
        near = drawn[middle_of_left_edge, column - 3 : column + 4].astype(int)
        assert (abs(near - (blue, green, red)).sum(axis=1) < 12).any()
        assert (
            drawn[: 64 * SCALE, panel : panel + PANEL] != empty[: 64 * SCALE, panel : panel + PANEL]
        ).any()
    assert abs(drawn[20 * SCALE, 26 * SCALE].astype(int) - empty[20 * SCALE, 26 * SCALE]).sum() == 0


def test_a_box_shows_while_it_is_drawn(scene: DrawingScene) -> None:
    board = Board(scene)
    before = board.picture()
    board.on_mouse(cv2.EVENT_LBUTTONDOWN, 100, 100)
    board.on_mouse(cv2.EVENT_MOUSEMOVE, 250, 250)
    assert board.changed
    assert (board.picture() != before).any()
    assert not board.changed


def test_accepting_nothing_says_what_to_do(scene: DrawingScene) -> None:
    board = Board(scene)
    before = board.picture()
    assert not board.accept()
    assert board.changed
    assert (board.picture()[64 * SCALE :] != before[64 * SCALE :]).any()
    drag(board, (20, 16), (36, 32))
    assert board.accept()


def test_one_stream_is_one_panel(recording: Any) -> None:
    with open_pair(recording.rgb) as pairs:
        first = next(iter(pairs))
    board = Board(DrawingScene(first, open_at=lambda _: pairs, lowest=0, last=11, ids=(1,)))
    assert board.picture().shape[1] == PANEL
    drag(board, (90, 10), (150, 30))
    assert boxes(board) == [(90, 10, 6, 20)]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the window by a script: what `waitKey` returns, and a box drawn before the first key."""

    def script(*codes: int, visible: float = 1.0, drawn: bool = True) -> None:
        left = list(codes)

        def callback(_title: str, on_mouse: Any) -> None:
            if drawn:
                points = ((cv2.EVENT_LBUTTONDOWN, 20), (cv2.EVENT_LBUTTONUP, 36))
                for event, place in points:
                    on_mouse(event, place * SCALE, place * SCALE, 0, None)

        for name in ("namedWindow", "resizeWindow", "imshow", "destroyAllWindows"):
            monkeypatch.setattr(window.cv2, name, lambda *_: None)
        monkeypatch.setattr(window.cv2, "setMouseCallback", callback)
        monkeypatch.setattr(window.cv2, "getWindowProperty", lambda *_: visible)
        monkeypatch.setattr(window.cv2, "waitKey", lambda *_: left.pop(0) if left else -1)

    return script


@pytest.mark.parametrize("enter", [13, 10, 32, 141], ids=["enter", "line-feed", "space", "number-pad"])
def test_enter_accepts(scene: DrawingScene, keys: Callable[..., None], enter: int) -> None:
    keys(-1, ord("x"), enter)
    assert [start.target_id for start in draw_in_window(scene)] == [2]


def test_enter_without_a_box_goes_on_until_escape(scene: DrawingScene, keys: Callable[..., None]) -> None:
    keys(13, ord("u"), 27, drawn=False)
    with pytest.raises(Stopped, match="nothing was tracked"):
        draw_in_window(scene)


def test_undo_leaves_nothing_to_accept(scene: DrawingScene, keys: Callable[..., None]) -> None:
    keys(ord("u"), 13, 27)
    with pytest.raises(Stopped):
        draw_in_window(scene)


def test_a_window_that_is_closed_cancels(scene: DrawingScene, keys: Callable[..., None]) -> None:
    keys(-1, 13, visible=0.0)
    with pytest.raises(Stopped):
        draw_in_window(scene)


def test_a_drawn_box_starts_tracking(
    run_cli: Any, recording: Any, weights: Path, keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "why_no_window", lambda: None)
    keys(13)
    words = ["--weights", weights, "-o", "out", "--start", "5", "--no-video", "--box", "1,1,9,9", "--box"]
    outcome = run_cli("track", recording.rgb, recording.thermal, *words)
    assert outcome.code == 0
    assert "(--box, drawn)" in outcome.err
    first = [line.split(",") for line in Path("out/boxes.txt").read_text().splitlines()][:2]
    assert [row[:2] for row in first] == [["6", "1"], ["6", "2"]]
    assert np.allclose([float(side) for side in first[1][2:6]], (20, 20, 16, 16), atol=0.2)
