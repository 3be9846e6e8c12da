"""`align.json`: the alignment of two cameras, written by `dmtrack align` and read by `track --align`.

    {
      "format": "dmtrack-alignment",
      "version": 1,
      "matrix": [[...], [...], [...]],     3x3, pixels of the second picture to pixels of the RGB picture
      "aux_size": [640, 512],              width and height of the second picture
      "rgb_size": [1920, 1080],            width and height of the RGB picture
      "method": "points",                  points, checkerboard, automatic, or any other text
      "residual_px": 0.8,                  root mean square of the fit, RGB pixels; or null
      "confidence": 0.97,                  0 to 1, or null
      "offset_ms": -123.4                  added to the times of the second stream, or null
    }

Only `matrix`, `aux_size` and `rgb_size` are needed, so that a file can be written by hand.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dmtrack.errors import FormatError, translated
from dmtrack.geometry.homography import Homography, Size
from dmtrack.numbers import file_text, json_value

FORMAT: Final = "dmtrack-alignment"
VERSION: Final = 1
_NEEDED: Final = ("matrix", "aux_size", "rgb_size")
_KNOWN: Final = (*_NEEDED, "format", "version", "method", "residual_px", "confidence", "offset_ms")
_LARGEST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Alignment:
    """A homography between two cameras, and how it was found.

    The fields are those of the file (above); `homography` maps the second picture to the RGB picture, and
    `path` is the file it was read from.
    """

    homography: Homography
    method: str
    residual_px: float | None = None
    confidence: float | None = None
    offset_ms: float | None = None
    path: Path | None = field(default=None, compare=False)

    def to_json(self) -> str:
        """Return the text of the file."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            "matrix": [list(row) for row in self.homography.rows],
            "aux_size": list(self.homography.aux_size),
            "rgb_size": list(self.homography.rgb_size),
            "method": self.method,
            "residual_px": self.residual_px,
            "confidence": self.confidence,
            "offset_ms": self.offset_ms,
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"


def read_alignment(path: Path | str) -> Alignment:
    """Read an alignment file.

    Raises:
        FormatError: It cannot be read, or a field is missing, unknown or wrong.
    """
    path = Path(path)
    with translated(
        FormatError, "cannot be read as JSON", where=path, hint="dmtrack align writes such a file"
    ):
        if path.stat().st_size > _LARGEST_BYTES:
            raise FormatError("too large for an alignment")
        return replace(_alignment(json_value(file_text(path))), path=path)


def _alignment(document: object) -> Alignment:
    if not isinstance(document, dict):
        raise FormatError("an alignment is a JSON object")
    if document.get("format", FORMAT) != FORMAT:
        raise FormatError(f"format {document['format']!r} is not {FORMAT!r}")
    if document.get("version", VERSION) != VERSION:
        raise FormatError(f"version {document['version']!r} is not {VERSION}")
    for name in _NEEDED:
        if name not in document:
            raise FormatError(f"the field {name!r} is missing")
    for name in document:
        if name not in _KNOWN:
            raise FormatError(f"unknown field {name!r}", hint=f"known: {', '.join(_KNOWN)}")
    method = document.get("method", "by hand")
    if not isinstance(method, str):
        raise FormatError("the field 'method' is not text")
    confidence = _number(document, "confidence")
    if confidence is not None and not 0 <= confidence <= 1:
        raise FormatError(f"confidence {confidence:g} is not between 0 and 1")
    return Alignment(
        homography=Homography.of(_matrix(document), _size(document, "aux_size"), _size(document, "rgb_size")),
        method=method,
        residual_px=_number(document, "residual_px"),
        confidence=confidence,
        offset_ms=_number(document, "offset_ms"),
    )


def _matrix(document: dict[str, Any]) -> list[list[float]]:
    rows = document["matrix"]
    whole = isinstance(rows, list) and len(rows) == 3
    if not whole or not all(isinstance(r, list) and len(r) == 3 and all(map(_is_number, r)) for r in rows):
        raise FormatError("the field 'matrix' is not three rows of three numbers")
    return [[float(value) for value in row] for row in rows]


def _size(document: dict[str, Any], name: str) -> Size:
    size = document[name]
    if not isinstance(size, list) or len(size) != 2 or not all(_is_pixels(side) for side in size):
        raise FormatError(f"the field {name!r} is not a width and a height in pixels")
    return (int(size[0]), int(size[1]))


def _number(document: dict[str, Any], name: str) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise FormatError(f"the field {name!r} is not a number")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_pixels(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000
