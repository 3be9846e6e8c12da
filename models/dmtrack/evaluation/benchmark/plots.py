"""Precision and success plots of all trackers, as PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from dmtrack.evaluation.benchmark.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE_INCHES: Final = (6.4, 4.6)
_MOST_IN_LEGEND: Final = 16
_STYLES: Final = ("-", "--", "-.", ":")
_COLOURS: Final = ("#0b5fa5", "#d1495b", "#2e8540", "#8a5a00", "#6b4c9a", "#00798c", "#c2572b", "#4a4a4a")


class Plot(NamedTuple):
    """One plot as the files it becomes."""

    name: str
    png: bytes
    svg: str


def draw_plots(evaluation: Evaluation) -> Iterator[Plot]:
    """Draw a plot for every curve of the benchmark, with a line a tracker, the best first."""
    names = [curve.name for curve in evaluation.trackers[0].curves]
    for number, name in enumerate(names):
        figure = _figure(evaluation, number)
        yield Plot(name, _saved(figure, "png"), _saved(figure, "svg").decode())


def _figure(evaluation: Evaluation, number: int) -> Figure:
    from matplotlib.figure import Figure  # takes half a second

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    trackers = sorted(evaluation.trackers, key=lambda tracker: -tracker.curves[number].figure)
    for place, tracker in enumerate(trackers):
        curve = tracker.curves[number]
        label = f"{tracker.name} [{100 * curve.figure:.1f}]" if place < _MOST_IN_LEGEND else "_"
        style = _STYLES[place // len(_COLOURS) % len(_STYLES)]
        axes.plot(curve.x, curve.y, style, color=_COLOURS[place % len(_COLOURS)], label=label, linewidth=1.8)
    first = trackers[0].curves[number]
    axes.set(
        xlabel=first.x_label, ylabel=first.y_label, ylim=(0, 1), xlim=(0, max(1e-9, float(first.x.max())))
    )
    axes.set_title(f"{evaluation.benchmark.title}: {first.name.replace('_', ' ')}", fontsize=11)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=8, loc="lower right" if "error" in first.x_label else "lower left", framealpha=0.9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _saved(figure: Figure, kind: str) -> bytes:
    from matplotlib import rc_context

    data = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dmtrack"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(data, format=kind, dpi=150, metadata=metadata)
    return data.getvalue()
