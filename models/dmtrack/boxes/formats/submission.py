"""Results as archives that single-target benchmarks take: one text per sequence, a box in every frame.

    trackingnet   NAME.txt                          `x,y,w,h` a line; LaSOT's tool kit reads it unpacked
    got-10k       NAME/NAME_001.txt, NAME_time.txt  the boxes, and the seconds that each frame took

Scorers want a box in every frame: a missing one is replaced by the last known (before the first box, by the
first), so lost frames cannot be told when read. Several targets of a recording are NAME_id1, NAME_id2.

Source: TrackingNet's and GOT-10k's submission pages, and the tool kits of GOT-10k and LaSOT (format only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.archive import member_names, member_texts, packed
from dmtrack.boxes.formats.mot import decimal_text, format_box
from dmtrack.boxes.parsing import box_of, finite, placed, words_of
from dmtrack.boxes.results import RecordingResults, ResultsGatherer
from dmtrack.errors import FormatError

_TIME_DECIMALS: Final = 8
_BOXES: Final = re.compile(r"(?:.*/)?(?P<name>[^/]+?)(?:_001)?\.txt")
_GOT_10K: Final = re.compile(r"(?:.*/)?([^/]+)/\1_001\.txt")
_TARGET: Final = re.compile(r"(?P<name>.+)_id(?P<id>[1-9]\d{0,8})")


def kind_of_archive(names: Iterable[str]) -> ResultFormat:
    """Return the benchmark whose archives have texts with these names."""
    is_got = any(_GOT_10K.fullmatch(name) for name in names)
    return ResultFormat.GOT_10K if is_got else ResultFormat.TRACKINGNET


def read_submission(path: Path) -> tuple[RecordingResults, ...]:
    """Read the sequences of an archive, in order of names; `FormatError` names the malformed row."""
    found = member_texts(path, (name for name in member_names(path) if name.endswith(".txt")))
    times = {name: text for name, text in found.items() if name.endswith("_time.txt")}
    texts = {name: text for name, text in found.items() if name not in times}
    if not texts:
        raise FormatError("has no text of boxes in it", where=path)
    gatherers: dict[str, ResultsGatherer] = {}
    for member, text in sorted(texts.items()):
        match = _BOXES.fullmatch(member)
        name = member if match is None else match["name"]
        target = _TARGET.fullmatch(name)
        own, who = (name, 1) if target is None else (target["name"], int(target["id"]))
        gatherer = gatherers.setdefault(own, ResultsGatherer())
        for index, line in enumerate(text.splitlines()):
            with placed(f"{path}, {member}, row {index + 1}"):
                numbers = [finite(word, "side") for word in words_of(line)]
                if len(numbers) != 4:
                    raise FormatError(f"{len(numbers)} numbers are no box", hint="x,y,w,h")
                x, y, w, h = numbers
                gatherer.add(index, who, box_of(x, y, w, h) if w > 0 and h > 0 else None)
        spent = times.get(re.sub(r"_001\.txt$", "_time.txt", member), "").splitlines()
        for index, line in enumerate(spent):
            with placed(f"{path}, time of {member}, row {index + 1}"):
                said = words_of(line)
                gatherer.add_frame(index, infer_ms=round(1000 * finite(said[0], "time"), 6) if said else None)
    return tuple(gatherer.results(name) for name, gatherer in gatherers.items())


def submission_archive(recordings: Iterable[RecordingResults], target: ResultFormat) -> bytes:
    """Return one archive of all recordings; `FormatError` if two have the same name."""
    files: dict[str, str] = {}
    for one in recordings:
        for name, text in _members(one, target):
            if name in files:
                raise FormatError("two recordings have this name", where=name)
            files[name] = text
    return packed(files)


def _members(results: RecordingResults, target: ResultFormat) -> Iterator[tuple[str, str]]:
    stem = results.name.replace("/", "_")
    for who in results.boxed_ids:
        name = stem if results.boxed_ids == (1,) else f"{stem}_id{who}"
        frames = list(results.every_frame())
        boxes = [None if (entry := frame.target(who)) is None else entry.box for frame in frames]
        last = next(box for box in boxes if box is not None)
        lines = []
        for box in boxes:
            last = box or last
            lines.append(f"{format_box(last)}\n")
        if target is ResultFormat.TRACKINGNET:
            yield f"{name}.txt", "".join(lines)
            continue
        yield f"{name}/{name}_001.txt", "".join(lines)
        if any(frame.infer_ms is not None for frame in frames):
            spent_s = (decimal_text((frame.infer_ms or 0) / 1000, _TIME_DECIMALS) for frame in frames)
            yield f"{name}/{name}_time.txt", "".join(f"{one}\n" for one in spent_s)
