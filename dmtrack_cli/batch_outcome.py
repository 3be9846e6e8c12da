"""What a batch came to, in numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from dmtrack.batch.summary import ItemStatus
from dmtrack.batch.work import Event, ItemFinished
from dmtrack_cli.progress import clock_text, say_json


@dataclass(slots=True)
class BatchOutcome:
    """Counts what ends.

    Attributes:
        summary: Where `summary.csv` is.
        complete: Items with whole results, kept ones included.
        kept: Items whose results of an earlier run were still right.
        failed: Items without whole results, those that could not be begun included.
        frames: Frames tracked in this run.
    """

    summary: Path
    complete: int = 0
    kept: int = 0
    failed: int = 0
    frames: int = 0
    started_s: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Take note of an item that has ended."""
        if not isinstance(event, ItemFinished):
            return
        self.complete += event.row.status is ItemStatus.COMPLETE
        self.failed += event.row.status is ItemStatus.FAILED
        self.kept += event.kept
        self.frames += 0 if event.kept else event.row.frames

    def say(self) -> None:
        """Print a line of JSON."""
        say_json(
            "end",
            complete=self.complete,
            kept=self.kept,
            failed=self.failed,
            frames=self.frames,
            wall_s=round(self._wall_s, 3),
            summary=str(self.summary),
        )

    @property
    def _wall_s(self) -> float:
        return time.monotonic() - self.started_s

    def __str__(self) -> str:
        """Return one line for people."""
        kept = f" ({self.kept} kept from before)" if self.kept else ""
        speed = f", {self.frames / self._wall_s:.1f} fps together" if self.frames else ""
        took = f"{self.frames} frames in {clock_text(self._wall_s)}{speed}"
        return f"{self.complete} complete{kept}, {self.failed} failed, {took}; see {self.summary}"
