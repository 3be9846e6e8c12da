"""Results written and read again: what a format holds comes back, and `losses` names the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtrack.boxes.formats import HOLDS, Content, ResultFormat
from dmtrack.boxes.formats.mot import DECIMALS
from dmtrack.boxes.losses import losses
from dmtrack.boxes.reading import read_all
from dmtrack.boxes.recording import (
    AuxMatch,
    FrameBoxes,
    PictureSize,
    RecordingResults,
    TargetBox,
    TargetLabel,
)
from dmtrack.boxes.writing import result_files_of, write_results
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackState

NAME = "night street"
ROUNDED = {ResultFormat.MOT, ResultFormat.VOT, ResultFormat.LASHER, ResultFormat.CVAT}
ROW_A_FRAME = {ResultFormat.VOT, ResultFormat.LASHER}

positions = st.floats(-1e5, 1e5).map(lambda value: value + 0.0)
sides = st.floats(1e-3, 1e5)
boxes = st.builds(Box, positions, positions, sides, sides)
scores = st.none() | st.floats(0, 1)
seconds = st.floats(0, 1e6)
aux = st.builds(AuxMatch, st.booleans(), st.none() | seconds, st.none() | st.floats(-50, 50))


@st.composite
def frames(draw: st.DrawFn, index: int, ids: Sequence[int]) -> FrameBoxes:
    present = draw(st.lists(st.sampled_from(ids), unique=True))
    targets = tuple(
        TargetBox(
            number, draw(st.none() | boxes), draw(scores), draw(st.none() | st.sampled_from([*TrackState]))
        )
        for number in sorted(present)
    )
    return FrameBoxes(
        index, targets, draw(st.none() | seconds), draw(st.none() | aux), draw(st.none() | seconds)
    )


@st.composite
def recordings(draw: st.DrawFn) -> RecordingResults:
    """Gaps, frames without boxes, targets that come late, and anything unknown."""
    indices = sorted(draw(st.sets(st.integers(0, 12), min_size=1, max_size=6)))
    ids = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=3)))
    found = tuple(draw(frames(index, ids)) for index in indices)
    used = sorted({target.target_id for frame in found for target in frame.targets})
    labels = tuple(TargetLabel(number, draw(st.sampled_from(["car", "person"]))) for number in used)
    size = draw(st.none() | st.builds(PictureSize, st.integers(1, 9000), st.integers(1, 9000)))
    return RecordingResults(NAME, found, size, labels if draw(st.booleans()) else ())


def there_and_back(
    results: RecordingResults, target: ResultFormat, folder: Path
) -> tuple[list[RecordingResults], list[Path]]:
    files = result_files_of([results], target, f"{folder}/")
    write_results(files, overwrite=True)
    paths = [file.path for file in files if file.data is not None and file.path.suffix != ".value"]
    return read_all(paths, target), paths


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def expected(results: RecordingResults, target: ResultFormat) -> RecordingResults:
    """What may be read again: everything but what `HOLDS` leaves out."""
    holds = HOLDS[target]
    kept = list(results.every_frame()) if target in ROW_A_FRAME else list(results.frames)
    if Content.EMPTY_FRAMES not in holds:
        kept = [frame for frame in kept if frame.has_box]
    out = []
    for frame in kept:
        targets = tuple(expected_target(one, target) for one in frame.targets)
        out.append(
            FrameBoxes(
                frame.frame_index,
                targets,
                frame.time_s if Content.TIMES in holds else None,
                frame.aux if Content.PAIRING in holds else None,
                frame.infer_ms if Content.NETWORK_TIME in holds else None,
            )
        )
    return replace(results, frames=tuple(out), labels=results.labels if Content.LABELS in holds else ())


def expected_target(one: TargetBox, target: ResultFormat) -> TargetBox:
    holds = HOLDS[target]
    box = one.box
    if box is not None and target in ROUNDED:
        box = Box(*(round(side, DECIMALS) for side in box.xywh))
    score = one.score if Content.SCORES in holds else None
    score = rounded(score) if target is ResultFormat.MOT else score
    state = one.state if Content.STATES in holds else None
    if target is ResultFormat.VOT and one.state is TrackState.INIT:
        box, state = None, TrackState.INIT
    return TargetBox(one.target_id, box, score, state)


def without_boxless(results: RecordingResults) -> RecordingResults:
    """Whether a target without a box has an entry at all is not asked of formats that only list boxes."""
    kept = tuple(
        replace(frame, targets=tuple(one for one in frame.targets if one.box is not None))
        for frame in results.frames
    )
    return replace(results, frames=kept)


def without_states(results: RecordingResults) -> RecordingResults:
    kept = (
        replace(frame, targets=tuple(replace(one, state=None) for one in frame.targets))
        for frame in results.frames
    )
    return replace(results, frames=tuple(kept))


@pytest.mark.parametrize("target", [ResultFormat.CSV, ResultFormat.JSON, ResultFormat.JSONL])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings())
def test_our_own_formats_lose_nothing_that_they_hold(
    tmp_path: Path, target: ResultFormat, results: RecordingResults
) -> None:
    (again,), _ = there_and_back(results, target, tmp_path)
    wanted = expected(results, target)
    assert again == (wanted if target is ResultFormat.JSON else replace(wanted, size=None))


@pytest.mark.parametrize("target", [ResultFormat.MOT, ResultFormat.CVAT, ResultFormat.COCO])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings().filter(lambda one: any(frame.has_box for frame in one.frames)))
def test_formats_of_others_keep_every_box(
    tmp_path: Path, target: ResultFormat, results: RecordingResults
) -> None:
    (again,), _ = there_and_back(results, target, tmp_path)
    wanted = without_boxless(expected(results, target))
    boxed = {one.target_id for frame in wanted.frames for one in frame.targets}
    labels = tuple(entry for entry in wanted.labels if entry.target_id in boxed)
    wanted = replace(wanted, labels=labels, size=results.size if target is ResultFormat.COCO else None)
    assert again == wanted


@pytest.mark.parametrize("target", sorted(ROW_A_FRAME))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings())
def test_rows_keep_together_with_frames(
    tmp_path_factory: pytest.TempPathFactory, target: ResultFormat, results: RecordingResults
) -> None:
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
            assert got == (want or TargetBox(target_id, None))


@pytest.mark.parametrize("target", [*ResultFormat])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results=recordings().filter(lambda one: any(frame.has_box for frame in one.frames)))
def test_what_was_read_is_written_the_same(
    tmp_path_factory: pytest.TempPathFactory, target: ResultFormat, results: RecordingResults
) -> None:
    if target is ResultFormat.CVAT:  # a lost target is written as occluded, which says nothing of a tracker
        results = without_states(results)
    first, paths = there_and_back(results, target, tmp_path_factory.mktemp("first"))
    second, again = there_and_back(first[0], target, tmp_path_factory.mktemp("second"))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
    assert second == first


@pytest.mark.parametrize("target", [*ResultFormat])
@settings(max_examples=12, deadline=None)
@given(results=recordings())
def test_a_loss_is_named_exactly_when_something_is_lost(
    target: ResultFormat, results: RecordingResults
) -> None:
    named = {loss.content for loss in losses([results], target)}
    assert not named & HOLDS[target]
    has = {
        Content.SCORES: any(one.score is not None for frame in results.frames for one in frame.targets),
        Content.TIMES: any(frame.time_s is not None for frame in results.frames),
        Content.LABELS: bool(results.labels),
        Content.SEVERAL_TARGETS: len(results.target_ids) > 1,
    }
    for content, there in has.items():
        assert (content in named) == (there and content not in HOLDS[target])
