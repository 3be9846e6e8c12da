"""One picture of how a run goes: `curve.png`, from `curve.csv` and `validation.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dmtrack.output.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (8.0, 9.0)
_LOSSES = ("loss", "focal", "giou", "l1", "quality")

Columns = dict[str, list[float]]


def draw_curves(folder: Path) -> None:
    """Write `curve.png` of a run folder; nothing is written before the first row of `curve.csv`.

    Raises:
        KeyError: `curve.csv` lacks a column.
        OutputError: The picture cannot be written.
    """
    from matplotlib.figure import Figure

    curve = read_columns(folder / "curve.csv")
    if not curve.get("step"):
        return
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
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
    """Read a table of numbers by column; a missing file is empty, a torn row is left out."""
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns: Columns = {name: [] for name in reader.fieldnames or ()}
        for row in reader:
            with suppress(ValueError, TypeError):
                numbers = {name: float(row[name]) for name in columns}
                for name, number in numbers.items():
                    columns[name].append(number)
    return columns


def _lines(axes: Axes, columns: Columns, names: Iterable[str], label: str | None = None) -> None:
    for name in names:
        axes.plot(columns["step"], columns[name], label=label or name.replace("_", " "), linewidth=1)


def _validation(axes: Axes, columns: Columns) -> None:
    """Mark the validated steps, the best one by name."""
    scores = columns.get("mean_iou")
    if not scores:
        return
    best = max(range(len(scores)), key=scores.__getitem__)
    label = f"real clips (best {scores[best]:.3f} at step {columns['step'][best]:.0f})"
    axes.plot(columns["step"], scores, "o-", label=label, linewidth=1, markersize=4)
