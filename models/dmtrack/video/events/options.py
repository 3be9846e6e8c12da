"""`EventOptions`: how an event file is read and becomes pictures."""

from __future__ import annotations

from dataclasses import dataclass

from dmtrack.errors import ConfigError
from dmtrack.video.events.batch import Size
from dmtrack.video.time_file import TimestampUnit


@dataclass(frozen=True, slots=True)
class EventOptions:
    """How an event file is read and becomes pictures.

    By default a picture shows the events from its frame's time up to the next frame.

    Attributes:
        window_us: Show the events of so many microseconds from each frame's time on.
        count: Show the last so many events before the next frame.
        size: Width and height of the sensor; None takes what the file says, else measures it.
        columns: Order of columns without names, such as `txyp`; None tells it from the numbers.
        unit: Unit of times where the file does not state it; None tells it from the numbers.
        is_shared_clock: The events have the clock of the video beside them, instead of beginning with it.

    Raises:
        ConfigError: Both a window and a number are given, one is not positive, or `columns` is no order.
    """

    window_us: int | None = None
    count: int | None = None
    size: Size | None = None
    columns: str | None = None
    unit: TimestampUnit | None = None
    is_shared_clock: bool = False

    def __post_init__(self) -> None:
        if self.window_us is not None and self.count is not None:
            raise ConfigError("a window of time and a number of events are two ways to choose: give one")
        if self.window_us is not None and self.window_us <= 0:
            raise ConfigError("the window of time is not positive")
        if self.count is not None and self.count <= 0:
            raise ConfigError(f"{self.count} events make no picture")
        if self.columns is not None:
            parse_order(self.columns)


def parse_order(text: str) -> tuple[str, ...]:
    """Read an order of columns such as `txyp` or `x,y,p,t`; `-` stands for a column to skip.

    Raises:
        ConfigError: One of t, x, y, p is missing or named twice.
    """
    order = tuple(text.replace(",", "").replace(" ", "").lower())
    if sorted(name for name in order if name != "-") != ["p", "t", "x", "y"]:
        raise ConfigError(f"{text!r} is no order of columns", hint="write t, x, y, p once each: txyp")
    return order
