"""Finds out which format a file is in: by what is in it, where that leaves a choice by its name."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.vot import value_path
from dmtrack.boxes.text import read_text
from dmtrack.errors import FormatError

_SEPARATORS: Final = re.compile(r"[,;\s]+")
_VOT_NAME: Final = re.compile(r".+_\d{3}")
_LEAST_MOT_COLUMNS: Final = 6
_POLYGON_COLUMNS: Final = 8
_BOX_COLUMNS: Final = 4
_HINT: Final = "say --from mot, csv, json, jsonl, vot, lasher, cvat or coco"


def recognise(path: Path) -> ResultFormat:
    """Return the format of a file.

    Raises:
        FormatError: It cannot be read, is empty, or is in no known format.
    """
    if _is_archive(path):
        return ResultFormat.CVAT
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise FormatError("the file is empty", where=path)
    if lines[0].lstrip().startswith("{"):
        return _json_kind("\n".join(lines), lines[0], path)
    words = [word for word in _SEPARATORS.split(lines[0].strip()) if word]
    if {"frame", "id"} <= set(words):
        return ResultFormat.CSV
    if not all(_is_number(word) for word in words):
        raise FormatError("its first row is neither numbers nor a known header", where=path, hint=_HINT)
    return _rows_kind(path, words, lines)


def _is_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except OSError:
        return False


def _json_kind(text: str, first_line: str, path: Path) -> ResultFormat:
    """A document is one object; of JSON lines, the first line alone is an object with a frame number."""
    first = _loaded(first_line)
    if isinstance(first, dict) and "frame" in first:
        return ResultFormat.JSONL
    document = first if isinstance(first, dict) else _loaded(text)
    if not isinstance(document, dict):
        raise FormatError("is neither a JSON document nor JSON lines", where=path)
    is_coco = "images" in document and "annotations" in document
    return ResultFormat.COCO if is_coco else ResultFormat.JSON


def _loaded(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _rows_kind(path: Path, words: list[str], lines: list[str]) -> ResultFormat:
    columns = len(words)
    if columns == 1:
        return ResultFormat.VOT
    if columns in (_BOX_COLUMNS, _POLYGON_COLUMNS):
        is_vot = _VOT_NAME.fullmatch(path.stem) or _is_beside_values(path)
        return ResultFormat.VOT if is_vot or _has_codes(lines) else ResultFormat.LASHER
    if columns >= _LEAST_MOT_COLUMNS:
        return ResultFormat.MOT
    raise FormatError(f"rows of {columns} numbers are in no known format", where=path, hint=_HINT)


def _is_beside_values(path: Path) -> bool:
    return any(value_path(path, name).is_file() for name in ("confidence", "time"))


def _has_codes(lines: list[str]) -> bool:
    return any(line.strip() in ("0", "1", "2") for line in lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
