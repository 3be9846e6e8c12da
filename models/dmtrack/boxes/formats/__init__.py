"""The formats by name, and what each can hold."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath
from typing import Final, Self

from dmtrack.errors import ConfigError


class ResultFormat(StrEnum):
    """A file format for the boxes of a recording: its name, and the ending of its file names."""

    MOT = "mot", ".txt"
    CSV = "csv", ".csv"
    JSON = "json", ".json"
    JSONL = "jsonl", ".jsonl"
    VOT = "vot", "_001.txt"
    LASHER = "lasher", ".txt"
    CVAT = "cvat", ".zip"
    CVAT_VIDEO = "cvat-video", ".xml"
    COCO = "coco", ".json"
    LABEL_STUDIO = "label-studio", ".json"
    MOTCHALLENGE = "motchallenge", ""
    KITTI = "kitti", ".txt"
    TRACKINGNET = "trackingnet", ".zip"
    GOT_10K = "got-10k", ".zip"

    ending: str

    def __new__(cls, name: str, ending: str) -> Self:
        """Make a member with a name and an ending."""
        member = str.__new__(cls, name)
        member._value_, member.ending = name, ending
        return member


def format_of_name(name: str) -> ResultFormat:
    """Return the format that the suffix of a file name means; `ConfigError` unless it is exactly one."""
    suffix = PurePath(name).suffix.lower()
    fitting = [one for one in ResultFormat if suffix and one.ending.endswith(suffix)]
    if len(fitting) == 1:
        return fitting[0]
    named = ", ".join(fitting or ResultFormat)
    what = f"a name in {suffix} may mean several formats" if fitting else "the name does not say the format"
    raise ConfigError(what, where=name, hint=f"say which: --format {named}")


class Content(StrEnum):
    """Something that results may hold besides boxes."""

    SEVERAL_TARGETS = "several targets"
    SCORES = "scores"
    STATES = "states"
    MEASURES = "measures of the second stream"
    START_BOXES = "start boxes"
    LOST_BOXES = "boxes of lost targets"
    LABELS = "labels"
    TIMES = "times"
    PAIRING = "times of the second stream"
    NETWORK_TIME = "time spent in the network"
    EMPTY_FRAMES = "frames without a box"
    GAPS = "frames that were not looked at"


_TRACKS: Final = frozenset(Content) - {
    *(Content.TIMES, Content.PAIRING, Content.NETWORK_TIME, Content.EMPTY_FRAMES, Content.GAPS)
}
_BENCHMARK_TRACKS: Final = _TRACKS - {Content.STATES, Content.MEASURES, Content.LOST_BOXES}
HOLDS: Final = {
    ResultFormat.MOT: frozenset({Content.SEVERAL_TARGETS, Content.SCORES, Content.START_BOXES}),
    ResultFormat.CSV: frozenset(Content) - {Content.LABELS},
    ResultFormat.JSON: frozenset(Content),
    ResultFormat.JSONL: frozenset(Content) - {Content.LABELS},
    ResultFormat.VOT: frozenset(
        {Content.LOST_BOXES, Content.SCORES, Content.NETWORK_TIME, Content.EMPTY_FRAMES}
    ),
    ResultFormat.LASHER: frozenset({Content.START_BOXES, Content.LOST_BOXES, Content.EMPTY_FRAMES}),
    ResultFormat.CVAT: frozenset(
        {Content.SEVERAL_TARGETS, Content.START_BOXES, Content.LOST_BOXES, Content.LABELS}
    ),
    ResultFormat.CVAT_VIDEO: _TRACKS,
    ResultFormat.LABEL_STUDIO: _TRACKS,
    ResultFormat.MOTCHALLENGE: _BENCHMARK_TRACKS,
    ResultFormat.KITTI: _BENCHMARK_TRACKS,
    ResultFormat.TRACKINGNET: frozenset({Content.START_BOXES, Content.LOST_BOXES}),
    ResultFormat.GOT_10K: frozenset({Content.START_BOXES, Content.LOST_BOXES, Content.NETWORK_TIME}),
    ResultFormat.COCO: frozenset(Content) - {Content.PAIRING},
}
"""What is kept when results are written and read again."""
