"""The formats by name, and what each can hold."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ResultFormat(StrEnum):
    """A file format for the boxes of a recording."""

    MOT = "mot"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    VOT = "vot"
    LASHER = "lasher"
    CVAT = "cvat"
    COCO = "coco"

    @property
    def ending(self) -> str:
        """How names of its files end."""
        return _ENDINGS[self]


class Content(StrEnum):
    """Something that results may hold besides boxes."""

    SEVERAL_TARGETS = "several targets"
    SCORES = "scores"
    STATES = "states"
    START_BOXES = "start boxes"
    LABELS = "labels"
    TIMES = "times"
    PAIRING = "times of the second stream"
    NETWORK_TIME = "time spent in the network"
    EMPTY_FRAMES = "frames without a box"
    GAPS = "frames that were not looked at"


_ENDINGS: Final = {
    ResultFormat.MOT: ".txt",
    ResultFormat.CSV: ".csv",
    ResultFormat.JSON: ".json",
    ResultFormat.JSONL: ".jsonl",
    ResultFormat.VOT: "_001.txt",
    ResultFormat.LASHER: ".txt",
    ResultFormat.CVAT: ".zip",
    ResultFormat.COCO: ".json",
}

HOLDS: Final = {
    ResultFormat.MOT: frozenset({Content.SEVERAL_TARGETS, Content.SCORES, Content.START_BOXES}),
    ResultFormat.CSV: frozenset(Content) - {Content.LABELS},
    ResultFormat.JSON: frozenset(Content),
    ResultFormat.JSONL: frozenset(Content) - {Content.LABELS},
    ResultFormat.VOT: frozenset({Content.SCORES, Content.NETWORK_TIME, Content.EMPTY_FRAMES}),
    ResultFormat.LASHER: frozenset({Content.START_BOXES, Content.EMPTY_FRAMES}),
    ResultFormat.CVAT: frozenset({Content.SEVERAL_TARGETS, Content.START_BOXES, Content.LABELS}),
    ResultFormat.COCO: frozenset(Content) - {Content.PAIRING},
}
"""What survives writing and reading again."""
