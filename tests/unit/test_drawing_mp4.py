"""Time stamps that MP4 can hold, and what is left of a torn file."""

from __future__ import annotations

from fractions import Fraction

import pytest
from clips import written

from dmtrack.drawing.mp4 import StampRepair, is_whole, mp4_timescale, mp4_unit, whole_fragments_bytes


@pytest.mark.parametrize(
    ("time_base", "unit"),
    [
        (Fraction(1, 90000), Fraction(1, 90000)),
        (Fraction(1001, 30000), Fraction(1, 30000)),
        (Fraction(2, 1), Fraction(1)),
        (Fraction(1, 10**9), Fraction(1, 10**6)),
    ],
    ids=["transport stream", "NTSC", "time lapse", "nanoseconds are too fine"],
)
def test_unit(time_base, unit):
    assert mp4_unit(time_base) == unit


def test_timescale_is_doubled_as_the_muxer_does():
    assert [mp4_timescale(Fraction(1, n)) for n in (30, 10_000, 90_000)] == [15_360, 10_000, 90_000]


def _stamps(pts: list[int], time_base: Fraction = Fraction(1, 1000)) -> tuple[list[int], int]:
    repair = StampRepair(mp4_unit(time_base))
    return [repair(stamp, time_base) for stamp in pts], repair.repaired


@pytest.mark.parametrize(
    ("pts", "expected", "repaired"),
    [
        ([500, 533, 566, 2000], [500, 533, 566, 2000], 0),
        ([0, 40, 40, 40, 80], [0, 40, 41, 42, 80], 2),
        ([0, 40, 30, 80], [0, 40, 41, 80], 1),
        ([-40, 0, 40], [0, 40, 80], 1),
        ([5000, 5040, 0, 40, 80], [5000, 5040, 5080, 5120, 5160], 1),
    ],
    ids=["good", "repeated", "out of order", "before zero", "clock starts again"],
)
def test_stamps(pts, expected, repaired):
    assert _stamps(pts) == (expected, repaired)


def test_numerator_of_the_time_base_is_kept():
    assert _stamps([0, 1, 5], Fraction(1001, 30000))[0] == [0, 1001, 5005]


def test_pause_too_long_for_mp4_is_closed():
    stamps, repaired = _stamps([0, 40, 40 + 10**9, 80 + 10**9])
    assert stamps == [0, 40, 80, 120]
    assert repaired == 1


def _box(kind: bytes, body: bytes = b"") -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


START = _box(b"ftyp", b"isom") + _box(b"moov", b"x" * 20)
FRAGMENT = _box(b"moof", b"y" * 30) + _box(b"mdat", b"z" * 50)


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", 0),
        (START, 0),
        (START + FRAGMENT[:-1], 0),
        (START + FRAGMENT, len(START + FRAGMENT)),
        (START + FRAGMENT + FRAGMENT[:60], len(START + FRAGMENT)),
        (START + FRAGMENT + FRAGMENT[:3], len(START + FRAGMENT)),
        (START + FRAGMENT + FRAGMENT[:38], len(START + FRAGMENT)),
        (START + FRAGMENT + bytes(40), len(START + FRAGMENT)),
        (FRAGMENT, 0),
    ],
    ids=[
        "empty",
        "index only",
        "torn first",
        "whole",
        "torn second",
        "torn header",
        "no data",
        "zeros",
        "no index",
    ],
)
def test_whole_fragments(tmp_path, data, whole):
    path = written(tmp_path / "a.mp4", data)
    assert whole_fragments_bytes(path) == whole


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (START + _box(b"mdat", b"z"), True),
        (START + _box(b"mdat", b"zz")[:-1], False),
        (START, False),
        (START + FRAGMENT + _box(b"mfra"), True),
        (START + FRAGMENT, False),
        (START + (1).to_bytes(4, "big") + b"mdat" + (20).to_bytes(8, "big") + b"long", True),
        (b"", False),
    ],
    ids=["plain", "plain torn", "no data", "fragmented", "fragmented, end missing", "64-bit size", "empty"],
)
def test_is_whole(tmp_path, data, whole):
    path = written(tmp_path / "a.mp4", data)
    assert is_whole(path) is whole
