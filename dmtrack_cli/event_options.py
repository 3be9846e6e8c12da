"""Option types for event files, with their help."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import typer

from dmtrack.errors import ConfigError
from dmtrack.video.events.options import EventOptions
from dmtrack.video.time_file import TimestampUnit

_PANEL = "Event files"


class EventLook(StrEnum):
    """What a picture looks like: the look that networks are trained on, since others are gone."""

    VISEVENT = "visevent"


WindowOption = Annotated[
    float | None,
    typer.Option(
        "--window-ms",
        metavar="MS",
        help="Show so many milliseconds of events from each frame on. Default: up to the next frame.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
CountOption = Annotated[
    int | None,
    typer.Option(
        "--events",
        metavar="N",
        help="Show the last N events before the next frame.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
LookOption = Annotated[EventLook, typer.Option("--look", "--event-look", hidden=True)]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="ORDER",
        help="Columns of text and arrays without names: txyp, - skips one. Default: by their numbers.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
TimeUnitOption = Annotated[
    TimestampUnit | None,
    typer.Option(
        "--time-unit",
        help="Unit of times in text and arrays. Default: s where they have fractions, else us.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--event-size",
        metavar="WxH",
        help="Size of the sensor. Default: as the file says, else the smallest that its events fit on.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]


def event_options(
    window_ms: float | None = None,
    count: int | None = None,
    columns: str | None = None,
    unit: TimestampUnit | None = None,
    size: str | None = None,
) -> EventOptions:
    """Return how event files become pictures.

    Raises:
        ConfigError: An option is invalid.
    """
    window_us = None if window_ms is None else _microseconds(window_ms)
    return EventOptions(window_us, count, _size(size), columns, unit)


def _microseconds(milliseconds: float) -> int:
    if not 0.001 <= milliseconds < 1e9:
        raise ConfigError(f"--window-ms {milliseconds:g} is no length of time for a picture")
    return round(milliseconds * 1000)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})\s*[xX*,]\s*([1-9]\d{0,4})", text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no size", hint="write WIDTHxHEIGHT, such as 640x480")
    return int(match[1]), int(match[2])
