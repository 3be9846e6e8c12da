"""The results of many recordings in one CSV: the columns of a run's CSV, with the item in front."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from dmtrack.output.atomic import LineFile
from dmtrack.results.recording import RecordingResults
from dmtrack.results.table import merged_header, table_rows


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
        self.items = 0

    def add(self, item: str, recordings: Iterable[RecordingResults]) -> None:
        """Add the rows of an item.

        Raises:
            OutputError: They cannot be written.
        """
        for recording in recordings:
            self._file.append(table_rows(recording, item))
            self.items += 1

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
