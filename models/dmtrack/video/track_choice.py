"""Choosing one of several streams in a file by its number, its title, or what it holds.

Recorders of depth cameras put colour, depth and infrared into one file, in any order, and name
them: a Matroska track has a title and tags, a topic of a ROS bag has a name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from dmtrack.errors import ConfigError, VideoError

_HINT: Final = "a number from 0, title:NAME, color, depth, ir or event"
GIVEN_TWICE: Final = "it is given for both streams and holds one"
ONE_STREAM: Final = "name the file of the second stream, or say --split right where one picture shows both"


class TrackKind(StrEnum):
    """What a track holds, according to its title or tags."""

    COLOR = "color"
    DEPTH = "depth"
    IR = "ir"
    EVENT = "event"


_WORDS: Final = {
    "ir": TrackKind.IR,
    "infrared": TrackKind.IR,
    "thermal": TrackKind.IR,
    "depth": TrackKind.DEPTH,
    "color": TrackKind.COLOR,
    "colour": TrackKind.COLOR,
    "rgb": TrackKind.COLOR,
    "visible": TrackKind.COLOR,
}
"""In order of precedence: older Azure Kinect files call their infrared track `DEPTH_IR`."""


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A video track of a file that may hold several."""

    number: int  # its place among the video tracks, from 0
    title: str = ""  # what the file calls it, or an empty string
    kind: TrackKind | None = None  # what it holds, if its title or tags say so
    beside: int = field(default=0, compare=False)  # how many other tracks the file has

    def __str__(self) -> str:
        """Return `1 (DEPTH)`."""
        return f"{self.number} ({self.title})" if self.title else str(self.number)


def kind_of_track(title: str, tags: Sequence[str] = ()) -> TrackKind | None:
    """Tell what a track holds from its title, else from the names of its tags; None if neither says.

    Titles: `DEPTH`, `/device_0/sensor_1/Color_0/image/data`; a tag: `K4A_DEPTH_MODE`.

    Source: Azure Kinect recording format (titles COLOR, DEPTH, IR; tags K4A_*_MODE, K4A_*_TRACK).
    """
    marks = [tag for tag in tags if re.fullmatch(r"K4A_(COLOR|DEPTH|IR)_(MODE|TRACK)", tag)]
    for text in (title, *marks):
        words = set(re.findall(r"[a-z]+", text.lower()))
        for word, kind in _WORDS.items():
            if word in words:
                return kind
    return None


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """A track as a user names it: exactly one field is set."""

    number: int | None = None
    title: str | None = None
    kind: TrackKind | None = None

    def __str__(self) -> str:
        """Return the choice the way `parse_track` reads it."""
        if self.title is not None:
            return f"title:{self.title}"
        return str(self.number) if self.kind is None else str(self.kind)

    def fits(self, track: TrackInfo) -> bool:
        """Return whether the choice names this track."""
        if self.title is not None:
            return track.title.lower() == self.title.lower()
        return track.number == self.number if self.kind is None else track.kind is self.kind


def parse_track(text: str) -> TrackChoice:
    """Read `1`, `title:DEPTH`, `color`, `depth`, `ir` or `event`; `ConfigError` for anything else."""
    word = text.strip()
    if re.fullmatch(r"\d{1,4}", word):
        return TrackChoice(number=int(word))
    if word.lower().startswith("title:") and word[6:].strip():
        return TrackChoice(title=word[6:].strip())
    if word.lower() in [*TrackKind]:
        return TrackChoice(kind=TrackKind(word.lower()))
    raise ConfigError(f"{text!r} names no stream of a file", hint=_HINT)


@dataclass(frozen=True, slots=True)
class TrackPicker:
    """Picks the track of a file that is the first or the second stream of a pair."""

    # What the user asked for; None leaves it to the names of the tracks
    choice: TrackChoice | None = None
    is_aux: bool = False  # whether the second stream is wanted
    taken: int | None = None  # the track of the same file that is the first stream
    kept: TrackChoice | None = None  # the user's choice of the second stream in this file

    def pick(self, tracks: Sequence[TrackInfo], path: Path) -> TrackInfo:
        """Return the track that is meant; `VideoError` if there is none, or it is not clear which."""
        return replace(self._picked(tracks, path), beside=len(tracks) - 1)

    def _picked(self, tracks: Sequence[TrackInfo], path: Path) -> TrackInfo:
        if self.choice is not None:
            return self._chosen(self.choice, tracks, path)
        free = [
            track
            for track in tracks
            if track.number != self.taken and (self.kept is None or not self.kept.fits(track))
        ]
        wanted = (TrackKind.DEPTH, TrackKind.IR, TrackKind.EVENT) if self.is_aux else (TrackKind.COLOR, None)
        for kind in wanted:
            alike = [track for track in free if track.kind is kind]
            if alike:
                return alike[0]
        if free and (len(free) == 1 or self.taken is None):
            return free[0]
        if not free:
            raise VideoError(GIVEN_TWICE, where=path, hint=ONE_STREAM)
        raise VideoError(
            f"it holds the streams {_listed(tracks)}, and none says that it is the second one",
            where=path,
            hint=f"say --aux-stream: {_HINT}",
        )

    def _chosen(self, choice: TrackChoice, tracks: Sequence[TrackInfo], path: Path) -> TrackInfo:
        fitting = [track for track in tracks if choice.fits(track)]
        for track in fitting:
            if track.number != self.taken:
                return track
        if fitting:
            raise VideoError(
                f"stream {fitting[0]} is given for both", where=path, hint=f"say another: {_HINT}"
            )
        wanted = f"number {choice.number}" if choice.number is not None else f"stream {choice}"
        raise VideoError(
            f"it has {len(tracks)} video stream(s): {_listed(tracks)}; there is no {wanted}",
            where=path,
        )


def _listed(tracks: Sequence[TrackInfo]) -> str:
    return ", ".join(str(track) for track in tracks) or "none"
