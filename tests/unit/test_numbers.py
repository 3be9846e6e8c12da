"""Numbers as people and files write them: what is read, what is refused, and that refusing is quick."""

from __future__ import annotations

import codecs
import math
import os
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtrack.numbers import exact, file_text, finite, json_value, real, whole

NEVER = [
    "",
    " ",
    "x",
    "1_000",
    "１２",
    "٣",
    "0x10",
    "1e",
    "1e99999",
    "e5",
    "--1",
    "1,5",
    "1 2",
    "9" * 5000,
    "nan1",
]
"""What no function reads: underscores, digits of other scripts, a decimal comma, and what is far too long."""


@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("read", [real, finite, whole, exact])
def test_what_is_no_plain_number_is_refused_in_words(read, text):
    with pytest.raises(ValueError, match=r"not a|too large|decimal comma") as caught:
        read(text)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999"])
def test_what_is_not_finite_is_a_number_only_where_it_may_be(text):
    assert not math.isfinite(real(text))
    for read in (finite, whole, exact):
        with pytest.raises(ValueError, match="not a"):
            read(text)


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e-999999999", "1/1e300", "1e21", "1e-21", "1/0", "0/0", "1/2/3"]
)
def test_an_exact_number_that_none_is_meant_by_is_refused_at_once(text):
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=r"."):
        exact(text)
    assert time.perf_counter() - begin < 1


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_as_python_writes_it(value):
    assert finite(repr(value)) == value


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 9))
def test_decimals_are_exact(digits, places):
    text = f"{'-' * (digits < 0)}{abs(digits) // 10**places}.{abs(digits) % 10**places:0{places}d}"
    assert exact(text) == Fraction(digits, 10**places)
    assert whole(str(digits)) == digits


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "[9223372036854775808]", "{", "nan"]
)
def test_json_that_is_too_deep_or_holds_too_large_numbers_is_refused(text):
    with pytest.raises(ValueError, match=r"JSON|too large"):
        json_value(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"frames": [{"id": 1, "score": %s}]}', "score"),
        ('{"matrix": [[1, 0, %s], [0, 1, 0]], "rows": 3}', "matrix"),
        ('{"a": {"frame count" : -%s}}', "frame count"),
        ("[%s]", "the number"),
    ],
)
def test_the_name_of_a_number_in_json_that_is_too_large_is_said(text, name):
    with pytest.raises(ValueError, match=f"^{name}.* is too large"):
        json_value(text % ("9" * 400))


def test_json_is_read_as_ever():
    assert json_value('{"a": [1, -2.5, "x", null, true, 9223372036854775807]}') == {
        "a": [1, -2.5, "x", None, True, 2**63 - 1]
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_text_of_windows_is_text(tmp_path, encoding):
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / "a.txt").write_bytes(mark + "10,20\r\nü\r\n".encode(encoding))
    assert file_text(tmp_path / "a.txt") == "10,20\nü\n"


def test_what_is_no_text_file_is_said_at_once(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\x00")
    with pytest.raises(ValueError, match="neither UTF-8 nor UTF-16"):
        file_text(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe or a device"):
        file_text(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        file_text(tmp_path)
