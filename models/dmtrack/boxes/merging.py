"""The results of many recordings in one CSV: the columns of a run's CSV, with the item in front."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from dmtrack.boxes.formats.table_results import merged_header, table_rows
from dmtrack.boxes.recording import RecordingResults
from dmtrack.errors import OutputError
from dmtrack.output.atomic import LineFile


class MergedTable:
    """Writes a merged CSV, one recording after the other, in memory of one.

    Args:
        path: The final name.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._file = LineFile(path, header=merged_header(), overwrite=overwrite)
        self._path = path
        self._items: set[str] = set()

    @property
    def items(self) -> int:
        """How many items have been added."""
        return len(self._items)

    def add(self, item: str, results: RecordingResults) -> None:
        """Add the rows of an item.

        Raises:
            OutputError: There is an item of this name already, or the rows cannot be written.
        """
        if item in self._items:
            raise OutputError(
                f"two results are called {item!r}, which nobody could tell apart",
                where=self._path,
                hint="rename one of their folders, or merge them into two files",
            )
        self._items.add(item)
        self._file.append(table_rows(results, item))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its final name, or leave nothing when an error passes through."""
        if error is None:
            self._file.commit()
        else:
            self._file.discard()
