from fractions import Fraction

import pytest

from dmtrack.errors import ConfigError
from dmtrack.video.position import Position, parse_position


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", Position(index=0)),
        (" 250 ", Position(index=250)),
        ("12.5s", Position(time_s=Fraction(25, 2))),
        ("0.1s", Position(time_s=Fraction(1, 10))),
        (".5 s", Position(time_s=Fraction(1, 2))),
        ("800ms", Position(time_s=Fraction(4, 5))),
        ("1:02.5", Position(time_s=Fraction(125, 2))),
        ("1:00:02", Position(time_s=Fraction(3602))),
    ],
)
def test_reads_indices_and_times_exactly(text, expected):
    assert parse_position(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "-2s", "1.5", "12 frames", "1:75", "s", "nan", "1e3s", "1:2:3:4"])
def test_refuses_what_is_neither(text):
    with pytest.raises(ConfigError, match="0-based frame index"):
        parse_position(text)


@pytest.mark.parametrize("text", ["0,5s", "800,5 ms", "1:02,5"])
def test_a_decimal_comma_is_told(text):
    with pytest.raises(ConfigError, match=f"'{text}' has a decimal comma, a point is needed; write"):
        parse_position(text)


def test_is_one_of_the_two_and_not_negative():
    for wrong in ({}, {"index": 1, "time_s": Fraction(1)}, {"index": -1}, {"time_s": Fraction(-1)}):
        with pytest.raises(ConfigError):
            Position(**wrong)


def test_is_reached_at_the_frame_itself():
    assert [Position(index=2).is_reached(i, Fraction(9)) for i in (1, 2, 3)] == [False, True, True]
    third = Position(time_s=Fraction(1, 3))
    assert [third.is_reached(0, Fraction(t, 30)) for t in (9, 10, 11)] == [False, True, True]


@pytest.mark.parametrize("text", ["7", "12.5s"])
def test_prints_as_it_is_written(text):
    assert str(parse_position(text)) == text


@pytest.mark.parametrize(
    "text", ["250", "12.5s", "100000.25s", "1234567.8s", "0.06666666s", "1:02.5", "99999:59.999"]
)
def test_text_of_a_position_is_read_back_exactly(text: str) -> None:
    """`run.json` and the workers of a batch hold it as text."""
    assert parse_position(str(parse_position(text))) == parse_position(text)
