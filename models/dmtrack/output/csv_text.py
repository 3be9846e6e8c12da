"""CSV text that is safe to open: text from outside never becomes a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

_STARTS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_GUARD: Final = "'"


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with LF line ends; text that a spreadsheet would compute gets a leading apostrophe.

    Numbers, also as text, stay as they are.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()


def guarded(cell: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; `plain` reverses it."""
    if not isinstance(cell, str) or not cell.startswith((*_STARTS_FORMULA, _GUARD)) or _is_number(cell):
        return cell
    return f"{_GUARD}{cell}"


def plain(cell: str) -> str:
    """Return the text that `guarded` was given; other text as it is."""
    rest = cell[1:]
    return rest if cell.startswith(_GUARD) and guarded(rest) == cell else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
