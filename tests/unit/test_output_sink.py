"""Sinks finalise however a run ends, and one failing sink costs no other."""

from __future__ import annotations

from fractions import Fraction
from types import TracebackType

import numpy as np
import pytest

from dmtrack.errors import OutputError
from dmtrack.output.sink import Sink, SinkGroup
from dmtrack.tracking.result import FrameResult
from dmtrack.video.frame import Frame, FramePair

_PIXELS = np.zeros((4, 4, 3), np.uint8)
RESULT = FrameResult(FramePair(Frame(0, 0, Fraction(1, 30), _PIXELS), None, None, _PIXELS), (), 0.0)


class Recorder(Sink):
    """Counts writes and closes, and fails when told to."""

    def __init__(
        self, log: list[str] | None = None, name: str = "", fail_at: int = -1, fail_close: bool = False
    ) -> None:
        self.writes = 0
        self.closes = 0
        self.seen: BaseException | None = None
        self._log = log if log is not None else []
        self._name = name
        self._fail_at = fail_at
        self._fail_close = fail_close

    def write(self, result: FrameResult) -> None:
        if self.writes == self._fail_at:
            raise OutputError("the disk is full", where=self._name)
        self.writes += 1

    def close(self) -> None:
        self.closes += 1
        self._log.append(self._name)
        if self._fail_close:
            raise OutputError("cannot close", where=self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seen = error
        super().__exit__(kind, error, trace)


def test_everything_that_is_a_sink_says_so():
    assert isinstance(SinkGroup([]), Sink)


def test_sink_is_closed_on_an_exception_and_the_exception_goes_on():
    sink = Recorder()
    with pytest.raises(KeyboardInterrupt), sink:
        raise KeyboardInterrupt
    assert sink.closes == 1


def test_error_of_closing_does_not_hide_the_first_one(caplog):
    with pytest.raises(ValueError, match="first"), Recorder(name="a.txt", fail_close=True):
        raise ValueError("first")
    assert "a.txt: cannot close" in caplog.text


def test_group_writes_to_all_and_closes_all():
    sinks = [Recorder(), Recorder()]
    with SinkGroup(sinks) as group:
        group.write(RESULT)
    assert [(s.writes, s.closes) for s in sinks] == [(1, 1), (1, 1)]


def test_failing_sink_is_closed_at_once_and_the_others_go_on():
    bad, good = Recorder(name="video.mp4", fail_at=1), Recorder()
    group = SinkGroup([bad, good])
    for _ in range(4):
        group.write(RESULT)
    assert (bad.writes, bad.closes, good.writes) == (1, 1, 4)
    with pytest.raises(OutputError, match=r"video\.mp4: the disk is full"):
        group.close()
    assert (bad.closes, good.closes) == (1, 1)


def test_group_raises_when_no_sink_is_left():
    sinks = [Recorder(name="first", fail_at=0), Recorder(name="second", fail_at=1)]
    watcher = Recorder()
    group = SinkGroup(sinks, observers=[watcher])
    group.write(RESULT)
    with pytest.raises(OutputError, match="first"):
        group.write(RESULT)
    assert watcher.writes == 2


def test_group_without_sinks_takes_everything():
    with SinkGroup([]) as group:
        group.write(RESULT)


def test_all_are_closed_even_when_closing_fails():
    sinks = [Recorder(name="a", fail_close=True), Recorder(name="b", fail_close=True), Recorder()]
    with pytest.raises(OutputError):
        SinkGroup(sinks).close()
    assert [s.closes for s in sinks] == [1, 1, 1]


def test_observers_close_last_and_learn_of_a_failed_sink():
    log: list[str] = []
    watcher = Recorder(log, "watcher")
    with (
        pytest.raises(OutputError),
        SinkGroup([Recorder(log, "bad", fail_at=0), Recorder(log, "good")], observers=[watcher]) as group,
    ):
        group.write(RESULT)
    assert log == ["bad", "good", "watcher"]
    assert "the disk is full" in str(watcher.seen)


def test_observers_learn_of_a_failed_close():
    watcher = Recorder()
    with pytest.raises(OutputError), SinkGroup([Recorder(fail_close=True)], observers=[watcher]):
        pass
    assert isinstance(watcher.seen, OutputError)


def test_observers_learn_of_an_interrupt():
    watcher, sink = Recorder(), Recorder()
    with pytest.raises(KeyboardInterrupt), SinkGroup([sink], observers=[watcher]):
        raise KeyboardInterrupt
    assert isinstance(watcher.seen, KeyboardInterrupt)
    assert sink.closes == 1


def test_a_defect_in_a_sink_ends_the_run_but_closes_the_others():
    class Broken(Recorder):
        def write(self, result: FrameResult) -> None:
            raise ZeroDivisionError

    good = Recorder()
    with pytest.raises(ZeroDivisionError), SinkGroup([Broken(), good]) as group:
        group.write(RESULT)
    assert good.closes == 1
