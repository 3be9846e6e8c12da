"""Messages steer no terminal and are one short line; whatever a library raises becomes an error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmtrack.errors import (
    LONGEST_MESSAGE,
    BoxError,
    DecodeError,
    DmtrackError,
    FormatError,
    InputError,
    translated,
)


class PanicException(BaseException):
    """What a library in Rust raises when it panics: pyo3's is no `Exception` either."""


PanicException.__module__ = "pyo3_runtime"


@given(st.text(st.characters(blacklist_categories=()), max_size=300), st.text(max_size=50))
def test_no_message_steers_a_terminal(what, where):
    message = str(DmtrackError(what, where=where, hint=what))
    assert message.isprintable()
    assert len(message) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("what", "message"),
    [("is odd", "f.csv: is odd; look at it"), ("is it odd?", "f.csv: is it odd? look at it")],
)
def test_a_hint_follows_what_is_wrong(what, message):
    assert str(FormatError(what, where="f.csv", hint="look at it")) == message


@pytest.mark.parametrize("size", [999, 1001, 5_000_000])
def test_a_long_message_keeps_its_beginning_and_its_end(size):
    message = str(FormatError("x" * size, where="f.csv", hint="do this"))
    assert len(message) <= LONGEST_MESSAGE
    assert message.startswith("f.csv: x")
    assert message.endswith("x; do this")


@pytest.mark.parametrize(
    "raised",
    [
        *(
            ValueError("no"),
            KeyError("k"),
            ZeroDivisionError(),
            AssertionError(),
            SystemError("s"),
            StopIteration(),
        ),
        *(OSError("odd"), UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), NotImplementedError(), EOFError()),
        *(MemoryError(), RecursionError(), PanicException("panicked at src/lib.rs")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_comes_becomes_the_error_of_the_reader(raised):
    with (
        pytest.raises(DecodeError, match=r"^f\.mp4: reading fails \(.+\); do this$") as caught,
        translated(DecodeError, "reading fails", where="f.mp4", hint="do this"),
    ):
        raise raised
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
def test_an_interrupt_passes_through(raised):
    with pytest.raises(type(raised)) as caught, translated(DecodeError, "reading fails"):
        raise raised
    assert caught.value is raised


def test_an_error_of_ours_keeps_its_type_and_its_place():
    with pytest.raises(BoxError, match=r"^row 3: no box$"), translated(InputError, "fails", where="f"):
        raise BoxError("no box", where="row 3")
    with pytest.raises(BoxError, match=r"^f: no box; draw it$"), translated(InputError, "fails", where="f"):
        raise BoxError("no box", hint="draw it")


def test_a_file_that_is_not_there_is_no_damaged_one():
    with (
        pytest.raises(FormatError, match=r"^x: cannot be read \(No such file or directory\)$"),
        translated(FormatError, "is damaged", where="x", hint="download it again"),
    ):
        Path("/nowhere/x").read_bytes()
