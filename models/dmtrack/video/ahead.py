"""`ReadAhead`: the pairs of a recording, read, paired and encoded in a thread while others are tracked."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Self

from dmtrack.handover import Finished, Handover, room_for
from dmtrack.video.frame import FramePair
from dmtrack.video.pairing import PairCounts, PairedSource


class ReadAhead:
    """The same pairs in the same order as without it; a few are ready before they are asked for.

    An error of reading comes after the last good pair, as ever. The thread runs inside the `with` block, and
    leaving that, however early, ends it: only then the recording may be closed.

    `pairs` is what is still to be read of `source`; all of it by default.
    """

    def __init__(self, source: PairedSource, pairs: Iterable[FramePair] | None = None) -> None:
        self._source = source
        self._pairs = source if pairs is None else pairs
        self._ready: Handover[tuple[FramePair | None, PairCounts]] = Handover()
        self.counts = source.counts
        """What was met up to the pair that was taken last, whatever was read ahead."""
        self._thread = threading.Thread(target=self._read, name="reading ahead", daemon=True)

    def __iter__(self) -> Iterator[FramePair]:
        """Yield the pairs; an `InputError` of the recording comes after the last good one."""
        while True:
            try:
                pair, self.counts = self._ready.take()
            except Finished:
                return
            if pair is not None:
                yield pair

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._ready.abandon()
        self._thread.join()

    def _read(self) -> None:
        failure: BaseException | None = None
        try:
            for pair in self._pairs:
                size_bytes = pair.image.nbytes + pair.rgb.pixels.nbytes
                if not self._ready.put((pair, self._source.counts), room_for(size_bytes)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the pairs are taken
            failure = error
        self._ready.put((None, self._source.counts))  # what the end itself met counts as well
        self._ready.finish(failure)
