"""Preparation of a command line before Typer reads it.

Typer has no option whose value may be left out, and a shell splits `10, 20, 30, 40` into four words. So
`--box 10 20 30 40` becomes `--box=10 20 30 40`, and a `--box` without a box becomes `--box=pick`. `-v` and
`--verbose` may stand anywhere and move to the front. Patterns such as `*.txt` are expanded on Windows, whose
shells do not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from glob import glob
from itertools import takewhile
from pathlib import Path
from typing import Final

PICK: Final = "pick"  # the value of a bare `--box`: draw it

_BOX_OPTION: Final = "--box"
_VERBOSE: Final = re.compile(r"-v+|--verbose")
_NUMBER_WORD: Final = re.compile(r"[,;]?[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?[,;]?", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_STARTS_NUMERIC: Final = re.compile(r"\s*[-+.]*\d")


def prepare_arguments(words: Sequence[str]) -> list[str]:
    """Return the words with bare and spread-out `--box` joined, patterns expanded, verbosity in front."""
    words = [one for word in words for one in _named(word)]
    end = words.index("--") if "--" in words else len(words)  # no options after it
    verbose = [word for word in words[:end] if _VERBOSE.fullmatch(word)]
    others = [word for word in words[:end] if not _VERBOSE.fullmatch(word)]
    return [*verbose, *_settle_boxes(others), *words[end:]]


def _named(word: str) -> list[str]:
    """Return the files that match a pattern on Windows; else the word."""
    is_pattern = sys.platform == "win32" and not word.startswith("-") and re.search("[*?]", word)
    found = glob(word.replace("[", "[[]")) if is_pattern else []  # noqa: PTH207 - folders may be patterns too
    return sorted(found) or [word]


def _settle_boxes(words: list[str]) -> list[str]:
    settled: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == _BOX_OPTION:
            value = _box_words(words[position:])
            position += len(value)
            word = f"{_BOX_OPTION}={' '.join(value) if value else PICK}"
        settled.append(word)
    return settled


def _box_words(following: list[str]) -> list[str]:
    """Return the words after `--box` that are its value, maybe none."""
    if not following or not _is_meant_as_box(following[0]):
        return []
    first = following[0]
    if not _NUMBER_WORD.fullmatch(first):
        return [first]
    others = takewhile(lambda word: _NUMBER_WORD.fullmatch(word) and not Path(word).exists(), following[1:])
    return [first, *others]


def _is_meant_as_box(word: str) -> bool:
    """Tell a faulty box, such as `10,20,30`, from a recording, such as `night.mp4`."""
    parts = [part for part in _SEPARATORS.split(word) if part]
    if word == PICK or (len(parts) == 4 and all(_NUMBER_WORD.fullmatch(part) for part in parts)):
        return True
    if Path(word).exists() or _looks_like_file(word):
        return False
    return _STARTS_NUMERIC.match(word) is not None or (len(parts) == 4 and not word.startswith("-"))


def _looks_like_file(word: str) -> bool:
    """Return whether a word, such as `2024_01.mp4` or `clips/1`, looks like a file name, existing or not."""
    return "/" in word or "\\" in word or re.search(r"\.[A-Za-z]\w*$", word) is not None
