"""Reads a detector's file; a target is started for each object that enters (`tracking/arrivals`).

    MOT text            rows with id -1, as in MOT Challenge's det.txt; ids of other rows are ignored. The
                        class, if any, is in the eighth column
    a folder of YOLO    one text per frame, `class cx cy w h`, optionally with a confidence and an id;
                        `classes.txt` among them or beside their folder `labels` names the classes
    COCO                images and annotations, or a bare list of results
    any other results   boxes.csv and every other format that `dmtrack export` reads

If RGB is a folder of pictures, a name belongs to the picture of the same name, or else of the same number.
Otherwise the frame is the last number in the name of the text or image, counted from 1 unless one of them is
0; `frame_id` of COCO counts from 0.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.coco import first_frame
from dmtrack.boxes.formats.json_document import JsonFields
from dmtrack.boxes.formats.mot import mot_detections
from dmtrack.boxes.parsing import box_of, finite, json_of, placed, whole, words_of
from dmtrack.boxes.reading import is_zip, read_recording, recognise
from dmtrack.boxes.results import are_shares, of_another_size
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import BoxError, ConfigError, FormatError, listed, translated
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.options import Option, make_exact
from dmtrack.tracking.arrivals import Detection, lasting
from dmtrack.video.frame import VideoInfo
from dmtrack.video.pictures.picture_list import list_images

_log = logging.getLogger(__name__)

_NUMBER: Final = re.compile(r"(\d{1,15})\D*$")
_ROBOFLOW: Final = re.compile(r"\.rf\.[0-9A-Za-z]+$")  # a hash of the picture, not a frame number
_LABELS: Final = "labels"  # the folder of texts in the folder of a YOLO run
_NAMES: Final = ("classes.txt", "obj.names")
_MOST_NAMED: Final = 8
_WRONG_RECORDING: Final = "are they those of this recording?"


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Which detections may become targets."""

    PANEL: ClassVar = "Targets from a detector"

    file: Annotated[
        Path | None,
        Option(
            "--detections",
            "Detections, from which targets start and lost ones are found again: MOT text (id -1), a folder "
            "of YOLO texts, COCO.",
            metavar="FILE|DIR",
        ),
    ] = None
    classes: Annotated[
        tuple[str, ...],
        Option("--classes", "Only these classes, by name or number: person,car.", metavar="NAME"),
    ] = ()
    min_conf: Annotated[
        float, Option("--min-conf", "Ignore detections with a lower confidence.", least=-1e9)
    ] = 0.5

    def __post_init__(self) -> None:
        make_exact(self)
        words = [word.strip() for text in self.classes for word in text.split(",")]
        object.__setattr__(self, "classes", tuple(word for word in words if word))

    def require_file(self) -> None:
        """Refuse classes and a confidence without detections.

        Raises:
            ConfigError: They are given without a file.
        """
        if self.file is None and self != DetectionOptions():
            name = "--classes" if self.classes else "--min-conf"
            raise ConfigError("needs detections", where=name, hint="give --detections FILE as well")


@dataclass(frozen=True, slots=True)
class _DetectionRow:
    """A detection in a file, with its frame and the number and name of its class."""

    frame_index: int
    box: Box
    score: float | None
    number: str | None = None
    name: str | None = None

    @property
    def label(self) -> str | None:
        return self.name or self.number


def read_detections(
    options: DetectionOptions, info: VideoInfo, *, every: bool = False
) -> dict[int, list[Detection]]:
    """Read a detector's file, and keep the objects that may be targets (see `lasting`).

    With `every`, objects seen in only a frame or two are kept too, for a person to choose from.
    `FormatError`: the file cannot be read, or a row (named) is malformed; `ConfigError`: no detection has one
    of the classes asked for, or enough confidence; `BoxError`: there is none, every box lies outside the
    frame, or all lie beyond the end of the recording.
    """
    path = options.file
    if path is None:
        return {}
    with translated(FormatError, "cannot be read", where=path):
        rows = list(_rows(path, info))
    if not rows:
        raise BoxError("holds no detection", where=path)
    kept = _certain(_of_classes(rows, options.classes, path), options.min_conf, path)
    _require_this_recording(kept, path, info)
    by_frame: dict[int, list[Detection]] = {}
    for row in kept:
        by_frame.setdefault(row.frame_index, []).append(Detection(row.box, row.score, row.label))
    if every:
        return by_frame
    return lasting(by_frame, *info.size)


def _require_this_recording(rows: Sequence[_DetectionRow], path: Path, info: VideoInfo) -> None:
    if are_shares([row.box for row in rows]):
        what = "its boxes lie within one pixel: are they fractions of the picture?"
        raise BoxError(what, where=path, hint="give pixels, or a folder of YOLO texts")
    outside = [row for row in rows if not row.box.share_inside(*info.size)]
    what = f"{len(outside)} of {len(rows)} boxes lie outside the {info.width}x{info.height} frame"
    first = min(row.frame_index for row in rows)
    if info.frame_count is not None and first >= info.frame_count:
        what = f"its first detection is in frame {first}, but the recording has {info.frame_count}"
    elif len(outside) < len(rows):
        if outside:
            _log.warning("%s: %s; %s", path, what, _WRONG_RECORDING)
        return
    raise BoxError(what, where=path, hint=_WRONG_RECORDING)


def _rows(path: Path, info: VideoInfo) -> Iterator[_DetectionRow]:
    pictures = {}
    if info.path.is_dir():
        pictures = {file.stem: index for index, file in enumerate(list_images(info.path))}
    if path.is_dir():
        return _yolo_rows(path, pictures, info.size)
    if not path.exists():
        raise FormatError("no such file or folder", where=path, hint="check the path")
    if is_zip(path):
        return _result_rows(path, info.size)
    text = read_text(path)
    if text.lstrip().startswith("["):
        entries: Any = json_of(text, path)
        if not any(isinstance(entry, dict) and "data" in entry for entry in entries):  # tasks of Label Studio
            return _listed(entries, path, pictures)
    kind = recognise(path)
    if kind is ResultFormat.MOT:
        return (
            _DetectionRow(row.frame_index, row.box, row.score, None if number is None else str(number))
            for row, number in mot_detections(path)
        )
    if kind is ResultFormat.COCO:
        return _coco_rows(JsonFields.parse(text, str(path)), pictures, info.size)
    return _result_rows(path, info.size)


def _result_rows(path: Path, size: tuple[int, int]) -> Iterator[_DetectionRow]:
    recording = read_recording(path, size=size)
    if said := of_another_size(recording.size, size):
        _log.warning("%s: %s", path, said)
    for row in recording.rows:
        yield _DetectionRow(row.frame_index, row.box, row.score, name=recording.labels.get(row.target_id))


def _yolo_rows(folder: Path, pictures: Mapping[str, int], size: tuple[int, int]) -> Iterator[_DetectionRow]:
    names: Sequence[str] = ()
    texts = _texts_in(folder) or _texts_in(folder / _LABELS)
    for place in (folder, folder / _LABELS):
        for name in _NAMES:
            if (place / name).is_file():
                names = [line.strip() for line in read_text(place / name).splitlines()]
    if not texts:
        raise FormatError("holds no text files", where=folder, hint="YOLO writes one a frame, name_12.txt")
    index_of = _frames_of([file.stem for file in texts], pictures, folder)
    for file in texts:
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            words = words_of(line)
            if words:
                with placed(f"{file}, row {number}"):
                    yield _yolo_row(words, index_of[file.stem], names, size)


def _texts_in(folder: Path) -> list[Path]:
    """Return the texts in a folder that hold the boxes of a frame."""
    texts = sorted(folder.glob("*.txt"))
    return [file for file in texts if not file.name.startswith(".") and file.name not in _NAMES]


def _yolo_row(
    words: Sequence[str], frame_index: int, names: Sequence[str], size: tuple[int, int]
) -> _DetectionRow:
    if len(words) not in (5, 6, 7):
        what = f"{len(words)} numbers are no box of YOLO"
        raise FormatError(what, hint="class cx cy w h, and maybe a confidence and an id")
    number = whole(words[0], "class")
    shares = box_of(*(finite(word, name) for word, name in zip(words[1:5], "xywh", strict=True)))
    if max(shares.xywh) > 1:
        raise FormatError(
            f"box {shares} is not a fraction of the picture", hint="YOLO numbers lie between 0 and 1"
        )
    name = names[number] if 0 <= number < len(names) and names[number] else None
    score = finite(words[5], "confidence") if len(words) > 5 else None
    if score is not None and score > 1:
        score = None  # a tracker's id: YOLO writes no confidence unless asked
    return _DetectionRow(frame_index, shares.read_as(BoxFormat.CXCYWH, *size), score, str(number), name)


def _coco_rows(
    document: JsonFields, pictures: Mapping[str, int], size: tuple[int, int]
) -> Iterator[_DetectionRow]:
    images = list(document.each("images"))
    sizes = (image.picture_size("width", "height") for image in images)
    if said := next(filter(None, (of_another_size(own, size) for own in sizes)), None):
        _log.warning("%s: %s", document.where, said)
    named = {
        image.integer("id"): Path(image.text("file_name") or "").stem
        for image in images
        if "frame_id" not in image and "frame_index" not in image
    }
    if len({image.integer("video_id") for image in images if "video_id" in image}) > 1:
        raise document.error("is about several recordings")
    by_name = _frames_of(list(named.values()), pictures, document.where) if named else {}
    origin = first_frame(document)
    index_of = {
        (number := image.integer("id")): by_name[named[number]]
        if number in named
        else image.integer("frame_id", "frame_index") - origin
        for image in images
    }
    names = {one.integer("id"): one.text("name") for one in document.each("categories")}
    for annotation in document.each("annotations"):
        image_id = annotation.integer("image_id")
        if image_id not in index_of:
            raise annotation.error(f"there is no image {image_id}")
        category = annotation.integer("category_id") if "category_id" in annotation else None
        name = None if category is None else names.get(category)
        yield _annotated(annotation, index_of[image_id], category, name)


def _listed(entries: list[Any], path: Path, pictures: Mapping[str, int]) -> Iterator[_DetectionRow]:
    """Read a bare list of results; an image is given by its number or its picture's name."""
    results = [JsonFields(entry, f"{path}, [{number}]") for number, entry in enumerate(entries)]
    stems = [Path(str(entry.get("image_id", ""))).stem for entry in entries if isinstance(entry, dict)]
    index_of = _frames_of(stems, pictures, path)
    for fields, stem in zip(results, stems, strict=True):
        category = fields.integer("category_id") if "category_id" in fields else None
        yield _annotated(fields, index_of[stem], category, None)


def _annotated(fields: JsonFields, frame_index: int, category: int | None, name: str | None) -> _DetectionRow:
    box = fields.box("bbox")
    if box is None:
        raise fields.error("has no bbox")
    number = None if category is None else str(category)
    return _DetectionRow(frame_index, box, fields.number("score"), number, name)


def _frames_of(stems: Sequence[str], pictures: Mapping[str, int], where: object) -> dict[str, int]:
    """Return the frame of each name: by the picture's name, or the last number in it; else `FormatError`."""
    if pictures and any(stem in pictures for stem in stems):
        strange = next((stem for stem in stems if stem not in pictures), None)
        if strange is not None:
            raise FormatError(f"{strange!r} is the name of no picture of the recording", where=where)
        return {stem: pictures[stem] for stem in stems}
    numbers: dict[str, int] = {}
    for stem in stems:
        found = _NUMBER.search(_ROBOFLOW.sub("", stem))
        if found is None:
            raise FormatError(f"no frame number is in the name {stem!r}", where=where)
        numbers[stem] = int(found[1])
    if len(set(numbers.values())) < len(numbers):
        raise FormatError("two names have the same frame number", where=where)
    known = {_ROBOFLOW.sub("", stem): index for stem, index in pictures.items()}
    numbered = {int(found[1]): index for stem, index in known.items() if (found := _NUMBER.search(stem))}
    if len(numbered) == len(pictures) and numbers.keys() and numbered.keys() >= set(numbers.values()):
        return {stem: numbered[number] for stem, number in numbers.items()}
    first = min(1, *numbers.values()) if numbers else 1
    if numbers and min(numbers.values()) > 1:
        _log.warning("%s: names are taken to count from 1, the first says %d", where, min(numbers.values()))
    return {stem: number - first for stem, number in numbers.items()}


def _of_classes(rows: Sequence[_DetectionRow], classes: Sequence[str], path: Path) -> Sequence[_DetectionRow]:
    if not classes:
        return rows
    if all(row.label is None for row in rows):
        raise ConfigError("has no classes", where=path, hint="leave --classes out")
    wanted = {word.casefold() for word in classes}
    kept = [row for row in rows if wanted & _words(row)]
    known = {word for row in rows for word in _words(row)}
    for word in classes:
        if word.casefold() not in known:
            labels = sorted({row.label for row in rows if row.label})
            what = f"no detection is of class {word!r}"
            raise ConfigError(what, where=path, hint=f"there are {listed(labels, _MOST_NAMED)}")
    return kept


def _words(row: _DetectionRow) -> set[str]:
    return {word.casefold() for word in (row.name, row.number) if word}


def _certain(rows: Sequence[_DetectionRow], least: float, path: Path) -> Sequence[_DetectionRow]:
    kept = [row for row in rows if row.score is None or row.score >= least]
    if not kept:
        highest = max(row.score for row in rows if row.score is not None)
        raise ConfigError(
            f"no detection has a confidence of {least:g} or more",
            where=path,
            hint=f"the highest is {highest:g}: --min-conf {highest / 2:.2g}",
        )
    return kept
