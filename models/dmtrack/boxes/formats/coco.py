"""Results as COCO-style video annotations: one document for one recording or several.

    videos       id, name, width, height
    images       id, video_id, file_name, frame_id (from 0; frame_index is the same), width, height, time_s
    tracks       id, video_id, category_id, target_id
    annotations  id, image_id, video_id, track_id (instance_id is the same), category_id,
                 bbox [x, y, w, h], segmentation (its corners), area, iscrowd; score, state and measure
                 if they are known
    categories   id, name

Every frame is an image, also one without a box. Track ids are unique in the document; `target_id` is the id
within the recording. Files are named NAME/00000001.jpg and so on, as by `ffmpeg -i rgb.mp4 NAME/%08d.jpg`.

Source: the CocoVID convention of MMTracking and the description of TAO's annotations (format only).
"""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from dmtrack.boxes.formats.json_document import JsonFields, known, measure_json, rounded, sides
from dmtrack.boxes.parsing import placed, state_of
from dmtrack.boxes.results import DEFAULT_LABEL, RecordingResults, ResultsGatherer
from dmtrack.datasets.ground_truth import read_text
from dmtrack.errors import FormatError
from dmtrack.tracking.result import TrackedBox

_log = logging.getLogger(__name__)

_PICTURES: Final = (
    "boxes of single pictures are no tracks: each picture needs a frame_id (the first is 0), each box a "
    "track_id; or give them with --box, or the file with --detections, which goes by the names of pictures"
)


def read_coco(path: Path, name: str) -> tuple[RecordingResults, ...]:
    """Read every video of a document; images without a `video_id` are frames of one video.

    `FormatError`: it cannot be read, is not such a document, or a value (its place is named) is wrong.
    """
    document = JsonFields.parse(read_text(path), str(path))
    if "images" not in document or "annotations" not in document:
        raise FormatError("is JSON, but has no images and annotations", where=path, hint="is it COCO?")
    return tuple(_CocoReader(document, name).recordings())


def first_frame(document: JsonFields) -> int:
    """Return the `frame_id` of the first frame: 0, or 1 as in those of FairMOT and ByteTrack (logged).

    In those, the images of each video count from 1 without a gap, and the numbers in their file names are not
    one higher, as ours are.
    """
    numbers, ahead = defaultdict(list), set()
    for image in document.each("images"):
        if "frame_id" not in image or "frame_index" in image:
            return 0
        number = image.integer("frame_id")
        numbers[image.integer("video_id") if "video_id" in image else None].append(number)
        in_name = re.findall(r"\d+", Path(image.text("file_name") or "").stem)
        ahead.add(int(in_name[-1]) - number if in_name else None)
    if not numbers or any(sorted(one) != [*range(1, max(2, len(one)) + 1)] for one in numbers.values()):
        return 0
    if None in ahead:
        _log.warning("%s: frame_id counts from 1: taken for the second frame; the first is 0", document.where)
    elif 1 not in ahead:
        _log.warning(
            "%s: frame_id counts from 1, as its pictures do: taken for the first frame", document.where
        )
        return 1
    return 0


def coco_text(recordings: Sequence[RecordingResults]) -> str:
    """Return one document, with one entry per line."""
    writer = _CocoWriter()
    for recording in recordings:
        writer.add(recording)
    lists = []
    for name in ("videos", "categories", "tracks", "images", "annotations"):
        entries = ",\n  ".join(json.dumps(e, ensure_ascii=False) for e in getattr(writer, name))
        lists.append(f'"{name}": [\n  {entries}\n]')
    return "{" + ",\n".join(['"info": {"description": "boxes tracked by dmtrack"}', *lists]) + "}\n"


@dataclass(slots=True)
class _CocoWriter:
    """The lists of a document while recordings are being added."""

    videos: list[dict[str, Any]] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    tracks: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, recording: RecordingResults) -> None:
        """Add a recording as one more video."""
        video_id = len(self.videos) + 1
        size = {} if recording.size is None else recording.size._asdict()
        self.videos.append({"id": video_id, "name": recording.name, **size})
        track_of = self._add_tracks(recording, video_id)
        for frame in recording.frames:
            image = {
                "id": len(self.images) + 1,
                "video_id": video_id,
                "file_name": f"{recording.name}/{frame.frame_index + 1:08d}.jpg",
                "frame_id": frame.frame_index,
                "frame_index": frame.frame_index,
                **size,
                **known(time_s=frame.time_s, infer_ms=frame.infer_ms),
            }
            self.images.append(image)
            for row in frame.targets:
                self._add_annotation(image, row, track_of[row.target_id])

    def _add_tracks(self, recording: RecordingResults, video_id: int) -> dict[int, dict[str, Any]]:
        taken, own = {track["id"] for track in self.tracks}, set(recording.boxed_ids)
        free = (number for number in count(1) if number not in taken and number not in own)
        added = {}
        for target_id in recording.boxed_ids:
            added[target_id] = {
                "id": next(free) if target_id in taken else target_id,
                "video_id": video_id,
                "category_id": self._category(recording.labels.get(target_id) or DEFAULT_LABEL),
                "target_id": target_id,
            }
        self.tracks.extend(added.values())
        return added

    def _category(self, label: str) -> int:
        for category in self.categories:
            if category["name"] == label:
                return int(category["id"])
        self.categories.append({"id": len(self.categories) + 1, "name": label})
        return len(self.categories)

    def _add_annotation(self, image: dict[str, Any], row: TrackedBox, track: dict[str, Any]) -> None:
        x, y, w, h = sides(row.box)
        right, below = rounded(x + w), rounded(y + h)
        self.annotations.append(
            {
                "id": len(self.annotations) + 1,
                "image_id": image["id"],
                "video_id": image["video_id"],
                "track_id": track["id"],
                "instance_id": track["id"],
                "category_id": track["category_id"],
                "bbox": [x, y, w, h],
                "segmentation": [[x, y, right, y, right, below, x, below]],
                "area": rounded(w * h),
                "iscrowd": 0,
                **known(score=row.score, state=row.state),
                **measure_json(row),
            }
        )


class _CocoReader:
    """Builds recordings from the lists of a document."""

    def __init__(self, document: JsonFields, name: str) -> None:
        self._document = document
        self._name = name
        self._labels = {c.integer("id"): c.text("name") or "" for c in document.each("categories")}
        self._target_of_track = {
            track.integer("id"): track.integer("target_id")
            for track in document.each("tracks")
            if "target_id" in track
        }

    def recordings(self) -> Iterator[RecordingResults]:
        """Yield the videos that have images, in the order of the document."""
        names: dict[int | None, str] = {}
        for video in self._document.each("videos"):
            names[video.integer("id")] = video.text("name") or f"{self._name}_{video.integer('id')}"
        gatherers: dict[int | None, ResultsGatherer] = {}
        origin = first_frame(self._document)
        places: dict[int, tuple[int | None, int]] = {}
        for image in self._document.each("images"):
            video_id = image.integer("video_id") if "video_id" in image else None
            gatherer = gatherers.setdefault(video_id, ResultsGatherer())
            if "frame_id" not in image and "frame_index" not in image:
                raise FormatError("frame_id or frame_index is missing", where=image.where, hint=_PICTURES)
            index = image.integer("frame_id", "frame_index") - origin
            places[image.integer("id")] = (video_id, index)
            said = {name: image.number(name) for name in ("time_s", "infer_ms")}
            with placed(image.where):
                gatherer.add_frame(index, **said)
                gatherer.add_size(image.picture_size("width", "height"))
        for annotation in self._document.each("annotations"):
            self._add(annotation, gatherers, places)
        if not gatherers:
            raise self._document.error("holds no image")
        for video_id, gatherer in gatherers.items():
            yield gatherer.results(names.get(video_id, self._name))

    def _add(
        self,
        annotation: JsonFields,
        gatherers: dict[int | None, ResultsGatherer],
        places: dict[int, tuple[int | None, int]],
    ) -> None:
        image_id = annotation.integer("image_id")
        if image_id not in places:
            raise annotation.error(f"there is no image {image_id}")
        video_id, frame_index = places[image_id]
        if "track_id" not in annotation and "instance_id" not in annotation:
            raise FormatError("track_id or instance_id is missing", where=annotation.where, hint=_PICTURES)
        track_id = annotation.integer("track_id", "instance_id")
        target_id = self._target_of_track.get(track_id, track_id)
        box, score = annotation.box("bbox"), annotation.number("score")
        with placed(annotation.where):
            state = state_of(annotation.text("state"))
            measure = annotation.measure("measure")
            gatherers[video_id].add(frame_index, target_id, box, score, state, measure)
        category = annotation.integer("category_id") if "category_id" in annotation else None
        label = None if category is None else self._labels.get(category)
        if label and label != DEFAULT_LABEL:
            gatherers[video_id].labels[target_id] = label
