"""Bad data: samples that cannot be made are drawn again and counted, or end the run.

`SkipLog` is used where samples are made (in a worker process), `SkipTally` where the run is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from dmtrack.errors import DatasetError, InputError

#: So many samples in a row that cannot be made are no accident.
MAX_IN_A_ROW = 50
#: How many of the skipped a summary names.
NAMED = 3


class BadData(StrEnum):
    """What is done about data that cannot be used."""

    SKIP = "skip"
    FATAL = "fatal"


class SkipLog:
    """Remembers what one sampler skipped.

    Args:
        policy: `FATAL` raises the first error again.
        source: What the samples are drawn from, for the message.
    """

    def __init__(self, policy: BadData, source: str) -> None:
        self._policy = policy
        self._source = source
        self._in_a_row = 0
        self._messages: list[str] = []

    def skip(self, error: InputError) -> None:
        """Note a sample that could not be made.

        Raises:
            InputError: The one given, if the policy says so.
            DatasetError: Too many samples in a row could not be made.
        """
        if self._policy is BadData.FATAL:
            raise error
        self._in_a_row += 1
        self._messages.append(str(error))
        if self._in_a_row >= MAX_IN_A_ROW:
            raise DatasetError(
                f"{self._in_a_row} samples in a row could not be made, the last: {error}", where=self._source
            )

    def made(self) -> None:
        """Note a sample that was made."""
        self._in_a_row = 0

    def take(self) -> list[str]:
        """Return the messages since the last call, one a skipped sample."""
        messages, self._messages = self._messages, []
        return messages


class SkipTally:
    """Counts what was skipped in a whole run, and remembers the first of it."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self._told = 0

    def add(self, messages: Iterable[str]) -> None:
        """Count messages of `SkipLog.take`."""
        for message in messages:
            self.count += 1
            if len(self.first) < NAMED and message not in self.first:
                self.first.append(message)

    def news(self) -> str | None:
        """Return a line about everything so far, or None when nothing was skipped since the last call."""
        if self.count == self._told:
            return None
        self._told = self.count
        return f"{self.count} samples could not be made and were drawn again; first: {' | '.join(self.first)}"
