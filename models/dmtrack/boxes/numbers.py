"""Numbers as they stand in files of boxes."""

from __future__ import annotations

import math

from dmtrack.errors import FormatError


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
