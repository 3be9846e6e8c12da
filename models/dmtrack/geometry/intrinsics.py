"""`Intrinsics`: the pinhole parameters of the RGB camera, read from many kinds of calibration files.

Read are: JSON of RealSense (`fx, fy, ppx, ppy`), Open3D, Record3D (`metadata`) and Azure Kinect, also with
the camera in an object of its own (`{"color": {...}}`); YAML of OpenCV, ROS (`camera_info`, calibration
files) and Kalibr; and text: `fx fy cx cy` as in TUM's `calib.txt`, or a matrix of 3x3 or 4x4 numbers. Lens
distortion is ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dmtrack.errors import ConfigError, FormatError, translated
from dmtrack.geometry.homography import Size
from dmtrack.numbers import file_text, finite, json_value

BESIDE: Final = (
    *("intrinsics.json", "intrinsics.txt", "intrinsics.yaml", "camera_intrinsics.json", "camera_info.yaml"),
    *("camera_intrinsic.json", "camera-intrinsics.txt", "camera_matrix.csv", "calib.txt", "metadata"),
)
"""Names looked for in the folder of the RGB stream, and beside it if the stream is a folder of pictures."""
_LARGEST_BYTES: Final = 1 << 24  # Record3D writes a camera pose for each frame into the same file
_LARGEST: Final = 1e6
_SAME_SHAPE: Final = 0.01
_HINT: Final = "write `fx fy cx cy` in pixels, or give a camera_info, a RealSense, Record3D or OpenCV file"
_AZURE_SHAPE: Final = 4 / 3
"""Azure Kinect's numbers are shares of the sensor; its wide pictures cut off the top and bottom of it."""
_RGB_NAMES: Final = ("color", "rgb", "colour", "left", "cam0")
_FREIBURG: Final = {
    "1": (517.3, 516.5, 318.6, 255.3),
    "2": (520.9, 521.0, 325.1, 249.7),
    "3": (535.4, 539.2, 320.1, 247.6),
}
"""Source: the TUM RGB-D benchmark's page on its file formats, intrinsics of the colour cameras."""
_MATRIX_NAMES: Final = ("camera_matrix", "intrinsic_matrix", "intrinsics", "camera_intrinsics", "K", "k")
_DECIMAL_COMMA: Final = re.compile(r"^([-+]?\d+),(\d+(?:[eE][-+]?\d+)?)$")
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?"


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera; pixel centres lie at whole numbers, the top left one at 0, 0.

    Attributes:
        fx: Horizontal focal length in px.
        fy: Vertical focal length in px.
        cx: Column of the principal point in px.
        cy: Row of the principal point in px.
        size: Width and height of the pictures they are for; None: of the pictures at hand.
        is_cut: Whether wider pictures are cut from those of `size` above and below, not stretched.
        path: The file they were read from.

    Raises:
        FormatError: No camera has such numbers.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    size: Size | None = None
    is_cut: bool = False
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        numbers = (self.fx, self.fy, self.cx, self.cy)
        is_camera = all(map(math.isfinite, numbers)) and min(self.fx, self.fy) > 0
        if not is_camera or max(map(abs, numbers)) > _LARGEST:
            raise FormatError(f"fx, fy, cx, cy of {numbers} are no camera's", hint=_HINT)

    def for_size(self, size: Size) -> Intrinsics:
        """Return the intrinsics for pictures of another size with the same aspect ratio.

        Raises:
            ConfigError: They have another aspect ratio.
        """
        if self.size is None or self.size == size:
            return replace(self, size=size)
        factor = size[0] / self.size[0]
        over = factor * self.size[1] - size[1]
        if abs(over) > _SAME_SHAPE * size[1] and not (self.is_cut and over > 0):
            shapes = [f"{width}x{height}" for width, height in (self.size, size)]
            raise ConfigError(
                f"the intrinsics are for pictures of {shapes[0]}, these are {shapes[1]}", where=self.path
            )
        return Intrinsics(
            factor * self.fx,
            factor * self.fy,
            factor * (self.cx + 0.5) - 0.5,
            factor * (self.cy + 0.5) - 0.5 - max(0.0, over if self.is_cut else 0.0) / 2,
            size,
            path=self.path,
        )

    def position_m(self, x: float, y: float, depth_m: float) -> tuple[float, float, float]:
        """Return the position of a pixel: to the right, down and ahead of the camera, in metres.

        Args:
            x: Its column, with the edge of the first pixel at 0.
            y: Its row, likewise.
            depth_m: Distance ahead, in metres.
        """
        across, down = (x - 0.5 - self.cx) / self.fx, (y - 0.5 - self.cy) / self.fy
        return across * depth_m, down * depth_m, depth_m


def read_intrinsics(path: Path | str) -> Intrinsics:
    """Read a file of intrinsics.

    Raises:
        FormatError: It cannot be read, or holds none.
    """
    path = Path(path)
    with translated(FormatError, "cannot be read as intrinsics of a camera", where=path, hint=_HINT):
        if path.stat().st_size > _LARGEST_BYTES:
            raise FormatError("is too large for intrinsics", hint=_HINT)
        return replace(parsed_intrinsics(file_text(path)), path=path)


def parsed_intrinsics(text: str) -> Intrinsics:
    """Return the intrinsics in a text (JSON, YAML or numbers); `FormatError` if it holds none."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return of_document(json_value(text))
        except ValueError as error:
            raise FormatError(f"is {error}", hint=_HINT) from None
    return _of_yaml(text) or _of_text(text)


def intrinsics_near(rgb: Path) -> tuple[Intrinsics | None, tuple[FormatError, ...]]:
    """Return the intrinsics in a file beside an RGB stream, or those published for a TUM recording, or None.

    Also returned are the errors of files with such names that were skipped.
    """
    folders = [rgb, rgb.parent] if rgb.is_dir() else [rgb.parent]
    passed: list[FormatError] = []
    for path in (folder / name for folder in folders for name in BESIDE):
        if path.exists() and not path.is_dir():
            try:
                return read_intrinsics(path), tuple(passed)
            except FormatError as error:  # other programs use this name too
                passed.append(error)
    match = re.search(r"freiburg([123])(?![0-9])", str(rgb.absolute()))
    return Intrinsics(*_FREIBURG[match[1]], size=(640, 480)) if match else None, tuple(passed)


def of_numbers(values: Sequence[float], size: Size | None = None) -> Intrinsics:
    """Return the intrinsics of fx, fy, cx, cy, or of a 3x3 or 4x4 matrix, by rows or by columns.

    `FormatError`: they are not a camera's.
    """
    if len(values) == 4:
        fx, fy, cx, cy = values
        return Intrinsics(fx, fy, cx, cy, size)
    side = {9: 3, 16: 4}.get(len(values), 0)
    rows = [list(values[start : start + side]) for start in range(0, len(values), side or 1)]
    if side and not rows[0][2] and not rows[1][2] and (rows[2][0] or rows[2][1]):
        rows = [list(column) for column in zip(*rows, strict=True)]
    if not side or rows[2][:3] != [0, 0, 1] or rows[1][0]:
        raise FormatError("says no fx, fy, cx, cy, and no matrix fx 0 cx, 0 fy cy, 0 0 1", hint=_HINT)
    return Intrinsics(rows[0][0], rows[1][1], rows[0][2], rows[1][2], size)


def of_document(document: object) -> Intrinsics:
    """Return the intrinsics in a JSON document, preferably RGB's; `FormatError` if it holds none."""
    for camera in _cameras(document):
        found = _of_fields(camera)
        if found is not None:
            return found
    raise FormatError("says no fx, fy, cx, cy, and no camera matrix", hint=_HINT)


def _cameras(document: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the objects of a document, outer before inner ones, and those named like RGB first."""
    if isinstance(document, dict):
        yield document
        names = sorted(document, key=lambda name: not str(name).lower().startswith(_RGB_NAMES))
        inner = [document[name] for name in names]
    else:
        inner = document if isinstance(document, list) else []
    if depth < 6:
        for one in inner:
            yield from _cameras(one, depth + 1)


def _of_fields(camera: dict[str, Any]) -> Intrinsics | None:
    size, inner = _size(camera), camera.get("Intrinsics")
    if isinstance(inner, dict) and "ModelParameters" in inner:
        return _of_azure(camera)
    for names in (("fx", "fy", "cx", "cy"), ("fx", "fy", "ppx", "ppy")):
        if numbers := _numbers([camera.get(name) for name in names]):
            return of_numbers(numbers, size)
    for name in _MATRIX_NAMES:
        value = camera.get(name)
        if numbers := _numbers(value.get("data") if isinstance(value, dict) else value):
            return of_numbers(numbers, size)
    return None


def _numbers(value: object) -> list[float]:
    """Return the numbers in a list or a list of lists; empty if it holds anything else."""
    if not isinstance(value, list):
        return []
    cells = [cell for row in value for cell in (row if isinstance(row, list) else [row])]
    are_numbers = all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
    return [float(cell) for cell in cells] if are_numbers else []


def _of_azure(camera: dict[str, Any]) -> Intrinsics | None:
    """Return the colour camera of Azure Kinect's calibration, whose numbers are shares of width and height.

    Source: Azure Kinect sensor SDK, calibration of raw recordings (cx, cy, fx, fy come first).
    """
    numbers, width = _numbers(camera["Intrinsics"]["ModelParameters"]), camera.get("SensorWidth")
    if "PhotoVideo" not in str(camera.get("Purpose")) or len(numbers) < 4 or not isinstance(width, int):
        return None
    cx, cy, fx, fy = numbers[:4]
    height = round(width / _AZURE_SHAPE)
    size = (width, height)
    return Intrinsics(fx * width, fy * height, cx * width - 0.5, cy * height - 0.5, size, is_cut=True)


def _size(camera: dict[str, Any]) -> Size | None:
    for names in (("width", "height"), ("image_width", "image_height"), ("w", "h")):
        width, height = (camera.get(name) for name in names)
        if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
            return width, height
    return None


def _of_yaml(text: str) -> Intrinsics | None:
    """Return the matrix in a YAML text: a known name with numbers in brackets, or in lines with dashes."""
    for name in _MATRIX_NAMES:
        listed = rf"(\[[^\]]*\]|(?:\n[ \t]*- +{_NUMBER})+)"
        found = re.search(rf"(?m)^[ \t]*{name}[ \t]*:[^\[]{{0,200}}?{listed}", text)
        if found is not None:
            sides = [
                re.search(rf"(?m)^[ \t]*(?:image_)?{side}[ \t]*:[ \t]*([1-9]\d{{0,5}})[ \t]*$", text)
                for side in ("width", "height")
            ]
            size = (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None
            return of_numbers([float(word) for word in re.findall(_NUMBER, found[1])], size)
    return None


def _of_text(text: str) -> Intrinsics:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    rows = [[finite(word) for word in _words(line)] for line in lines if line]
    numbers = [value for row in rows for value in row]
    is_matrix = len(rows) > 1 or (len(numbers) in (9, 16) and numbers[1] == 0)
    return of_numbers(numbers if is_matrix else numbers[:4])


def _words(line: str) -> list[str]:
    """Split a line into numbers; a comma within one of several words is decimal: `500,5 500,5 240 180`."""
    words = re.split(r",?[;\s]+", line)
    if len(words) > 1:
        words = [_DECIMAL_COMMA.sub(r"\1.\2", word) for word in words]
    return re.split(r"[,\s]+", " ".join(words))
