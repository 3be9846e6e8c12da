"""What is wrong with results, and how it was counted: said, never passed over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SHOWN_NAMES: Final = 4


class ProblemKind(StrEnum):
    """What can be wrong with the results of a tracker."""

    MISSING = "missing sequences"
    UNREADABLE = "files that cannot be read"
    SHORT = "results shorter than the ground truth"
    LONG = "results longer than the ground truth"
    ORDER = "columns in another order"
    RUNS = "missing runs"
    TARGETS = "files of several targets"
    NO_CONFIDENCE = "results without confidences"
    NO_TRUTH = "sequences that cannot be scored"
    STRANGERS = "files of no sequence of this data set"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of thing wrong with a tracker's results.

    Attributes:
        tracker: Whose results.
        kind: See there.
        names: The sequences or files concerned.
        detail: What exactly, for the first of them.
        counted: How it was counted.
    """

    tracker: str
    kind: ProblemKind
    names: tuple[str, ...]
    detail: str = ""
    counted: str = ""

    def __str__(self) -> str:
        """Return the problem as one line."""
        shown = ", ".join(self.names[:_SHOWN_NAMES])
        if len(self.names) > _SHOWN_NAMES:
            shown += f" and {len(self.names) - _SHOWN_NAMES} more"
        parts = [
            f"{self.tracker}: {len(self.names)} {self.kind}" if self.names else f"{self.tracker}: {self.kind}"
        ]
        parts += [shown] if shown else []
        parts += [part for part in (self.detail, self.counted) if part]
        return "; ".join(parts)
