"""The lines of text that some event files begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dmtrack.errors import DecodeError

_MAX_BYTES: Final = 1 << 20
_MAX_LINE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class TextHeader:
    """The header of a file.

    Attributes:
        lines: Its lines, without their mark and line end.
        end: Byte of the file where the data begin.
    """

    lines: tuple[str, ...]
    end: int

    @property
    def values(self) -> Mapping[str, str]:
        """What follows the first word of each line, by that word in lower case."""
        pairs = (line.partition(" ") for line in self.lines)
        return {key.lower().rstrip(":"): value.strip() for key, _, value in pairs}


def read_text_header(path: Path, mark: bytes, end_line: str | None = None) -> TextHeader:
    """Read the lines at the begin of a file that start with a mark.

    Args:
        path: The file.
        mark: What each line of the header begins with.
        end_line: The line, without its mark, after which the data begin at the latest.

    Raises:
        DecodeError: The header does not end where a header must.
    """
    lines: list[str] = []
    with path.open("rb") as file:
        while True:
            begin = file.tell()
            line = file.readline(_MAX_LINE)
            if not line.startswith(mark) or not _is_text(line):
                return TextHeader(tuple(lines), begin)
            lines.append(line[len(mark) :].decode("latin-1").strip())
            if not line.endswith(b"\n") or begin > _MAX_BYTES:
                raise DecodeError(f"the header does not end by byte {file.tell()}", where=path)
            if lines[-1] == end_line:
                return TextHeader(tuple(lines), file.tell())


def _is_text(line: bytes) -> bool:
    """Return whether bytes are a line of text, or at least its torn begin."""
    return all(byte >= 32 or byte in b"\t\r\n" for byte in line)
