"""`Sink`: takes frame results. Every sink streams, and finalises to a valid file however a run ends."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from dmtrack.errors import OutputError
from dmtrack.tracking.result import FrameResult
from dmtrack.video.ahead import room_for

_log = logging.getLogger(__name__)


@runtime_checkable
class Sink(Protocol):
    """Takes the results of a run frame by frame, in constant memory.

    A sink is a context manager. Leaving the block finalises the result, also on an exception: the results so
    far are kept as a valid file.
    """

    def write(self, result: FrameResult) -> None:
        """Take the result of one frame.

        `OutputError`: it cannot be written. The sink may then only be closed.
        """

    def close(self) -> None:
        """Finalise the result under its final name; a second call does nothing.

        `OutputError`: the end cannot be written. Everything complete is kept.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; an exception that is being handled is not replaced by one from closing."""
        if error is None:
            self.close()
            return
        try:
            self.close()
        except OutputError as closing:
            if closing is not error:
                _log.warning("%s", closing)


class SinkGroup(Sink):
    """Writes to several sinks; if one fails, the others go on.

    A sink that raises `OutputError` is closed (it keeps what it has) and written to no more. The error is
    logged, and raised when the group closes, or at once by `write` if no sink is left.

    `observers` only watch (such as the run record). They are closed last, and their `__exit__` is told how
    the run ended, also if a sink failed; they do not keep a run going.
    """

    def __init__(self, sinks: Sequence[Sink], observers: Sequence[Sink] = ()) -> None:
        self._live = list(sinks)
        self._observers = list(observers)
        self._failure: OutputError | None = None

    def write(self, result: FrameResult) -> None:
        """Write to every sink that still works, then to the observers; `OutputError`: no sink is left."""
        for sink in tuple(self._live):
            try:
                sink.write(result)
            except OutputError as error:
                self._leave_out(sink, error)
        for observer in self._observers:
            observer.write(result)
        if self._failure is not None and not self._live:
            raise self._failure

    def close(self) -> None:
        """Close every sink, even when one fails.

        `OutputError`: a sink failed now or earlier (the first such error).
        """
        self.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every sink, observers last; each is told of the error that ends the run."""
        stack = ExitStack()
        for sink in (*self._observers, *self._live):
            stack.push(sink)
        self._live, self._observers = [], []
        failure, self._failure = self._failure, None
        if error is not None or failure is None:
            stack.__exit__(kind, error, trace)
            return
        with stack:
            raise failure

    def _leave_out(self, sink: Sink, error: OutputError) -> None:
        self._live.remove(sink)
        self._failure = self._failure or error
        if self._live:
            _log.warning("%s (the other results go on)", error)
        sink.__exit__(type(error), error, error.__traceback__)


class BackgroundSink(Sink):
    """Passes results to another sink in a thread; `write` waits only if the thread falls behind.

    An error of the other sink is raised by a later `write`, or by `close`, which waits until everything is
    written. The thread alone uses `inner` until `close`.
    """

    def __init__(self, inner: Sink) -> None:
        self._inner = inner
        self._writer = ThreadPoolExecutor(1, "writing")
        self._waiting: deque[Future[None]] = deque()
        self._is_over = False

    def write(self, result: FrameResult) -> None:
        """Pass on the result of one frame; an `OutputError` is that of an earlier one, see `Sink.write`."""
        room = room_for(result.pair.image.nbytes)
        while len(self._waiting) > (0 if self._is_over else room):
            self._waiting.popleft().result()
        if self._is_over:
            raise OutputError("writing failed before")
        self._waiting.append(self._writer.submit(self._write, result))

    def close(self) -> None:
        """Wait until everything is written, and finalise the result, see `Sink.close`."""
        self._writer.shutdown()
        self._is_over = True
        with self._inner:
            while self._waiting:
                self._waiting.popleft().result()

    def _write(self, result: FrameResult) -> None:
        if self._is_over:
            return
        try:
            self._inner.write(result)
        except BaseException:
            self._is_over = True
            raise
