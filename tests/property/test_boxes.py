"""Results written and read again: what a format holds comes back, and `losses` names the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtrack.boxes.export import losses
from dmtrack.boxes.formats import HOLDS, Content, ResultFormat
from dmtrack.boxes.formats.mot import DECIMALS, MS_DECIMALS
from dmtrack.boxes.reading import read_all
from dmtrack.boxes.results import (
    AbsentTarget,
    FrameBoxes,
    PictureSize,
    RecordingResults,
    ResultsGatherer,
)
from dmtrack.boxes.writing import result_files_of, write_results
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

NAME = "night street"
ROUNDED = {ResultFormat.MOT, ResultFormat.VOT, ResultFormat.LASHER, ResultFormat.CVAT}
ROW_A_FRAME = {ResultFormat.VOT, ResultFormat.LASHER}
#: These count frames without boxes, or are folders: their round trips are in `test_annotators`.
ANNOTATORS = {ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO, ResultFormat.MOTCHALLENGE}


def of_decimals(low: float, high: float, decimals: int) -> st.SearchStrategy[float]:
    """Numbers as precise as they are written."""
    return st.floats(low, high).map(lambda value: round(value, decimals) + 0.0)


positions = of_decimals(-1e5, 1e5, DECIMALS)
sides = of_decimals(1e-3, 1e5, DECIMALS)
boxes = st.builds(Box, positions, positions, sides, sides)
scores = st.none() | of_decimals(0, 1, DECIMALS)
seconds = of_decimals(0, 1e6, DECIMALS)
measured = of_decimals(-1e5, 1e5, DECIMALS)
measures = st.none() | st.builds(
    AuxMeasure,
    measured,
    st.none() | measured,
    st.none() | measured,
    st.sampled_from([*AuxUnit]),
    st.none() | st.tuples(measured, measured, measured),
)
milliseconds = of_decimals(-1e6, 1e6, MS_DECIMALS)


def add_frame(draw: st.DrawFn, gatherer: ResultsGatherer, index: int, ids: Sequence[int]) -> None:
    gatherer.add_frame(
        index,
        time_s=draw(st.none() | seconds),
        aux_present=draw(st.none() | st.booleans()),
        aux_time_s=draw(st.none() | seconds),
        skew_ms=draw(st.none() | milliseconds),
        infer_ms=draw(st.none() | milliseconds.map(abs)),
    )
    for number in draw(st.lists(st.sampled_from(ids), unique=True)):
        state = draw(st.none() | st.sampled_from([*TrackState]))
        gatherer.add(index, number, draw(st.none() | boxes), draw(scores), state, draw(measures))


@st.composite
def recordings(draw: st.DrawFn) -> RecordingResults:
    """Gaps, frames without boxes, targets that come late, and anything unknown."""
    size = draw(st.none() | st.builds(PictureSize, st.integers(1, 9000), st.integers(1, 9000)))
    gatherer = ResultsGatherer(size)
    ids = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=3)))
    for index in draw(st.sets(st.integers(0, 12), min_size=1, max_size=6)):
        add_frame(draw, gatherer, index, ids)
    if draw(st.booleans()):
        for number in gatherer.results(NAME).target_ids:
            gatherer.labels[number] = draw(st.sampled_from(["car", "person"]))
    return gatherer.results(NAME)


def there_and_back(
    results: RecordingResults, target: ResultFormat, folder: Path
) -> tuple[list[RecordingResults], list[Path]]:
    files = result_files_of([results], target, f"{folder}/")
    write_results(files, overwrite=True)
    paths = [file.path for file in files if file.data is not None and file.path.suffix != ".value"]
    return read_all(paths, target), paths


def has_rows(results: RecordingResults) -> bool:
    """Whether there is a line in every format: MOT files have none of a target that is lost."""
    return any(row.state is not TrackState.LOST for row in results.rows)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def expected(results: RecordingResults, target: ResultFormat) -> RecordingResults:
    """What may be read again: everything but what `HOLDS` leaves out."""
    holds = HOLDS[target]
    kept = list(results.every_frame()) if target in ROW_A_FRAME else list(results.frames)
    if Content.LOST_BOXES not in holds:
        kept = [
            replace(frame, targets=tuple(row for row in frame.targets if row.state is not TrackState.LOST))
            for frame in kept
        ]
    if Content.EMPTY_FRAMES not in holds:
        kept = [frame for frame in kept if frame.targets]
    out = []
    for frame in kept:
        has_times = Content.TIMES in holds
        entries = [expected_entry(one, target, has_times=has_times) for one in frame.entries]
        has_pairing = Content.PAIRING in holds
        out.append(
            FrameBoxes(
                frame.frame_index,
                tuple(one for one in entries if isinstance(one, TrackedBox)),
                tuple(one for one in entries if isinstance(one, AbsentTarget)),
                time_s=frame.time_s if has_times else None,
                aux_present=frame.aux_present if has_pairing else None,
                aux_time_s=frame.aux_time_s if has_pairing else None,
                skew_ms=frame.skew_ms if has_pairing else None,
                infer_ms=frame.infer_ms if Content.NETWORK_TIME in holds else None,
            )
        )
    return replace(results, frames=tuple(out), labels=results.labels if Content.LABELS in holds else {})


def expected_entry(
    one: TrackedBox | AbsentTarget, target: ResultFormat, *, has_times: bool
) -> TrackedBox | AbsentTarget:
    holds = HOLDS[target]
    score = one.score if Content.SCORES in holds else None
    score = rounded(score) if target is ResultFormat.MOT else score
    state = one.state if Content.STATES in holds else None
    if target is ResultFormat.VOT and one.state is TrackState.INIT:
        return AbsentTarget(one.target_id, score, TrackState.INIT)
    if isinstance(one, AbsentTarget):
        return AbsentTarget(one.target_id, score, state)
    box = Box(*(round(side, DECIMALS) for side in one.box.xywh)) if target in ROUNDED else one.box
    time_s = one.time_s if has_times else None
    measure = one.measure if Content.MEASURES in holds else None
    return TrackedBox(one.frame_index, one.target_id, box, score, state, time_s, measure)


def without_boxless(results: RecordingResults) -> RecordingResults:
    """Whether a target without a box has an entry at all is not asked of formats that only list boxes."""
    return replace(results, frames=tuple(replace(frame, absent=()) for frame in results.frames))


def without_states(results: RecordingResults) -> RecordingResults:
    kept = (
        replace(
            frame,
            targets=tuple(replace(one, state=None) for one in frame.targets),
            absent=tuple(AbsentTarget(one.target_id, one.score) for one in frame.absent),
        )
        for frame in results.frames
    )
    return replace(results, frames=tuple(kept))


@pytest.mark.parametrize("target", [ResultFormat.CSV, ResultFormat.JSON, ResultFormat.JSONL])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings())
def test_our_own_formats_lose_nothing_that_they_hold(tmp_path, target, results):
    (again,), _ = there_and_back(results, target, tmp_path)
    wanted = expected(results, target)
    assert again == (wanted if target is ResultFormat.JSON else replace(wanted, size=None))


@pytest.mark.parametrize("target", [ResultFormat.MOT, ResultFormat.CVAT, ResultFormat.COCO])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings().filter(has_rows))
def test_formats_of_others_keep_every_box(tmp_path, target, results):
    (again,), _ = there_and_back(results, target, tmp_path)
    wanted = without_boxless(expected(results, target))
    labels = {number: label for number, label in wanted.labels.items() if number in wanted.boxed_ids}
    wanted = replace(wanted, labels=labels, size=results.size if target is ResultFormat.COCO else None)
    assert again == wanted


@pytest.mark.parametrize("target", sorted(ROW_A_FRAME))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings())
def test_rows_keep_together_with_frames(tmp_path_factory, target, results):
    (again,), _ = there_and_back(results, target, tmp_path_factory.mktemp("rows"))
    assert again.name == NAME
    assert [frame.frame_index for frame in again.frames] == list(range(results.frames[-1].frame_index + 1))
    wanted = expected(results, target)
    for frame, wanted_frame in zip(again.frames, wanted.frames, strict=True):
        if wanted_frame.infer_ms is None or target is ResultFormat.LASHER:
            assert frame.infer_ms is None
        else:
            assert frame.infer_ms == pytest.approx(wanted_frame.infer_ms, rel=1e-9, abs=1e-9)
        assert frame.time_s is None
        for target_id in results.target_ids:
            got, want = frame.target(target_id), wanted_frame.target(target_id)
            assert got == (want or AbsentTarget(target_id))


@pytest.mark.parametrize("target", sorted({*ResultFormat} - ANNOTATORS))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings().filter(has_rows))
def test_what_was_read_is_written_the_same(tmp_path_factory, target, results):
    if target is ResultFormat.CVAT:  # a lost target is written as occluded, which says nothing of a tracker
        results = without_states(results)
    first, paths = there_and_back(results, target, tmp_path_factory.mktemp("first"))
    second, again = there_and_back(first[0], target, tmp_path_factory.mktemp("second"))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    assert second == first


@pytest.mark.parametrize("target", [*ResultFormat])
@settings(max_examples=12, deadline=None)
@given(results=recordings())
def test_a_loss_is_named_exactly_when_something_is_lost(target, results):
    named = {loss.content for loss in losses([results], target)}
    assert not named & HOLDS[target]
    has = {
        Content.SCORES: any(one.score is not None for frame in results.frames for one in frame.entries),
        Content.TIMES: any(frame.time_s is not None for frame in results.frames),
        Content.LABELS: bool(results.labels),
        Content.SEVERAL_TARGETS: len(results.target_ids) > 1,
    }
    for content, there in has.items():
        assert (content in named) == (there and content not in HOLDS[target])
