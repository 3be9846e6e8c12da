"""The files of a training run.

`config.json`, `curve.csv`, `validation.csv`, `curve.png`, `checkpoint.pt`.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import torch

from dmtrack.atomic import make_folder, os_errors_translated, whole_file, write_atomically
from dmtrack.errors import CheckpointError, DmtrackError, FormatError, translated
from dmtrack.numbers import real, whole
from dmtrack.output.csv_text import csv_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOGGER = logging.getLogger(__name__)
_CURVE_INCHES = (8.0, 9.0)
_LOSSES = ("loss", "focal", "giou", "l1", "quality")

Columns = dict[str, list[float]]


class RunFolder:
    """A folder owned by one run; every write is atomic or appends a whole line."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._plots = not read_only
        if read_only:
            return
        make_folder(path)

    @property
    def checkpoint_path(self) -> Path:
        """Path of the newest complete checkpoint."""
        return self.path / "checkpoint.pt"

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        if self.read_only:
            return
        text = json.dumps(values, indent=2, default=str) + "\n"
        write_atomically(self.path / "config.json", text.encode())

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write `state` under a temporary name, then rename it: a killed run leaves the previous one."""
        if self.read_only:
            return
        with whole_file(self.checkpoint_path) as file:
            kept = _ErrorKeeper(file)
            try:
                torch.save(dict(state), cast(IO[bytes], kept))
            except RuntimeError:  # torch does not pass on the system's error, such as a full disk
                if kept.error is None:
                    raise
                raise kept.error from None

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the newest checkpoint, or None if the run has none; `CheckpointError` if it is damaged."""
        if not self.checkpoint_path.exists():
            return None
        with translated(CheckpointError, "damaged checkpoint", where=self.checkpoint_path):
            state: object = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict):
                raise CheckpointError("damaged checkpoint (it holds no state)")
            return state

    def append_row(self, name: str, row: Mapping[str, float | int | str]) -> None:
        """Append one line to the table `name`, with a header if the file is new."""
        if self.read_only:
            return
        path = self.path / name
        text = csv_text([[f"{v:.6g}" if isinstance(v, float) else v for v in row.values()]])
        with os_errors_translated(path), path.open("ab", buffering=0) as file:
            whole = file.seek(0, os.SEEK_END)
            lines = (text if whole else csv_text([list(row)]) + text).encode()
            try:
                while lines:
                    lines = lines[file.write(lines) :]
            except OSError:
                file.truncate(whole)
                raise

    def cut_rows(self, name: str, first_step: int) -> None:
        """Drop rows from `first_step` on, which a resumed run writes again."""
        path = self.path / name
        if self.read_only or not path.exists():
            return
        with translated(FormatError, "is no table of a training", where=path):
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = lines[:1] + [line for line in lines[1:] if whole(line.split(",", 1)[0]) < first_step]
        write_atomically(path, "".join(kept).encode())

    def plot_curves(self) -> None:
        """Draw `curve.png` from the tables; if that fails, warn once and go on."""
        if not self._plots:
            return
        try:
            draw_curves(self.path)
        except DmtrackError as error:
            _LOGGER.warning("curve.png is not drawn: %s", error)
            self._plots = False


class _ErrorKeeper:
    """A file for torch that keeps the system's error, which torch does not pass on."""

    def __init__(self, file: BinaryIO) -> None:
        self.error: OSError | None = None
        self._file = file

    def write(self, data: bytes) -> int:
        rest, written = memoryview(data).cast("B"), 0
        try:
            while written < len(rest):
                written += self._file.write(rest[written:])
        except OSError as error:
            self.error = error
            raise
        return written

    def flush(self) -> None:
        self._file.flush()


def draw_curves(folder: Path) -> None:
    """Write `curve.png` in a run folder, unless `curve.csv` has no row yet.

    `FormatError`: `curve.csv` lacks a column; `OutputError`: the picture cannot be written.
    """
    from matplotlib.figure import Figure

    curve = read_columns(folder / "curve.csv")
    if not curve.get("step"):
        return
    missing = {"iou", "learning_rate", *_LOSSES} - curve.keys()
    if missing:
        raise FormatError(f"has no column {', '.join(sorted(missing))}", where=folder / "curve.csv")
    figure = Figure(figsize=_CURVE_INCHES, layout="constrained")
    losses, overlap, rate = figure.subplots(3, 1, sharex=True)
    _lines(losses, curve, _LOSSES)
    losses.set(yscale="log", ylabel="loss")
    _lines(overlap, curve, ("iou",), label="training samples")
    _validation(overlap, read_columns(folder / "validation.csv"))
    overlap.set(ylabel="IoU", ylim=(0, 1))
    _lines(rate, curve, ("learning_rate",))
    rate.set(ylabel="learning rate", xlabel="step")
    for axes in (losses, overlap, rate):
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="best")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_atomically(folder / "curve.png", picture.getvalue())


def read_columns(path: Path) -> Columns:
    """Read a table of numbers by column; empty if the file is missing, without incomplete rows."""
    if not path.exists():
        return {}
    with (
        translated(FormatError, "is no table of a training", where=path),
        path.open(newline="", encoding="utf-8") as file,
    ):
        reader = csv.DictReader(file)
        columns: Columns = {name: [] for name in reader.fieldnames or ()}
        for row in reader:
            with suppress(ValueError, AttributeError):
                numbers = {name: real(row[name]) for name in columns}
                for name, number in numbers.items():
                    columns[name].append(number)
    return columns


def _lines(axes: Axes, columns: Columns, names: Iterable[str], label: str | None = None) -> None:
    for name in names:
        axes.plot(columns["step"], columns[name], label=label or name.replace("_", " "), linewidth=1)


def _validation(axes: Axes, columns: Columns) -> None:
    """Plot the mean IoU of the validated steps, with the best one in the label."""
    scores = columns.get("mean_iou")
    if not scores:
        return
    best = max(range(len(scores)), key=scores.__getitem__)
    label = f"real clips (best {scores[best]:.3f} at step {columns['step'][best]:.0f})"
    axes.plot(columns["step"], scores, "o-", label=label, linewidth=1, markersize=4)
