"""`ReadAhead`: the pairs of a recording, read, paired and encoded in a thread while others are tracked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairCounts, PairedSource

MOST_WAITING: Final = 4  # enough to even out how long pictures take; more would only cost memory
_ROOM_BYTES: Final = 64 << 20


def room_for(item_bytes: int) -> int:
    """Return how many items of a size may wait for a thread: a few, and of very large ones a single one."""
    return max(1, min(MOST_WAITING, _ROOM_BYTES // max(1, item_bytes)))


class ReadAhead:
    """The same pairs in the same order as without it; a few are ready before they are asked for.

    An error of reading comes after the last good pair, as ever. The thread runs inside the `with` block, and
    leaving that, however early, ends it: only then the recording may be closed.

    `pairs` is what is still to be read of `source`; all of it by default.
    """

    def __init__(self, source: PairedSource, pairs: Iterable[FramePair] | None = None) -> None:
        self._source = source
        self._pairs = iter(source if pairs is None else pairs)
        self._reader = ThreadPoolExecutor(1, "reading ahead")
        self._ready: deque[Future[tuple[FramePair | None, PairCounts]]] = deque()
        self.counts = source.counts
        """What was met up to the pair that was taken last, whatever was read ahead."""

    def __iter__(self) -> Iterator[FramePair]:
        """Yield the pairs; an `InputError` of the recording comes after the last good one."""
        while True:
            try:
                pair, self.counts = self._ready.popleft().result()
            except Exception:
                self.counts = self._source.counts  # what the end itself met counts as well
                raise
            if pair is None:
                return
            while len(self._ready) <= room_for(pair.image.nbytes + pair.rgb.pixels.nbytes):
                self._begin_next()
            yield pair

    def __enter__(self) -> Self:
        self._begin_next()
        return self

    def __exit__(self, *about: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def _begin_next(self) -> None:
        self._ready.append(self._reader.submit(lambda: (next(self._pairs, None), self._source.counts)))
