"""Text as it lies on disk: lines of a file, and numbers of a line."""

from __future__ import annotations

import math
from pathlib import Path

from dmtrack.errors import BoxError, FormatError
from dmtrack.geometry.box import Box


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        FormatError: It cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("is not a text file", where=path) from None
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", where=path) from error


def finite(text: str, what: str) -> float:
    """Return a finite number.

    Raises:
        FormatError: It is none; `what` names it.
    """
    try:
        value = float(text)
    except ValueError:
        raise FormatError(f"{what} {text.strip()!r} is not a number") from None
    if not math.isfinite(value):
        raise FormatError(f"{what} {text.strip()!r} is not finite")
    return value


def whole(text: str, what: str) -> int:
    """Return a whole number.

    Raises:
        FormatError: It is none; `what` names it.
    """
    value = finite(text, what)
    if not value.is_integer():
        raise FormatError(f"{what} {text.strip()!r} is not a whole number")
    return int(value)


def box_of(x: float, y: float, w: float, h: float) -> Box:
    """Return the box of four numbers of a file.

    Raises:
        FormatError: It has no area, or a number is not finite.
    """
    try:
        return Box(x, y, w, h)
    except BoxError as error:
        raise FormatError(error.what, hint=error.hint) from None


def placed(error: FormatError, where: object) -> FormatError:
    """Return the error with the place where it was met, unless it names one already."""
    if error.where is not None:
        return error
    return FormatError(error.what, where=where, hint=error.hint)
