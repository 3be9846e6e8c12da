"""Reads values out of a JSON object, each checked, with errors that say where they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from dmtrack.boxes.parsing import box_of, placed
from dmtrack.boxes.results import PictureSize
from dmtrack.errors import FormatError
from dmtrack.geometry.box import Box


class JsonFields:
    """One JSON object of a file.

    Args:
        value: What `json.loads` returned.
        where: The file, and the place in it.

    Raises:
        FormatError: The value is no object.
    """

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise FormatError("a JSON object is needed here", where=where)
        self._values: dict[str, Any] = value
        self.where = where

    def __contains__(self, name: str) -> bool:
        """Tell whether there is such a field, and it is not null."""
        return self._values.get(name) is not None

    def error(self, what: str) -> FormatError:
        """Return an error about this object."""
        return FormatError(what, where=self.where)

    def integer(self, *names: str) -> int:
        """Return a whole number: the first of these fields that is there.

        Raises:
            FormatError: There is none of them, or it is no whole number.
        """
        value = next((self._values[name] for name in names if name in self), None)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(f"{' or '.join(names)} is {_shown(value)}, not a whole number")
        return value

    def number(self, name: str) -> float | None:
        """Return a finite number; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        return None if value is None else self._finite(value, name)

    def text(self, name: str) -> str | None:
        """Return a text; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.error(f"{name} is {_shown(value)}, not a text")
        return value

    def flag(self, name: str) -> bool | None:
        """Return true or false; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"{name} is {_shown(value)}, not true or false")
        return value

    def box(self, name: str) -> Box | None:
        """Return the box of four numbers `[x, y, w, h]`; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 4:
            raise self.error(f"{name} is {_shown(value)}, not [x, y, w, h]")
        x, y, w, h = (self._finite(side, name) for side in value)
        try:
            return box_of(x, y, w, h)
        except FormatError as error:
            raise placed(error, self.where) from None

    def size(self, name: str) -> PictureSize | None:
        """Return the size `[width, height]`; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(_is_side(side) for side in value):
            raise self.error(f"{name} is {_shown(value)}, not [width, height]")
        return PictureSize(*value)

    def inner(self, name: str) -> JsonFields | None:
        """Return an object; None if there is none.

        Raises:
            FormatError: It is something else.
        """
        value = self._values.get(name)
        return None if value is None else JsonFields(value, f"{self.where}, {name}")

    def each(self, name: str) -> Iterator[JsonFields]:
        """Yield the objects of a list; none if there is no list.

        Raises:
            FormatError: It is no list of objects.
        """
        value = self._values.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise self.error(f"{name} is {_shown(value)}, not a list")
        for number, item in enumerate(value):
            yield JsonFields(item, f"{self.where}, {name}[{number}]")

    def _finite(self, value: object, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{name} holds {_shown(value)}, which is not a number")
        return float(value)


def parse_json(text: str, where: str) -> JsonFields:
    """Return the object that `text` is.

    Raises:
        FormatError: It is no JSON, or no object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is not JSON ({error})", where=where) from None
    return JsonFields(value, where)


def known(**values: object) -> dict[str, Any]:
    """Return those of the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _is_side(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
