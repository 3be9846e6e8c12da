"""`ReadAhead`: reads, pairs and encodes frames in a thread while earlier pairs are tracked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Self

from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairCounts, PairedSource

MOST_WAITING: Final = 4  # evens out varying reading times; more would only cost memory
_ROOM_BYTES: Final = 64 << 20


def room_for(item_bytes: int) -> int:
    """Return how many items of `item_bytes` may wait for a thread: at least one, at most `MOST_WAITING`."""
    return max(1, min(MOST_WAITING, _ROOM_BYTES // max(1, item_bytes)))


class ReadAhead:
    """Yields the pairs of a source in order, with a few prepared before they are asked for.

    An error of reading is raised after the last good pair. The thread runs inside the `with` block; leaving
    the block, however early, ends it, and only then may the recording be closed.

    `pairs` are those still to be read of `source`; all of them by default.
    """

    def __init__(self, source: PairedSource, pairs: Iterable[FramePair] | None = None) -> None:
        self._source = source
        self._pairs = iter(source if pairs is None else pairs)
        self._reader = ThreadPoolExecutor(1, "reading ahead")
        self._ready: deque[Future[tuple[FramePair | None, PairCounts]]] = deque()
        self.counts = source.counts
        """Counts up to the pair that was taken last, without those only read ahead."""

    def __iter__(self) -> Iterator[FramePair]:
        """Yield the pairs; an `InputError` of the recording comes after the last good one."""
        while True:
            try:
                pair, self.counts = self._ready.popleft().result()
            except Exception:
                self.counts = self._source.counts  # includes what was met after the last pair
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
