"""Text as it lies on disk: lines of a file, and numbers of a line."""

from __future__ import annotations

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
