"""`Shard`: one of several equal parts of a batch, for machines that know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from dmtrack.errors import ConfigError

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `number` (from 1) of `count`: every `count`-th entry of the source.

    The source must not change while the parts are being done.

    Raises:
        ConfigError: There is no such part.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ConfigError(
                f"there is no part {self.number} of {self.count}", hint="write 1/8, 2/8, ... 8/8"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `3/8`.

        Raises:
            ConfigError: The text is something else, or there is no such part.
        """
        match = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text)
        if match is None:
            raise ConfigError(f"{text!r} is no part of a batch", hint="write 3/8 for the third of eight")
        return cls(int(match[1]), int(match[2]))

    @property
    def is_whole(self) -> bool:
        """Whether this is everything."""
        return self.count == 1

    @property
    def suffix(self) -> str:
        """What files of this part have in their name: `-3-of-8`, or nothing for the whole."""
        return "" if self.is_whole else f"-{self.number}-of-{self.count}"

    def part(self, entries: Sequence[_Entry]) -> Sequence[_Entry]:
        """Return the entries of this part."""
        return entries[self.number - 1 :: self.count]


WHOLE: Final = Shard()
"""All of a batch."""
