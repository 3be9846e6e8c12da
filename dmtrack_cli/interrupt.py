"""Ctrl-C, termination and a closed terminal, handled between two frames so that no result is torn."""

from __future__ import annotations

import os
import signal
import threading
from abc import ABC, abstractmethod
from types import FrameType
from typing import Final, NoReturn, Self

_HANG_UP: Final = getattr(signal, "SIGHUP", None)  # Windows has none
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, *([] if _HANG_UP is None else [_HANG_UP]))


def outlive_the_terminal() -> None:
    """Ignore a closed terminal from now on: all is done, and the exit code must say how."""
    if _HANG_UP is not None:
        signal.signal(_HANG_UP, signal.SIG_IGN)


class _SignalGuard(ABC):
    """Inside its `with` block, SIGINT, SIGTERM and SIGHUP go to `_on_signal`; then old handlers return.

    Signals ignored under `nohup` stay ignored.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if number == _HANG_UP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *about: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}

    @abstractmethod
    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""


class StopAtOnce(_SignalGuard):
    """Each signal raises `KeyboardInterrupt`; a process that was forked meanwhile ends.

    For starting a program, and wherever context managers suffice for cleaning up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return super().__enter__() if threading.current_thread() is threading.main_thread() else self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:
            raise KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class PromptStop(_SignalGuard):
    """The first signal raises `KeyboardInterrupt` at once; later ones do nothing.

    For a program whose cleanup must not be cut short by an impatient second Ctrl-C.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._stopped:
            self._stopped = True
            raise KeyboardInterrupt


class GracefulStop(_SignalGuard):
    """The first SIGINT, SIGTERM or SIGHUP only sets a flag; a second one interrupts at once.

    `check` turns the flag into `KeyboardInterrupt` at a moment of the caller's choice. From then on signals
    are ignored, so that an impatient second Ctrl-C does not spoil the closing of results.
    """

    def __init__(self) -> None:
        super().__init__()
        self._requested = False
        self._delivered = False

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if a signal has come since the block was entered."""
        if self._requested:
            self._deliver()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._requested and not self._delivered:
            self._deliver()
        self._requested = True

    def _deliver(self) -> NoReturn:
        self._delivered = True
        raise KeyboardInterrupt
