"""What annotators' programs hold comes back from their files as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.mot import MotOptions
from dmtrack.boxes.formats.waypoints import AnnotatorOptions, keyframes_among
from dmtrack.boxes.reading import read_results
from dmtrack.boxes.results import FrameBoxes, PictureSize, RecordingResults
from dmtrack.boxes.writing import result_files_of
from dmtrack.geometry.box import Box
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit

places = st.integers(-(10**9), 10**9).map(lambda n: n / 10**6)
lengths = st.integers(1, 10**9).map(lambda n: n / 10**6)
boxes = st.builds(Box, places, places, lengths, lengths)
scores = st.none() | st.integers(0, 10**6).map(lambda n: n / 10**6)
numbers = st.integers(-(10**9), 10**9).map(lambda n: n / 10**6)
measures = st.none() | st.builds(
    AuxMeasure, numbers, numbers, numbers, st.sampled_from(AuxUnit), st.none() | st.tuples(*[numbers] * 3)
)
states = st.none() | st.sampled_from([TrackState.INIT, TrackState.TRACKED, TrackState.LOST])
names = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_categories=["Cc", "Cf", "Zs"]), min_size=1
)


@st.composite
def recordings(draw: st.DrawFn) -> RecordingResults:
    """Up to three targets that come and go in thirty frames."""
    places = draw(st.sets(st.tuples(st.integers(0, 29), st.integers(1, 3)), min_size=1, max_size=40))
    rows = [
        TrackedBox(index, who, draw(boxes), draw(scores), draw(states), None, draw(measures))
        for index, who in sorted(places)
    ]
    frames = sorted({row.frame_index for row in rows})
    labels = draw(st.dictionaries(st.sampled_from([row.target_id for row in rows]), names))
    return RecordingResults(
        draw(names),
        tuple(FrameBoxes(index, tuple(row for row in rows if row.frame_index == index)) for index in frames),
        PictureSize(640, 480),
        {who: label for who, label in sorted(labels.items()) if label != "target"},
    )


def known(results: RecordingResults, kind: ResultFormat) -> RecordingResults:
    """Return what the format says."""
    if kind not in (ResultFormat.MOTCHALLENGE, ResultFormat.KITTI):
        return results
    frames = [
        replace(frame, targets=tuple(replace(row, state=None, measure=None) for row in frame.targets))
        for frame in results.frames
    ]
    return replace(results, frames=tuple(frames), size=None if kind is ResultFormat.KITTI else results.size)


@pytest.mark.parametrize(
    ("kind", "keyframe_px"),
    [
        (ResultFormat.CVAT_VIDEO, 0),
        (ResultFormat.CVAT_VIDEO, 50),
        (ResultFormat.LABEL_STUDIO, 0),
        (ResultFormat.MOTCHALLENGE, 0),
        (ResultFormat.KITTI, 0),
    ],
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(results=recordings())
def test_everything_comes_back(tmp_path, kind, keyframe_px, results):
    options = AnnotatorOptions(keyframe_px)
    if kind in (ResultFormat.CVAT_VIDEO, ResultFormat.LABEL_STUDIO):
        assume(results.usual_step == 1)  # of sparse boxes the lines between them come back too
    if kind is ResultFormat.KITTI:
        results = replace(results, name="a")  # such a file has no other
    whole = str(tmp_path / f"a{kind.ending}")
    files = result_files_of([results], kind, whole, MotOptions(keep_lost=True), options)
    for file in files:  # `write_results` waits for the disk, each time
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.unlink(missing_ok=True) if file.data is None else file.path.write_bytes(file.data)
    assert read_results(files[0].path, kind) == (known(results, kind),)


@given(st.lists(st.tuples(st.integers(0, 60), boxes), max_size=40), st.floats(0, 100))
def test_what_is_no_keyframe_lies_on_the_line(given, keyframe_px):
    track = sorted(dict(given).items())
    rows = [TrackedBox(index, 1, box) for index, box in track]
    kept = sorted(keyframes_among(rows, keyframe_px)) if track else []
    for index, box in track:
        if index in kept:
            continue
        before, after = max(k for k in kept if k < index), min(k for k in kept if k > index)
        assert {n for n, _ in track} >= set(range(before, after)), "a line over a frame without a box"
        share = (index - before) / (after - before)
        ends = zip(dict(track)[before].xywh, dict(track)[after].xywh, strict=True)
        line = [a + share * (b - a) for a, b in ends]
        assert box.xywh == pytest.approx(line, abs=keyframe_px + 1e-6)
