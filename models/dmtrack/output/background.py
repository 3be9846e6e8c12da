"""`BackgroundSink`: a sink that works in a thread of its own, such as one that draws and encodes a video."""

from __future__ import annotations

import threading

from dmtrack.errors import OutputError
from dmtrack.handover import Finished, Handover, room_for
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult


class BackgroundSink(Sink):
    """Hands results to another sink in a thread; whoever writes waits only when that falls behind.

    What the other sink raises comes out of the next `write`, or of `close`: a few results later than
    without the thread. `close` lets it write everything that was handed over before.

    Args:
        inner: Used by the thread alone until `close`.
    """

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self._waiting: Handover[FrameResult] = Handover()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def write(self, result: FrameResult) -> None:
        """Hand over the result of one frame.

        Raises:
            OutputError: An earlier one could not be written. The sink may then only be closed.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="writing", daemon=True)
            self._thread.start()
        if not self._waiting.put(result, room_for(result.pair.image.nbytes)):
            self._raise_failure()
            raise OutputError("writing failed before")

    def close(self) -> None:
        """Wait until everything is written, and finalise the result; a second call does nothing.

        Raises:
            OutputError: Something could not be written, or the end cannot be. What is whole is kept.
        """
        self._waiting.finish()
        if self._thread is not None:
            self._thread.join()
        self._waiting.abandon()
        with self._inner:
            self._raise_failure()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _work(self) -> None:
        try:
            while True:
                self._inner.write(self._waiting.take())
        except Finished:
            return
        except Exception as error:  # noqa: BLE001 - raised again where results are handed over
            self._failure = error
            self._waiting.abandon()
