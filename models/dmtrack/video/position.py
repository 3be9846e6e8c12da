"""A position in a stream as a user writes it: a frame index, or a time since the first frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from dmtrack.errors import ConfigError
from dmtrack.numbers import exact, whole
from dmtrack.options import number_text

_HINT = "write a 0-based frame index (250), seconds (12.5s), milliseconds (800ms) or a clock (1:02.5)"
_UNITS_S = {"s": Fraction(1), "ms": Fraction(1, 1000)}


@dataclass(frozen=True, slots=True)
class Position:
    """Either a 0-based frame index or seconds since the first frame of the stream.

    Raises:
        ConfigError: Both or neither are given, or the value is negative.
    """

    index: int | None = None
    time_s: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.index is None) == (self.time_s is None):
            raise ConfigError("a position is either a frame index or a time", hint=_HINT)
        if (self.index or 0) < 0 or (self.time_s or 0) < 0:
            raise ConfigError(f"position {self} lies before the first frame", hint=_HINT)

    def __str__(self) -> str:
        """Return the position the way `parse_position` reads it."""
        return str(self.index) if self.time_s is None else f"{number_text(self.time_s)}s"

    def is_reached(self, index: int, elapsed_s: Fraction) -> bool:
        """Return whether frame `index`, at `elapsed_s` after the first, is at this position or later."""
        return index >= self.index if self.index is not None else elapsed_s >= (self.time_s or 0)


def parse_position(text: str) -> Position:
    """Read `250`, `12.5s`, `800ms`, `1:02.5` or `1:00:02`; `ConfigError` for anything else."""
    word = text.strip().lower()
    if re.fullmatch(r"[0-9]{1,18}", word):
        return Position(index=whole(word))
    with_unit = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})\s*(ms|s)", word)
    if with_unit:
        return Position(time_s=exact(with_unit[1]) * _UNITS_S[with_unit[2]])
    if re.fullmatch(r"[0-9]{1,9}(:[0-5]?[0-9]){1,2}(\.[0-9]{1,18})?", word):
        seconds = Fraction(0)
        for part in word.split(":"):
            seconds = seconds * 60 + exact(part)
        return Position(time_s=seconds)
    what = "has a decimal comma, a point is needed" if re.search(r"\d,\d", word) else "is not a position"
    raise ConfigError(f"{text!r} {what}", hint=_HINT)
