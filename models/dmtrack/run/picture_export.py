"""Data sets from results: pictures of both streams, aligned, with the tracked and corrected boxes.

    dataset   a folder for each target, in the layout of the data set of its sensor:
              LasHeR      visible/ infrared/     init.txt visible.txt infrared.txt
              DepthTrack  color/ depth/          groundtruth.txt (colour as JPEG: its readers need that)
              VisEvent    vis_imgs/ event_imgs/  groundtruth.txt absent_label.txt (1: the target is visible)
    yolo      a folder for each recording: images/rgb and images/second with the same names, frames from 1,
              labels/rgb and labels/second, data.yaml; Ultralytics finds labels by replacing `images`
    crops     a folder for each recording: crops/ID/000012_rgb.png and 000012_aux.png, frames from 0

Pictures of the second stream hold the camera's counts (16 bits stay 16 bits, depth is in millimetres), mapped
onto the RGB grid by nearest neighbour, as the tracker saw them. Where RGB has no partner, the previous
picture is repeated. A data set begins where its target was first given. Frames in which a target is lost
count as absent, and are left out of detector sets and crops.
"""

from __future__ import annotations

import math
import os
import shutil
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, cast

import cv2
import numpy as np

from dmtrack.atomic import (
    inputs_kept,
    make_folder,
    os_errors_translated,
    scratch_folder,
    utf8,
    write_atomically,
)
from dmtrack.boxes.formats.mot import decimal_text, format_box
from dmtrack.boxes.results import DEFAULT_LABEL
from dmtrack.boxes.writing import file_name, refuse_twins
from dmtrack.errors import FormatError, OutputError
from dmtrack.geometry.box import Box
from dmtrack.geometry.crop import rectangle
from dmtrack.options import Option, make_exact
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.inputs import open_inputs, with_streams
from dmtrack.tracking.result import TrackedBox, TrackState
from dmtrack.video.frame import FramePair, Modality, Pixels
from dmtrack.video.pairing import PairedSource
from dmtrack.video.pictures.picture_file import encoded_picture
from dmtrack.video.second.aux_encoder import fine_heat, scaled_depth
from dmtrack.video.second.grid import counts_on_grid

_LEVELS: Final = {".jpg": 97, ".png": 1}  # JPEG quality; PNG compression, which is fast at 1
_PNG_HEADER: Final = 33
_CHUNK: Final = b"tEXtSoftware\0dmtrack"
_SIGNATURE: Final = (len(_CHUNK) - 4).to_bytes(4, "big") + _CHUNK + zlib.crc32(_CHUNK).to_bytes(4, "big")
"""A PNG chunk after the header of every picture: an export may only replace what an export has written."""
_ABSENT: Final = {Modality.DEPTH: "nan,nan,nan,nan"}
_NOWHERE: Final = "0,0,0,0"


class PictureFormat(StrEnum):
    """A format of export that holds pictures."""

    DATASET = "dataset"
    YOLO = "yolo"
    CROPS = "crops"


@dataclass(frozen=True, slots=True)
class CropOptions:
    """Which crops are made, and their size."""

    every: Annotated[
        int, Option("--every", "crops: write every Nth frame of a target.", metavar="N", least=1)
    ] = 1
    side_px: Annotated[
        int | None,
        Option(
            "--size",
            "Side of crops: squares around the middle of the box, as wide as its longer side, brought to it. "
            "Default: the box, as large as it is.",
            least=8,
            most=1024,
        ),
    ] = None

    def __post_init__(self) -> None:
        make_exact(self)


ALL_CROPS: Final = CropOptions()


@dataclass(frozen=True, slots=True)
class PicturesExported:
    """The result of an export of pictures."""

    # The folders written, one for each target (`dataset`) or recording (`yolo`, `crops`)
    folders: tuple[Path, ...]
    pictures: int  # number of frames with pictures
    held: int  # frames without a partner in the second stream, whose previous picture is repeated
    lost: int  # frames in which a target was lost: absent in a data set, else left out


@dataclass(frozen=True, slots=True)
class _SetStyle:
    """Names of folders and files in the layout of a data set."""

    rgb: str
    aux: str
    truths: tuple[str, ...]
    flags: str | None = None
    suffix: str = ".png"


_STYLES: Final = {
    Modality.THERMAL: _SetStyle("visible", "infrared", ("visible.txt", "infrared.txt")),
    Modality.DEPTH: _SetStyle("color", "depth", ("groundtruth.txt",), suffix=".jpg"),
    Modality.EVENT: _SetStyle("vis_imgs", "event_imgs", ("groundtruth.txt",), "absent_label.txt"),
}


def export_pictures(
    results: Sequence[Path],
    output: Path,
    target: PictureFormat,
    *,
    label: str | None = None,
    crops: CropOptions = ALL_CROPS,
    overwrite: bool = False,
    on_frame: Callable[[], object] = lambda: None,
) -> PicturesExported:
    """Write the recordings of results as a data set.

    A folder appears once it is complete; folders that are complete before an error stay.

    `results` are results folders of runs, or folders of them; the recordings must be where they were tracked.
    `output` gets a folder for each target or recording. `label` is for `yolo`, `crops` for `crops`.
    `InputError`: results, or their recording, cannot be read; `OutputError`: a folder exists, holds an input
    or other files than an export's, or cannot be written.
    """
    runs = EarlierRun.read_all(results)
    refuse_twins(path for run in runs for path in _folders(run, output, target))
    done = PicturesExported((), 0, 0, 0)
    for run in runs:
        one = _exported(run, output, target, label or DEFAULT_LABEL, crops, on_frame, overwrite=overwrite)
        done = PicturesExported(
            done.folders + one.folders,
            done.pictures + one.pictures,
            done.held + one.held,
            done.lost + one.lost,
        )
    return done


def _ids(run: EarlierRun) -> list[int]:
    return sorted({target_id for rows in run.rows.boxes.values() for target_id in rows})


def _folders(run: EarlierRun, output: Path, target: PictureFormat) -> list[Path]:
    """Return the folders of a run: one for each target in a data set, else one."""
    name, ids = file_name(run.folder.absolute().name), _ids(run)
    if target is not PictureFormat.DATASET or ids in ([], [1]):
        return [output / name]
    return [output / f"{name}_id{target_id}" for target_id in ids]  # as files of one target are named, too


def _exported(
    run: EarlierRun,
    output: Path,
    target: PictureFormat,
    label: str,
    crops: CropOptions,
    on_frame: Callable[[], object],
    *,
    overwrite: bool,
) -> PicturesExported:
    ids = _ids(run)
    if not ids:
        raise FormatError("holds no box", where=run.folder)
    request, _ = with_streams(run.request)
    name = file_name(run.folder.absolute().name)
    with inputs_kept(request.rgb, request.aux), ExitStack() as stack, open_inputs(request) as pairs:
        if pairs.modality is None and target is not PictureFormat.CROPS:
            raise FormatError("has one stream, but this data set needs two", where=run.folder)
        clips: list[_Clip] = []
        finals = []
        targets = ids if target is PictureFormat.DATASET else [0]
        for target_id, final in zip(targets, _folders(run, output, target), strict=True):
            real = os.path.realpath(final)  # not `Path.resolve`, which may fail on a loop of links
            for given in (request.rgb, request.aux, run.folder):
                if given is not None and Path(given).resolve().is_relative_to(real):
                    raise OutputError("contains an input, which would be destroyed", where=final)
            finals.append(final)
            scratch = stack.enter_context(_renamed_when_complete(final, target, overwrite=overwrite))
            if target is PictureFormat.CROPS:
                clips.append(_CropClip(scratch, crops, pairs.modality))
            elif target_id and pairs.modality is not None:
                clips.append(_SetClip(scratch, target_id, pairs.modality))
            else:
                clips.append(_YoloClip(scratch, name, label))
        count, held = _write(run, pairs, clips, on_frame)
        for clip in clips:
            clip.finish()
    return PicturesExported(tuple(finals), count, held, sum(clip.lost for clip in clips))


def _write(
    run: EarlierRun, pairs: PairedSource, clips: Sequence[_Clip], on_frame: Callable[[], object]
) -> tuple[int, int]:
    """Write every pair to the clips; return the number of pairs, and of those without a partner."""
    count = held = 0
    last = max(run.rows.boxes)
    second: Pixels | None = None
    for pair in pairs:
        on_frame()
        if pair.rgb.index > last:
            break
        count, held = count + 1, held + (pair.aux is None and pairs.modality is not None)
        if pair.aux is not None:
            second = _second(pair, pairs)
        elif second is None:
            second = np.zeros(pair.rgb.pixels.shape[:2], np.uint8)
        rows = run.rows.boxes.get(pair.rgb.index, {})
        for clip in clips:
            clip.take(pair.rgb.index, pair.rgb.pixels, second, rows)
    return count, held


def _second(pair: FramePair, pairs: PairedSource) -> Pixels:
    """Return the second camera's counts on the RGB grid."""
    if pair.aux is None or pairs.modality is None:
        raise ValueError("there is no second picture")
    pixels, scale_mm = pair.aux.pixels, pairs.encoding.depth_scale_mm
    if pairs.modality is Modality.DEPTH and scale_mm not in (None, 1):
        pixels = scaled_depth(pixels, scale_mm)
    elif pairs.modality is Modality.THERMAL:
        pixels = fine_heat(pixels, None if pair.gauge is None else pair.gauge.meaning)
    return counts_on_grid(pixels, pairs.pairing.to_grid, pairs.rgb_info.size, pairs.modality)


@dataclass(slots=True)
class _Clip(ABC):
    """A folder of a data set while it is written."""

    folder: Path  # where it is written
    lost: int = field(default=0, init=False)  # frames so far in which a target was lost
    count: int = field(default=0, init=False)

    @abstractmethod
    def take(self, index: int, rgb: Pixels, aux: Pixels, rows: dict[int, TrackedBox]) -> None:
        """Write the pair of a frame, if it belongs to the clip."""

    @abstractmethod
    def finish(self) -> None:
        """Write the boxes."""

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        make_folder((self.folder / name).parent)
        write_atomically(self.folder / name, utf8(text), durable=False)

    def picture(self, name: str, pixels: Pixels) -> None:
        """Write a picture; a PNG with our signature."""
        suffix = Path(name).suffix
        data = encoded_picture(pixels, suffix, _LEVELS[suffix])
        if name.endswith(".png"):
            data = data[:_PNG_HEADER] + _SIGNATURE + data[_PNG_HEADER:]
        make_folder((self.folder / name).parent)
        write_atomically(self.folder / name, data, durable=False)


@dataclass(slots=True)
class _SetClip(_Clip):
    """One target in the layout of a tracking data set."""

    target_id: int
    modality: Modality
    boxes: list[str] = field(default_factory=list)

    def take(self, index: int, rgb: Pixels, aux: Pixels, rows: dict[int, TrackedBox]) -> None:
        row = rows.get(self.target_id)
        is_lost = row is not None and row.state in (TrackState.LOST, TrackState.ABSENT)
        if not self.boxes and (row is None or is_lost):
            return
        self.lost += is_lost
        style, self.count = _STYLES[self.modality], self.count + 1
        absent = _ABSENT.get(self.modality, _NOWHERE)
        self.boxes.append(absent if row is None or is_lost else format_box(row.box))
        suffix = style.suffix if rgb.dtype == np.uint8 else ".png"
        self.picture(f"{style.rgb}/{self.count:08d}{suffix}", rgb)
        self.picture(f"{style.aux}/{self.count:08d}.png", aux)

    def finish(self) -> None:
        if not self.boxes:
            raise FormatError(f"target {self.target_id} is sure in no frame", where=self.folder.name)
        style = _STYLES[self.modality]
        for name in style.truths:
            self.text(name, "".join(f"{box}\n" for box in self.boxes))
        if self.modality is Modality.THERMAL:
            self.text("init.txt", f"{self.boxes[0]}\n")
        if style.flags:
            self.text(style.flags, "".join(f"{int(box != _NOWHERE)}\n" for box in self.boxes))


@dataclass(slots=True)
class _YoloClip(_Clip):
    """All targets of a recording, for detectors."""

    name: str
    label: str

    def take(self, index: int, rgb: Pixels, aux: Pixels, rows: dict[int, TrackedBox]) -> None:
        if any(row.state is TrackState.LOST for row in rows.values()):
            self.lost += 1
            return
        height, width = rgb.shape[:2]
        stem, lines = f"{self.name}_{index + 1:08d}", []
        for row in rows.values():
            x1, y1, x2, y2 = (
                min(max(side, 0.0), most) / most
                for side, most in zip(row.box.xyxy, (width, height) * 2, strict=True)
            )
            if x2 > x1 and y2 > y1:
                shares = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
                lines.append(f"0 {' '.join(decimal_text(share, 8) for share in shares)}\n")
        for stream, pixels in (("rgb", rgb), ("second", aux)):  # Windows has no folder `aux`
            self.picture(f"images/{stream}/{stem}.png", pixels)
            self.text(f"labels/{stream}/{stem}.txt", "".join(lines))

    def finish(self) -> None:
        quoted = self.label.replace("'", "''")
        self.text(
            "data.yaml",
            "# images/second holds the second stream of every picture in images/rgb, under the same name\n"
            f"train: images/rgb\nval: images/rgb\nnames:\n  0: '{quoted}'\n",
        )


@dataclass(slots=True)
class _CropClip(_Clip):
    """Crops of all targets of a recording, with the same pixels in both streams."""

    options: CropOptions
    modality: Modality | None
    first: dict[int, int] = field(default_factory=dict)

    def take(self, index: int, rgb: Pixels, aux: Pixels, rows: dict[int, TrackedBox]) -> None:
        in_sight = [row for row in rows.values() if row.state not in (TrackState.LOST, TrackState.ABSENT)]
        self.lost += len(in_sight) < len(rows)
        for row in in_sight:
            begun = self.first.setdefault(row.target_id, row.frame_index)
            if (row.frame_index - begun) % self.options.every:
                continue
            for stream, pixels in (("rgb", rgb), ("aux", aux)):
                cut = self._cut(pixels, row.box, is_depth=(stream, self.modality) == ("aux", Modality.DEPTH))
                if cut is not None and (stream == "rgb" or self.modality is not None):
                    self.picture(f"crops/{row.target_id}/{row.frame_index:06d}_{stream}.png", cut)
                    self.count += 1

    def _cut(self, pixels: Pixels, box: Box, *, is_depth: bool) -> Pixels | None:
        """Return the pixels in a box, black outside the picture; None if the box lies wholly outside.

        Depth is resized by nearest neighbour: the mean of two distances is a place where nothing is.
        """
        height, width = pixels.shape[:2]
        x1, y1, x2, y2 = box.xyxy
        left, top = max(0, math.floor(x1)), max(0, math.floor(y1))
        seen = pixels[top : max(0, math.ceil(y2)), left : max(0, math.ceil(x2))]
        wanted = self.options.side_px
        if wanted is None or not seen.size:
            return seen if seen.size else None
        side = min(math.ceil(max(box.w, box.h)), 2 * max(width, height))
        square = rectangle(pixels, round(box.cx - side / 2), round(box.cy - side / 2), side, side)
        method = cv2.INTER_AREA if wanted < side else cv2.INTER_LINEAR
        method = cv2.INTER_NEAREST if is_depth else method
        return cast(Pixels, cv2.resize(square, (wanted, wanted), interpolation=method))

    def finish(self) -> None:
        if not self.count:
            raise FormatError("no target is in sight", where=self.folder.name)


_SCRATCH: Final = f".part-{os.getpid()}"
_OUTPUT_NAMES: Final[dict[PictureFormat, set[str | None]]] = {
    PictureFormat.DATASET: {
        "init.txt",
        *(name for one in _STYLES.values() for name in (one.rgb, one.aux, one.flags, *one.truths)),
    },
    PictureFormat.YOLO: {"images", "labels", "data.yaml"},
    PictureFormat.CROPS: {"crops"},
}


def _is_earlier_export(final: Path, target: PictureFormat) -> bool:
    """Return whether a folder holds the output of an export as `target`, and nothing else.

    Names do not tell, for other data sets use the same ones; the signature in the pictures does.
    """
    names = {one.name for one in final.iterdir()} if final.is_dir() else {""}
    picture = next((one for one in final.rglob("*.png") if one.is_file()), None)
    is_signed = picture is not None and _SIGNATURE in picture.read_bytes()
    return names <= _OUTPUT_NAMES[target] and (not names or is_signed)


@contextmanager
def _renamed_when_complete(final: Path, target: PictureFormat, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `final` at the end of the block, or removed if it fails.

    `OutputError` if `final` exists: without `overwrite` whatever it is, with it unless it is an earlier
    export.
    """
    with os_errors_translated(final):
        is_there = final.exists()
    if is_there and not overwrite:
        hint = "give --overwrite or another output folder"
        raise OutputError("this result exists already", where=final, hint=hint)
    if is_there and not _is_earlier_export(final, target):
        raise OutputError(
            f"holds more than an earlier export as {target}", where=final, hint="choose another output folder"
        )
    with scratch_folder(make_folder(final.parent) / f".{final.name}{_SCRATCH}") as scratch:
        yield scratch
        with os_errors_translated(final):
            if final.exists():
                shutil.rmtree(final)
            scratch.rename(final)
