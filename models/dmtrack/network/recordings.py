"""`Recordings`: what a network's step became for each shape of its inputs, made once and kept for a while."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

#: Recorded shapes that are kept; the one not used for longest goes first.
MOST_SHAPES: Final = 8

_log = logging.getLogger(__name__)
_Recorded = TypeVar("_Recorded")


class Recordings(Generic[_Recorded]):
    """Records a step when its shape has come often enough, and returns that from then on.

    Shapes that come once, while a target's memory fills, are not worth recording. Where recording fails, a
    warning says so once and nothing is recorded any more.

    Args:
        name: What a step becomes, for the warning.
        most: Shapes kept, at least 1.
        after: How often a shape runs as it is first, at least once.
    """

    def __init__(self, name: str, most: int = MOST_SHAPES, *, after: int = 1) -> None:
        self._name, self._most, self._after = name, most, after
        self._works = True
        self._seen: Counter[Hashable] = Counter()
        self._kept: OrderedDict[Hashable, _Recorded] = OrderedDict()

    def get(self, shape: Hashable, record: Callable[[], _Recorded]) -> _Recorded | None:
        """Return what to run for a shape, recorded now if need be; None if the step is to run as it is.

        Args:
            shape: Of the inputs.
            record: Records a step for it; a `RuntimeError` says that this does not work here.
        """
        if not self._works:
            return None
        if shape in self._kept:
            self._kept.move_to_end(shape)
            return self._kept[shape]
        self._seen[shape] += 1
        if self._seen[shape] <= self._after:
            return None
        try:
            recorded = record()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            _log.warning("no %s could be recorded, the network runs without: %s", self._name, reason)
            self._works = False
            self._kept.clear()
            return None
        self._kept[shape] = recorded
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return recorded
