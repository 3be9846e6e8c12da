"""Reading of numbers, as people and files write them, and of texts and JSON with numbers.

Python's own `float`, `int` and `Fraction` accept too much (`1_000`, digits of every script), and
`Fraction("1e999999999")` never ends. Here only plain numbers are accepted: ASCII digits, a point, an
exponent; short, and no larger than real measurements. Every function raises `ValueError`, in words for
people.
"""

from __future__ import annotations

import codecs
import io
import json
import math
import re
import stat
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

_REAL: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?(?:nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_FIELD_END: Final = re.compile(r",?[;\s]+")  # a comma before a blank is not part of a number
_FIELD: Final = re.compile(r"[-+]?\d+(?:,\d+)?(?:[eE][-+]?\d+)?|nan", re.ASCII | re.IGNORECASE)
_DECIMAL: Final = re.compile(r"(\d),(\d)", re.ASCII)
_LEADING_ZERO: Final = re.compile(r",0\d", re.ASCII)
_BOTH: Final = re.compile(r"[-+]?\d+(?:,[-+]?\d+){5,}", re.ASCII)
"""Numbers without a point, and commas alone between them."""
_MANY_ROWS: Final = 10  # in so many rows a target would not stay within the ten top lines of a picture
_COMMA: Final = re.compile(r"[-+]?\d+,\d+", re.ASCII)
_JSON_NAME: Final = re.compile(r'"([^"\\]{1,40})"\s*:')
_LONGEST: Final = 400
"""Most characters of a number: even a 64-bit float written out in full has fewer, unless it is tiny."""
_LARGEST: Final = 10**20  # nanoseconds since 1970 have 19 digits
_LARGEST_WHOLE: Final = 2**63


def file_bytes(path: Path) -> bytes:
    """Return the content of a regular file; others, such as a pipe or a device, may never end.

    `OSError`: it cannot be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is a pipe or a device, not a file")
    return path.read_bytes()


def file_text(path: Path) -> str:
    """Return the text of a file: UTF-8, or UTF-16 with a byte order mark, as Windows writes it.

    `OSError`: it cannot be read.
    """
    data = file_bytes(path)
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-16" if is_wide else "utf-8-sig").read()
    except UnicodeDecodeError:
        raise ValueError("it is neither UTF-8 nor UTF-16") from None


def real(text: str) -> float:
    """Read a number, which may be NaN or infinite (`nan`, `inf`, or too large for 64 bits)."""
    word = text.strip()
    if len(word) > _LONGEST or not (_REAL.fullmatch(word) or _NOT_FINITE.fullmatch(word)):
        raise ValueError(_complaint(word))
    return float(word)


def finite(text: str) -> float:
    """Read a finite number."""
    value = real(text)
    if not math.isfinite(value):
        raise ValueError(f"{shown(text)} is not a finite number")
    return value


def whole(text: str) -> int:
    """Read a whole number of at most 18 digits."""
    word = text.strip()
    if not _WHOLE.fullmatch(word):
        is_long = word.lstrip("+-").isdecimal() and word.isascii()
        raise ValueError(f"{shown(word)} is {'too large' if is_long else 'not a whole number'}")
    return int(word)


def exact(text: str) -> Fraction:
    """Read `0.1`, `-12.5`, `1e-3` or `1001/1000` without rounding, at most 20 digits from the point."""
    over, _, under = text.partition("/")
    values = [finite(part) for part in (over, under or "1")]
    if not values[1]:
        raise ValueError(f"{shown(text)} divides by 0")
    if not all(not value or 1 / _LARGEST <= abs(value) <= _LARGEST for value in values):
        raise ValueError(f"{shown(text)} is too large or too small")
    return Fraction(over.strip()) / Fraction(under.strip() or 1)


def with_points(text: str) -> str:
    """Return a table of numbers with decimal points for decimal commas, which many spreadsheets write.

    Commas are decimal if semicolons or blanks separate the numbers of the first row. `10,20 30,40` may be two
    numbers or two corners, which is an error unless some field has no comma, or a fraction that begins with
    0.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    if _BOTH.fullmatch(first.strip()) and _has_commas_within(lines):
        raise ValueError(
            f"{shown(first)}: commas stand both between and within numbers; write decimals with a point"
        )
    if not has_decimal_commas(first):
        return text
    rows = [_FIELD_END.split(line.strip(" ;\t,")) for line in lines]
    if not any("," not in field or _LEADING_ZERO.search(field) for row in rows for field in row):
        raise ValueError(f"{shown(first)}: are these decimal commas, or corners? Write decimals with a point")
    return _DECIMAL.sub(r"\1.\2", text)


def has_decimal_commas(line: str) -> bool:
    """Return whether commas are within the numbers of a line, which semicolons or blanks separate."""
    fields = _FIELD_END.split(line.strip(" ;\t,"))
    has_commas = any("," in field for field in fields)
    return len(fields) > 1 and has_commas and all(_FIELD.fullmatch(field) for field in fields)


def _has_commas_within(lines: Sequence[str]) -> bool:
    """Tell numbers such as `14,0000,23,5000` from whole numbers.

    Whole numbers never begin with 0, nor has every second one a single digit. In rows other than four corners
    the first two may be a frame and an id, which some pad with zeros.
    """
    rows = [line.strip().split(",") for line in lines if _BOTH.fullmatch(line.strip())]
    places = [row if len(row) == 8 else row[2:] for row in rows]
    if any(len(field) > 1 and field[0] == "0" for row in places for field in row):
        return True
    is_long = len(rows) >= _MANY_ROWS and len(rows) == len(lines)
    return is_long and all(len(row) == 8 and all(len(field) == 1 for field in row[1::2]) for row in rows)


def json_value(text: str) -> object:
    """Return the value of a JSON document; whole numbers in it must fit into 64 bits."""

    def whole_of(digits: str) -> int:
        try:
            return _json_int(digits)
        except ValueError as error:
            names = _JSON_NAME.findall(text[: text.index(digits)])
            raise ValueError(f"{names[-1]}: {error}" if names else str(error)) from None

    try:
        value: object = json.loads(text, parse_int=whole_of)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
    return value


def shown(text: str, longest: int = 40) -> str:
    """Return text in quotes for a message, cut if it is long."""
    return repr(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _json_int(digits: str) -> int:
    if len(digits) > len(str(_LARGEST_WHOLE)) + 1 or not -_LARGEST_WHOLE <= int(digits) < _LARGEST_WHOLE:
        raise ValueError(f"the number {shown(digits, 24)} is too large")
    return int(digits)


def _complaint(word: str) -> str:
    if _COMMA.fullmatch(word):
        return f"{shown(word)} has a decimal comma, a point is needed"
    return f"{shown(word)} is not a number"
