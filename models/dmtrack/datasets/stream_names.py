"""Finds by their names which two streams in a folder belong together.

`walk_rgb.mp4` and `walk_thermal.mkv`, `rgb_walk/` and `depth_walk/`, `walk_rgb_2` and `walk_ir_2`, or just
`visible.mp4` and `tir.mp4`: a name without the word for the sensor is that of the recording.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dmtrack.datasets.image_files import is_image, is_video
from dmtrack.video.frame import Modality

RGB_WORDS: Final = frozenset({"rgb", "visible", "vis", "color", "colour"})
DRONE_LETTERS: Final = {"t": Modality.THERMAL, "v": None, "w": None, "z": None}
"""Final letters of drones' names: thermal, visible, wide, zoom; used only beside each other, after a `_`."""
AUX_WORDS: Final = {
    "thermal": Modality.THERMAL,
    "infrared": Modality.THERMAL,
    "ir": Modality.THERMAL,
    "tir": Modality.THERMAL,
    "lwir": Modality.THERMAL,
    "depth": Modality.DEPTH,
    "event": Modality.EVENT,
    "events": Modality.EVENT,
    "evt": Modality.EVENT,
}
_LAST_WORD: Final = re.compile(r"(?:(?P<name>.*)[_\-. ])?(?P<word>[a-z]+)", re.IGNORECASE | re.DOTALL)
_DRONE: Final = re.compile(r"(?P<name>.+)_(?P<letter>[tvwz])", re.IGNORECASE | re.DOTALL)
_INNER_WORD: Final = re.compile(
    rf"(?P<head>.+[_\-. ])(?P<word>{'|'.join((*RGB_WORDS, *AUX_WORDS))})[_\-. ](?P<tail>.+)",
    re.IGNORECASE | re.DOTALL,
)
_FIRST_WORD: Final = re.compile(r"(?P<word>[a-z]+)[_\-. ](?P<name>.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stream's name split into the recording's part (maybe empty) and the sensor's modality.

    `modality` is None for the RGB stream.
    """

    name: str
    modality: Modality | None

    @classmethod
    def parse(cls, stem: str) -> StreamName | None:
        """Split a name; None if neither its first nor its last word is that of a sensor."""
        for pattern in (_LAST_WORD, _FIRST_WORD):
            match = pattern.fullmatch(stem)
            word = "" if match is None else match["word"].lower()
            if match is not None and (word in RGB_WORDS or word in AUX_WORDS):
                return cls(match["name"] or "", AUX_WORDS.get(word))
        return None

    @classmethod
    def amid(cls, stem: str) -> StreamName | None:
        """Split a name with the sensor's word in its middle (`walk_rgb_left`), which says less; or None."""
        match = _INNER_WORD.fullmatch(stem)
        return match and cls(match["head"] + match["tail"], AUX_WORDS.get(match["word"].lower()))


@dataclass(slots=True)
class NamedStreams:
    """The streams of one recording, as far as names tell."""

    name: str  # the recording's part of the names; may be empty
    rgb: list[Path] = field(default_factory=list)  # RGB streams; a clear recording has one
    # Second streams with their modality
    aux: list[tuple[Path, Modality]] = field(default_factory=list)

    @property
    def streams(self) -> list[Path]:
        """All streams."""
        return [*self.rgb, *(path for path, _ in self.aux)]

    def add(self, stream: Path, modality: Modality | None) -> None:
        """Add a stream of this modality; None: RGB."""
        if modality is None:
            self.rgb.append(stream)
        else:
            self.aux.append((stream, modality))

    def why_not(self) -> str | None:
        """Return why these streams are not one pair; None if they are."""
        if not self.rgb:
            return "no RGB stream goes with it"
        if not self.aux:
            return "no second stream goes with it"
        if len(self.rgb) > 1:
            return f"several RGB streams: {', '.join(path.name for path in self.rgb)}"
        if len(self.aux) > 1:
            names = ", ".join(path.name for path, _ in self.aux)
            return f"several second streams: {names}; choose one with --modality"
        return None


def group_streams(streams: Iterable[Path], modality: Modality | None = None) -> list[NamedStreams]:
    """Group streams by recording, in the order of their names.

    Streams without a sensor's word are skipped; with `modality`, also second streams of another one.
    """
    groups: dict[str, NamedStreams] = {}
    paths = list(streams)
    paired = _inner_names(paths) | _drone_names(paths)
    for path in paths:
        parsed = paired.get(path) or StreamName.parse(stem_of(path))
        if parsed is None or (parsed.modality not in (None, modality) and modality is not None):
            continue
        groups.setdefault(parsed.name.casefold(), NamedStreams(parsed.name)).add(path, parsed.modality)
    return list(groups.values())


def is_stream(path: Path) -> bool:
    """Return whether `path` is a video, or a folder with pictures directly in it."""
    if not path.is_dir():
        return is_video(path) and path.is_file()
    try:
        return any(is_image(child) for child in path.iterdir())
    except OSError:
        return False  # reported when the folder is searched


def stem_of(path: Path) -> str:
    """Return the name of a stream, a file or a folder, without a suffix."""
    return path.name if path.is_dir() else path.stem


def _inner_names(paths: Iterable[Path]) -> dict[Path, StreamName]:
    """Return the streams with the sensor's word inside their names, if RGB and another one match."""
    found: defaultdict[str, dict[Path, StreamName]] = defaultdict(dict)
    for path in paths:
        parsed = StreamName.amid(stem_of(path))
        if parsed is not None and StreamName.parse(stem_of(path)) is None:
            found[parsed.name.casefold()][path] = parsed
    both = (names for names in found.values() if len({one.modality is None for one in names.values()}) == 2)
    return {path: name for names in both for path, name in names.items()}


def _drone_names(paths: Iterable[Path]) -> dict[Path, StreamName]:
    """Return the streams that end in a drone's letters, if thermal and visible lie together.

    Of several visible ones, `V` and `W` are preferred to `Z`, which has a narrower view. Their times may
    differ by some seconds, so a number of 14 digits in the name is ignored.
    """
    found: defaultdict[str, dict[str, tuple[Path, str]]] = defaultdict(dict)
    for path in paths:
        match = _DRONE.fullmatch(stem_of(path))
        if match is not None:
            key = re.sub(r"\d{14}", "#", match["name"]).casefold()
            found[key][match["letter"].lower()] = path, match["name"]
    names: dict[Path, StreamName] = {}
    for letters in found.values():
        visible = next((letter for letter in ("v", "w", "z") if letter in letters), None)
        if "t" in letters and visible is not None:
            name = letters[visible][1]
            names |= {letters[one][0]: StreamName(name, DRONE_LETTERS[one]) for one in (visible, "t")}
    return names
