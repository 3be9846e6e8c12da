"""`EventOptions`: how an event file is read and drawn as pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from dmtrack.errors import ConfigError
from dmtrack.numbers import finite
from dmtrack.options import Option, make_exact
from dmtrack.video.events.event_batch import Size
from dmtrack.video.time_file import TimestampUnit
from dmtrack.video.track_choice import TrackInfo


def microseconds_of_ms(text: str) -> int:
    """Read milliseconds as whole microseconds.

    `ValueError`: it is no number; `ConfigError`: it is under 0.001 ms, or 1e9 ms or more.
    """
    milliseconds = finite(text)
    if not 0.001 <= milliseconds < 1e9:
        raise ConfigError(f"{milliseconds:g} is no length of time for a picture")
    return round(milliseconds * 1000)


def parse_size(text: str) -> Size:
    """Read `640x480`; `ConfigError`: it is no size."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})\s*[xX*,]\s*([1-9][0-9]{0,4})", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no size", hint="write WIDTHxHEIGHT, such as 640x480")
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class EventOptions:
    """How an event file is read and drawn as pictures.

    By default a picture shows the events from its frame's time up to the next frame. `ConfigError`: both
    `window_us` and `count` are given, one is not positive, or `columns` is no order.
    """

    PANEL: ClassVar = "Event files"

    window_us: Annotated[
        int | None,
        Option(
            "--window-ms",
            "Show the events of this many milliseconds from each frame on. Default: up to the next frame.",
            metavar="MS",
            parse=microseconds_of_ms,
            write=lambda window_us: f"{window_us / 1000:.15g}",
        ),
    ] = None
    count: Annotated[
        int | None, Option("--events", "Show the last N events before the next frame.", metavar="N", least=1)
    ] = None
    size: Annotated[
        Size | None,
        Option(
            "--event-size",
            "Size of the sensor. Default: that in the file; else the size of RGB or of a usual sensor, if "
            "the events fill it; else the smallest that holds them.",
            metavar="WxH",
            parse=parse_size,
            write=lambda size: f"{size[0]}x{size[1]}",
        ),
    ] = None
    columns: Annotated[
        str | None,
        Option(
            "--columns",
            "Columns of text and arrays without names: txyp, - skips one. Default: guessed from the values.",
            metavar="ORDER",
        ),
    ] = None
    unit: Annotated[
        TimestampUnit | None,
        Option(
            "--time-unit", "Unit of times in text and arrays. Default: s if they have fractions, else us."
        ),
    ] = None
    is_shared_clock: bool = False
    """The events share the clock of the paired video; otherwise they begin at its first frame."""
    topic: TrackInfo | None = None  # topic of a bag; None: the first event topic

    def __post_init__(self) -> None:
        make_exact(self)
        if self.window_us is not None and self.count is not None:
            raise ConfigError("--window-ms and --events exclude each other")
        if self.window_us is not None and self.window_us <= 0:
            raise ConfigError("the window of time is not positive")
        if self.columns is not None:
            parse_order(self.columns)


def parse_order(text: str) -> tuple[str, ...]:
    """Read an order of columns such as `txyp` or `x,y,p,t`; `-` stands for a column to skip.

    `ConfigError`: one of t, x, y, p is missing or named twice.
    """
    order = tuple(text.replace(",", "").replace(" ", "").lower())
    if sorted(name for name in order if name != "-") != ["p", "t", "x", "y"]:
        raise ConfigError(f"{text!r} is no order of columns", hint="write t, x, y, p once each: txyp")
    return order
