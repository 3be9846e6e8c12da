"""What Windows refuses and Linux does not, as far as Python's own calls show it.

To rename or remove a file that this process has open or mapped, or a folder in which such a file lies; names
of devices, with characters that are kept for other things, and with a point or blank at their end.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NO_NAME = re.compile(
    r"(con|prn|aux|nul|com\d|lpt\d) *(\..*)?|.*[\x00-\x1f:*?\"<>|\\].*|.*[. ]", re.IGNORECASE | re.DOTALL
)
_is_on = False


@contextmanager
def refusals() -> Iterator[None]:
    """Refuse as Windows does while entered, by an `OSError`."""
    global _is_on  # an audit hook cannot be taken away
    if _refuse not in _hooks:
        _hooks.append(_refuse)
        sys.addaudithook(_refuse)
    _is_on = True
    try:
        yield
    finally:
        _is_on = False


def _refuse(event: str, given: tuple[Any, ...]) -> None:
    if not _is_on:
        return
    if event == "os.mkdir" or (event == "open" and isinstance(given[2], int) and given[2] & os.O_CREAT):
        name = "" if isinstance(given[0], int) else Path(os.fsdecode(given[0])).name
        if _NO_NAME.fullmatch(name):
            raise OSError(22, "The filename, directory name, or volume label syntax is incorrect", name)
    elif event in ("os.rename", "os.remove"):
        places = zip(given[:2], given[2:], strict=True) if event == "os.rename" else [given]
        for place in places:
            _require_closed(_absolute(*place))


def _absolute(name: Any, folder: int) -> str:
    path = Path(f"/proc/self/fd/{folder}" if folder >= 0 else ".").resolve() / os.fsdecode(name)
    return str(path.parent.resolve() / path.name)


def _require_closed(path: str) -> None:
    opened = "".join(f" {os.path.realpath(link)}\n" for link in Path("/proc/self/fd").iterdir())
    opened += Path("/proc/self/maps").read_text(encoding="utf-8")
    if f" {path}\n" in opened or f" {path}/" in opened:
        raise PermissionError(13, "it is being used by another process", path)


_hooks: list[Any] = []
