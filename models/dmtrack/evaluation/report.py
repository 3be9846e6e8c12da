"""One HTML file that says it all: ranking, curves, attributes, every sequence, the worst with pictures.

Nothing is loaded from elsewhere, so that the file can be mailed and opened years later.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Final, NamedTuple

from dmtrack.drawing.draw import PALETTE
from dmtrack.evaluation.comparison import Comparison, largest
from dmtrack.evaluation.worst_sequences import WorstSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dmtrack.evaluation.evaluation import Evaluation


_LARGEST: Final = 10
_FULL_COLUMNS_UP_TO: Final = 2
_SIZE_INCHES: Final = (6.4, 4.6)
_MOST_IN_LEGEND: Final = 16
_STYLES: Final = ("-", "--", "-.", ":")
_COLOURS: Final = ("#0b5fa5", "#d1495b", "#2e8540", "#8a5a00", "#6b4c9a", "#00798c", "#c2572b", "#4a4a4a")


class Plot(NamedTuple):
    """One plot as the files it becomes."""

    name: str
    png: bytes
    svg: str


def report_html(evaluation: Evaluation, plots: Sequence[Plot], worst: Sequence[WorstSequence]) -> str:
    """Return the report.

    Args:
        evaluation: The trackers, the best first.
        plots: As `draw_plots` draws them.
        worst: Sequences with pictures; none where there are no pictures.
    """
    template = resources.files("dmtrack.evaluation").joinpath("report.html")
    count = len(evaluation.data.sequences)
    who = (
        evaluation.trackers[0].name
        if len(evaluation.trackers) == 1
        else f"{len(evaluation.trackers)} trackers"
    )
    return Template(template.read_text(encoding="utf-8")).substitute(
        title=_text(f"{evaluation.benchmark.title}: {who}, {count} sequences"),
        note=_text(f"Ground truth: {evaluation.source}. Figures in percent; made by dmtrack evaluate."),
        problems=_problems(evaluation),
        ranking=_ranking(evaluation),
        comparison="" if evaluation.comparison is None else _comparison(evaluation, evaluation.comparison),
        plots=_plots(plots),
        attributes=_attributes(evaluation),
        sequences=_sequences(evaluation),
        worst=_worst(evaluation, worst),
    )


def _problems(evaluation: Evaluation) -> str:
    lines = [_text(problem) for tracker in evaluation.trackers for problem in tracker.problems]
    if not lines:
        return ""
    return '<h2>What was wrong with the results</h2><ul class="problems">' + _joined("li", lines) + "</ul>"


def _ranking(evaluation: Evaluation) -> str:
    count = len(evaluation.data.sequences)
    rows = [
        (_text(tracker.name), *map(_percent, tracker.figures), f"{len(tracker.sequences)} of {count}")
        for tracker in evaluation.trackers
    ]
    return _table(("tracker", *evaluation.columns, "sequences"), rows, best_first=True)


def _comparison(evaluation: Evaluation, comparison: Comparison) -> str:
    a, b = _text(comparison.a), _text(comparison.b)
    rows = [
        (
            _text(one.column),
            _signed(one.mean),
            f"{_signed(one.low)} to {_signed(one.high)}",
            "yes" if one.is_clear else "no",
            str(one.a_better),
            str(one.b_better),
        )
        for one in comparison.differences
    ]
    extremes = [
        (_text(comparison.names[row]), *(_signed(value) for value in comparison.values[row]))
        for row in largest(comparison, evaluation.ranking_column, _LARGEST)
    ]
    head = (f"{a} &minus; {b}", "difference", "95 % interval", "clear", f"{a} better", f"{b} better")
    heads = ("largest differences", *(_text(one.column) for one in comparison.differences))
    note = (
        f"<p class='note'>Over {len(comparison.names)} sequences that both have; the interval is a bootstrap "
        "over sequences. Where it leaves out 0, the choice of sequences does not explain the difference."
    )
    if comparison.is_mean_of_sequences:
        note += " The benchmark's own figure is no mean over sequences; these differences are."
    return f"<h2>{a} against {b}</h2>{_table(head, rows)}{note}</p>{_table(heads, extremes)}"


def _plots(plots: Sequence[Plot]) -> str:
    return (
        '<div class="plots">' + _joined("div", (_inline(plot, i) for i, plot in enumerate(plots))) + "</div>"
    )


def _inline(plot: Plot, number: int) -> str:
    """Return a drawing whose ids differ from those of its neighbours."""
    svg = plot.svg[plot.svg.index("<svg") :]
    return re.sub(r'(id="|url\(#|xlink:href="#|href="#)', rf"\g<1>p{number}-", svg)


def _attributes(evaluation: Evaluation) -> str:
    column, rows = evaluation.ranking_column, []
    for name, found in evaluation.attributes().items():
        most = max(one.sequences for one in found if one is not None)
        figures = ("" if one is None else _percent(one.figures[column]) for one in found)
        rows.append((_text(name), str(most), *figures))
    if not rows:
        return ""
    head = ("attribute", "sequences", *(_text(tracker.name) for tracker in evaluation.trackers))
    title = f"<h2>Attributes: {_text(evaluation.benchmark.metric.ranked_by)}</h2>"
    return title + _table(head, rows, sortable=True)


def _sequences(evaluation: Evaluation) -> str:
    metric = evaluation.benchmark.metric
    is_full = len(evaluation.trackers) <= _FULL_COLUMNS_UP_TO
    shown = range(len(metric.columns)) if is_full else [evaluation.ranking_column]
    head = ["sequence", "frames"]
    for tracker in evaluation.trackers:
        head += [_text(f"{tracker.name} {metric.columns[column]}") for column in shown]
    by_name = [{score.name: score for score in tracker.sequences} for tracker in evaluation.trackers]
    rows = []
    for annotation in evaluation.data.sequences:
        cells = [_text(annotation.name), str(len(annotation))]
        for scores in by_name:
            score = scores.get(annotation.name)
            cells += ["" if score is None else _percent(score.figures[column]) for column in shown]
        rows.append(tuple(cells))
    return _table(head, rows, sortable=True, name="sequences")


def _worst(evaluation: Evaluation, worst: Sequence[WorstSequence]) -> str:
    if not worst:
        return ""
    key = ['<span class="swatch" style="background:#fff"></span>truth']
    for colour, tracker in zip(PALETTE, evaluation.trackers, strict=False):
        key.append(f'<span class="swatch" style="background:rgb{colour}"></span>{_text(tracker.name)}')
    parts = [f"<h2>Where {_text(evaluation.trackers[0].name)} does worst</h2><p>{''.join(key)}</p>"]
    for one in worst:
        shots = (
            f'<img alt="{_text(one.name)}, {_text(shot.caption)}" '
            f'src="data:image/jpeg;base64,{base64.b64encode(shot.jpeg).decode()}">'
            f"<figcaption>{_text(shot.caption)}</figcaption>"
            for shot in one.shots
        )
        name = f"{_text(one.name)}: {_text(evaluation.benchmark.metric.ranked_by)} {_percent(one.figure)}"
        parts.append(f'<h3>{name}</h3><div class="shots">{_joined("figure", shots)}</div>')
    return "".join(parts)


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    sortable: bool = False,
    best_first: bool = False,
    name: str = "",
) -> str:
    """Return a table; cells are HTML already."""
    body = []
    for number, row in enumerate(rows):
        mark = ' class="best"' if best_first and number == 0 and len(rows) > 1 else ""
        body.append(f"<tr{mark}>{_joined('td', row)}</tr>")
    kind = ' class="sortable"' if sortable else ""
    own = f' id="{name}"' if name else ""
    top = f"<thead><tr>{_joined('th', head)}</tr></thead>"
    return f"<table{kind}{own}>{top}<tbody>{''.join(body)}</tbody></table>"


def _joined(tag: str, parts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{part}</{tag}>" for part in parts)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else ""


def _signed(value: float) -> str:
    if not math.isfinite(value):
        return ""
    shown = f"{100 * value:+.2f}"
    side = "" if float(shown) == 0 else "up" if value > 0 else "down"
    return f'<span class="{side}">{shown}</span>'


def _text(value: object) -> str:
    return html.escape(str(value))


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
