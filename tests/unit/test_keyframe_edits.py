"""What a person does to keyframes, and that files keep it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmtrack.boxes.keyframes import keyframes_text, read_keyframes
from dmtrack.errors import BoxError
from dmtrack.geometry.box import Box
from dmtrack.tracking.edits import (
    Keyframes,
    absent_from,
    looked_for_from,
    renamed,
    settled,
    split,
    with_box,
    without_keyframe,
    without_target,
)
from dmtrack.tracking.start import Absence, TargetStart

BOX = Box(1, 2, 3, 4)
START = TargetStart(BOX, 1, 10)
OTHER = TargetStart(Box(9, 9, 9, 9), 2, 12)


def test_a_box_takes_the_place_of_one_in_its_frame():
    moved = TargetStart(Box(5, 5, 5, 5), 1, 10, back=False)
    assert with_box((START, OTHER), moved) == (moved, OTHER)


def test_absent_and_back_and_neither():
    gone = absent_from((START,), 1, 20)
    assert gone == (START, Absence(1, 20))
    back = looked_for_from(gone, 1, 30)
    assert back == (START, Absence(1, 20, 30))
    assert without_keyframe(back, 1, 30) == gone
    assert without_keyframe(gone, 1, 20) == (START,)


def test_a_box_ends_an_absence():
    later = TargetStart(BOX, 1, 25)
    assert with_box((START, Absence(1, 20, 30)), later) == (START, Absence(1, 20), later)


def test_two_targets_become_one():
    same_frame = TargetStart(BOX, 2, 10)
    assert renamed((START, same_frame, OTHER), 2, 1) == (START, TargetStart(OTHER.box, 1, 12))
    assert renamed((START,), 1, 7) == (TargetStart(BOX, 7, 10),)


def test_two_targets_that_were_taken_for_each_other_are_swapped_where_it_happened():
    """Each is split where it took the other's place, and the pieces are joined crosswise."""
    there, here = TargetStart(Box(7, 7, 7, 7), 3, 30), TargetStart(Box(8, 8, 8, 8), 4, 30)
    pieces = split(split((START, OTHER), 1, 30, 3, there.box), 2, 30, 4, here.box)
    swapped = renamed(renamed(pieces, 3, 2), 4, 1)
    assert swapped == (START, TargetStart(here.box, 1, 30), OTHER, TargetStart(there.box, 2, 30))


def test_one_target_becomes_two():
    later = TargetStart(BOX, 1, 40)
    assert split((START, later), 1, 30, 2, OTHER.box) == (
        START,
        Absence(1, 30),
        TargetStart(OTHER.box, 2, 30),
        TargetStart(BOX, 2, 40),
    )


@pytest.mark.parametrize(
    "edit",
    [
        lambda keys: without_keyframe(keys, 1, 11),
        lambda keys: without_target(keys, 3),
        lambda keys: absent_from(keys, 1, 10),
        lambda keys: absent_from(keys, 3, 99),
        lambda keys: looked_for_from(keys, 1, 30),
        lambda keys: renamed(keys, 3, 1),
        lambda keys: split(keys, 1, 30, 2, BOX),
        lambda keys: split(keys, 1, 10, 3, BOX),
    ],
)
def test_what_makes_no_sense_is_refused(edit):
    with pytest.raises(BoxError):
        edit((START, OTHER))


FRAMES = st.integers(0, 12)
KEYS = st.one_of(
    st.builds(TargetStart, st.just(BOX), st.integers(1, 2), FRAMES, st.booleans()),
    st.builds(
        lambda target_id, frame, length: Absence(target_id, frame, length and frame + length),
        st.integers(1, 2),
        FRAMES,
        st.none() | st.integers(1, 5),
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(KEYS, max_size=8, unique_by=lambda key: (key.target_id, key.frame_index)))
def test_a_file_keeps_what_is_settled(tmp_path_factory, keys):
    once: Keyframes = settled(keys)
    assert settled(once) == once
    path: Path = tmp_path_factory.mktemp("keys") / "keyframes.csv"
    path.write_text(keyframes_text(once))
    assert settled(read_keyframes(path)) == once
