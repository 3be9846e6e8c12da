"""`score.png`: what is kept of a long run, and a picture that shows it."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from dmtrack.drawing.draw import target_colour
from dmtrack.drawing.score_plot import MOST_ROWS, MOST_SPANS, STATE_COLOURS, ScorePlotSink
from dmtrack.errors import OutputError
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import FrameResult, TrackedBox, TrackState
from dmtrack.video.frame import Frame, FramePair, Modality
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

PIXELS = np.zeros((8, 8, 3), np.uint8)
SIX = np.zeros((8, 8, 6), np.uint8)


def result(index, targets, skew_frames=None, metres=None):
    """`targets` maps ids to score and state; the skew is in hundredths of a frame of 0.1 s."""
    measure = None if metres is None else AuxMeasure(metres, metres, metres, AuxUnit.METRE)
    frame = Frame(index, index, Fraction(1, 10), PIXELS)
    boxes = tuple(
        TrackedBox(index, target_id, Box(1, 1, 4, 4), score, TrackState(state), frame.time_s, measure)
        for target_id, (score, state) in targets.items()
    )
    if skew_frames is None:
        return FrameResult(FramePair(frame, None, None, PIXELS), boxes, 1.0)
    aux = Frame(index, 100 * index + skew_frames, Fraction(1, 1000), PIXELS)
    return FrameResult(FramePair(frame, aux, Modality.THERMAL, SIX), boxes, 1.0)


def test_a_long_run_is_kept_in_a_bounded_number_of_spans(tmp_path):
    history = ScorePlotSink(tmp_path / "score.png")
    frames = 5 * MOST_SPANS + 3
    for index in range(frames):
        low = index == 2000
        history.write(result(index, {1: (0.1, "lost") if low else (0.8, "tracked")}, 7 if low else 1))
    assert MOST_SPANS // 2 <= len(history.spans) <= MOST_SPANS
    assert sum(span.frames for span in history.spans) == frames
    assert sum(span.targets[1].frames for span in history.spans) == frames
    (bad,) = [span for span in history.spans if span.targets[1].lowest < 0.5]
    assert (bad.targets[1].state, bad.skew_ms) == (TrackState.LOST, 7.0), "the worst frame is still there"
    assert bad.targets[1].mean > 0.6
    assert bad.start_s <= 200.0 < bad.start_s + 0.8


def test_targets_that_come_later_are_known_from_then_on(tmp_path):
    history = ScorePlotSink(tmp_path / "score.png")
    for index in range(4):
        history.write(
            result(index, {1: (0.9, "tracked")} if index < 2 else {1: (0.9, "tracked"), 2: (1, "init")})
        )
    assert [sorted(span.targets) for span in history.spans] == [[1], [1], [1, 2], [1, 2]]
    assert {span.skew_ms for span in history.spans} == {None}


def drawn(path, results):
    with ScorePlotSink(path) as sink:
        for one in results:
            sink.write(one)
    return cv2.imread(str(path))


def share(picture, colour):
    rgb = [int(colour[k : k + 2], 16) for k in (5, 3, 1)]
    return float((np.abs(picture.astype(int) - rgb).max(axis=2) < 3).mean())


def test_the_picture_shows_the_states_for_as_long_as_they_lasted(tmp_path):
    """Of 40 frames 30 are tracked and 10 lost: three times as much of the one colour."""
    states = ["tracked"] * 30 + ["lost"] * 10
    picture = drawn(tmp_path / "score.png", (result(k, {1: (0.8, state)}) for k, state in enumerate(states)))
    tracked = share(picture, STATE_COLOURS[TrackState.TRACKED])
    lost = share(picture, STATE_COLOURS[TrackState.LOST])
    assert 2.0 < tracked / lost < 3.5  # the legend has as much of each


def test_no_score_is_drawn_where_a_target_is_absent(tmp_path):
    """A line from one score to the next would go through the empty middle of the picture."""
    scores = {k: 0.8 if k < 10 else 0.2 for k in range(40) if not 10 <= k < 30}
    shown = [{1: (scores[k], "tracked")} if k in scores else {} for k in range(40)]
    picture = drawn(tmp_path / "score.png", (result(k, targets) for k, targets in enumerate(shown)))
    middle = picture[80:180, 400:600].astype(int)  # between both scores and both times
    assert not (np.abs(middle - target_colour(1)[::-1]).max(axis=2) < 40).any()


def test_a_second_stream_adds_its_skew(tmp_path):
    alone = drawn(tmp_path / "one.png", (result(k, {1: (0.8, "tracked")}) for k in range(9)))
    both = drawn(tmp_path / "two.png", (result(k, {1: (0.8, "tracked")}, skew_frames=k) for k in range(9)))
    assert both.shape[0] > alone.shape[0] + 100


def test_what_is_measured_has_a_panel_and_gaps_stay_gaps(tmp_path):
    alone = drawn(tmp_path / "one.png", (result(k, {1: (0.8, "tracked")}, 1) for k in range(60)))
    metres = [2.0 + k / 20 if k < 20 or k > 39 else None for k in range(60)]
    both = drawn(
        tmp_path / "two.png", (result(k, {1: (0.8, "tracked")}, 1, one) for k, one in enumerate(metres))
    )
    added = both.shape[0] - alone.shape[0]
    assert added > 100
    own = (both == np.array(target_colour(1)[::-1])).all(axis=2)
    panel = own[both.shape[0] // 2 :]  # below the scores
    columns = np.flatnonzero(panel.any(axis=0))
    gap = np.diff(columns).max() / (columns[-1] - columns[0])
    assert gap == pytest.approx(21 / 59, abs=0.03)
    rows = np.array([np.flatnonzero(panel[:, column]).mean() for column in (columns[0], columns[-1])])
    assert rows[0] - rows[1] > 60, "farther is higher"


def test_a_mean_over_frames_leaves_out_those_without_a_measure(tmp_path):
    history = ScorePlotSink(tmp_path / "score.png")
    for index in range(2 * MOST_SPANS):
        history.write(result(index, {1: (0.8, "tracked")}, 1, 3.0 if index % 2 else None))
    spans = [span.targets[1] for span in history.spans]
    assert {(one.measured, one.measures, one.frames) for one in spans} == {(3.0, 1, 2)}


@pytest.mark.parametrize(
    "targets", [{}, dict.fromkeys(range(1, MOST_ROWS + 9), (0.5, "tracked"))], ids=["none", "many"]
)
def test_no_target_yet_or_very_many_are_no_problem(tmp_path, targets):
    assert drawn(tmp_path / "score.png", (result(k, targets) for k in range(3))) is not None


def test_one_frame_is_a_picture_and_none_is_not(tmp_path):
    assert drawn(tmp_path / "one.png", [result(0, {1: (1.0, "init")})]) is not None
    assert drawn(tmp_path / "none.png", []) is None
    assert not (tmp_path / "none.png").exists()


def test_an_interrupted_run_has_its_picture(tmp_path):
    sink = ScorePlotSink(tmp_path / "score.png")
    sink.write(result(0, {1: (1.0, "init")}))
    sink.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (tmp_path / "score.png").exists()


def test_an_existing_picture_is_kept(tmp_path):
    (tmp_path / "score.png").write_bytes(b"mine")
    with pytest.raises(OutputError):
        ScorePlotSink(tmp_path / "score.png")
    assert (tmp_path / "score.png").read_bytes() == b"mine"


def test_thresholds_are_lines_across_the_scores(tmp_path):
    results = [result(k, {1: (0.9, "tracked")}) for k in range(30)]
    plain = drawn(tmp_path / "plain.png", results)
    with ScorePlotSink(tmp_path / "lines.png", {"uncertain below": 0.4}) as sink:
        for one in results:
            sink.write(one)
    lined = cv2.imread(str(tmp_path / "lines.png"))
    rows = np.flatnonzero((plain != lined).any(axis=2).sum(axis=1) > plain.shape[1] // 3)
    assert 1 <= len(rows) <= 3


def test_a_target_has_the_colour_of_the_video(tmp_path):
    picture = drawn(tmp_path / "score.png", [result(k, {2: (0.9, "tracked")}) for k in range(30)])
    assert (picture == np.array(target_colour(2)[::-1])).all(axis=2).any()
