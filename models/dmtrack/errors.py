"""Every error that the library raises on purpose, and its exit code.

    DmtrackError                1  a defect, or an error with no better home
    |-- InputError              3  an input cannot be used
    |   |-- VideoError             a video, image folder or stream cannot be opened
    |   |-- DecodeError            it opened, but its frames cannot be decoded
    |   |-- PairingError           the two streams cannot be paired in time
    |   |-- AlignmentError         the alignment of two cameras cannot be found
    |   |-- BoxError               a target box is malformed or outside the frame
    |   |-- FormatError            a text or binary file is not in the stated format
    |   `-- DatasetError           a data-set folder is incomplete or unknown
    |-- ConfigError             4  an option or configuration value is invalid
    |-- CheckpointError         4  a weights file is missing, damaged or does not fit
    `-- OutputError             5  a result exists already or cannot be written

Foreign exceptions (PyAV, OpenCV, the operating system) are translated once, where the foreign library is
called, with file, frame and time: `translated` is that boundary, the only place that catches everything.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

LONGEST_MESSAGE: Final = 1000
"""Most characters of a message, which may quote from a file."""
_LONGEST_REASON: Final = 200
_PANICS: Final = "pyo3_runtime"  # module of the panics of Rust libraries, which are not `Exception`s


def printable(text: str) -> str:
    r"""Return `text` with everything that a terminal or UTF-8 file cannot show as escapes (`\n`, `\x1b`)."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def counted(number: int, noun: str) -> str:
    """Return `1 item`, `2 items`, `3 boxes`."""
    ending = "" if number == 1 else "es" if noun.endswith(("x", "s", "ch")) else "s"
    return f"{number} {noun}{ending}"


def listed(words: Sequence[str], most: int) -> str:
    """Return `a, b and 3 more`: the first `most` words, and the number of the others."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


_STANDS_FOR: Final[dict[str, str]] = {}


def stands_for(folder: Path, origin: Path) -> None:
    """Let messages name `origin` instead of `folder`, into which it was unpacked for a while."""
    _STANDS_FOR[str(folder)] = str(origin)


def one_line(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return text as one line without control characters, with its middle left out if it is too long."""
    for folder, origin in _STANDS_FOR.items():
        text = text.replace(folder, origin)
    if len(text) > 2 * longest:  # fast for texts of any length
        text = f"{text[:longest]} {text[-longest:]}"
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest * 2 // 3]} … {line[-longest // 4 :]}"


class DmtrackError(Exception):
    """Base of every deliberate error: one line saying what, where and what to do.

    Args:
        what: What went wrong, without a trailing full stop.
        where: The file, frame, option or row concerned.
        hint: What the person can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the message as one line: ``where: what; hint``."""
        head = self.what if self.where is None else f"{self.where}: {self.what}"
        end = "" if head.endswith("?") else ";"
        return one_line(head if self.hint is None else f"{head}{end} {self.hint}")


class InputError(DmtrackError):
    """An input cannot be used."""

    exit_code = 3


class VideoError(InputError):
    """A video, image folder or stream cannot be opened."""


class DecodeError(InputError):
    """A stream opened, but its frames cannot be decoded."""


class PairingError(InputError):
    """The two streams cannot be paired in time."""


class AlignmentError(InputError):
    """The alignment of two cameras, in space or in time, cannot be found."""


class BoxError(InputError):
    """A target box is malformed, empty or outside the frame."""


class FormatError(InputError):
    """A text or binary file is not in the stated format."""


class DatasetError(InputError):
    """A data-set folder is incomplete or has no known layout."""


class ConfigError(DmtrackError):
    """An option or a configuration value is invalid."""

    exit_code = 4


class CheckpointError(DmtrackError):
    """A weights file is missing, damaged, unsafe or does not fit the network."""

    exit_code = 4


class OutputError(DmtrackError):
    """A result exists already or cannot be written."""

    exit_code = 5


@contextmanager
def translated(
    error_type: type[DmtrackError],
    what: str | Callable[[], str],
    *,
    where: object = None,
    hint: str | None = None,
) -> Iterator[None]:
    """Turn any foreign exception in the block into one of our errors: `where: what (reason); hint`.

    Interrupts and our own errors pass through; an error of ours without `where` gets this one.

    `what` went wrong, as text or a function that returns it; `where` is the file, row or option concerned;
    `hint` is what the person can do about it. `DmtrackError`: the block raised something.
    """
    try:
        yield
    except DmtrackError as error:
        if error.where is not None or where is None:
            raise
        raise type(error)(error.what, where=where, hint=error.hint or hint) from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__module__ != _PANICS:
            raise
        is_of_the_system = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
        if is_of_the_system and type(error).__module__ == "builtins":
            what, hint = "cannot be read", None  # the file is missing, a folder, or forbidden
        said = what if isinstance(what, str) else what()
        raise error_type(f"{said} ({reason_of(error)})", where=where, hint=hint) from error


@contextmanager
def library_needed(what: str, hint: str) -> Iterator[None]:
    """Turn a failing import in the block into a `ConfigError`: what needs it, and how to install it."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(what, hint=hint) from error


def reason_of(error: BaseException) -> str:
    """Return the message of a foreign exception in one line, without error numbers and function names."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    first = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return one_line(str(getattr(error, "strerror", None) or first), _LONGEST_REASON) or type(error).__name__
