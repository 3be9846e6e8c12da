"""What `dmtrack evaluate` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rich.table import Table

from dmtrack.evaluation.clips import ClipResult
from dmtrack.evaluation.comparison import Comparison
from dmtrack.evaluation.evaluation import Evaluation
from dmtrack_cli.console import out


def figures_table(figures: Sequence[ClipResult]) -> Table:
    """Return a row a target and one for their mean."""
    table = _table(["target", "second stream"], ["frames", "mean IoU", "IoU >= 0.5"])
    for clip in figures:
        table.add_row(
            clip.name, clip.modality or "", str(clip.frames), f"{clip.mean_iou:.3f}", f"{clip.success:.3f}"
        )
    table.add_section()
    mean = fmean(clip.mean_iou for clip in figures)
    success = fmean(clip.success for clip in figures)
    table.add_row("mean over targets", "", "", f"{mean:.3f}", f"{success:.3f}")
    return table


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the ranking, and attributes and the comparison where there are some."""
    data, benchmark = evaluation.data, evaluation.benchmark
    out.print(f"{benchmark.title}, {len(data.sequences)} sequences, {sum(map(len, data.sequences))} frames")
    out.print(_ranking_table(evaluation))
    if any(tracker.attributes for tracker in evaluation.trackers):
        out.print()
        out.print(_attribute_table(evaluation))
    if evaluation.comparison is not None:
        out.print()
        out.print(_comparison_table(evaluation.comparison))


def _ranking_table(evaluation: Evaluation) -> Table:
    """Return a row a tracker, the best first; figures in percent."""
    table = _table(["tracker"], [*evaluation.columns, "sequences"])
    count = len(evaluation.data.sequences)
    for tracker in evaluation.trackers:
        scored = f"{len(tracker.sequences)} of {count}"
        table.add_row(
            tracker.name, *map(_percent, tracker.figures), scored if tracker.missing else str(count)
        )
    return table


def _attribute_table(evaluation: Evaluation) -> Table:
    """Return a row an attribute, a column a tracker: the figure that ranks."""
    heading = f"{evaluation.benchmark.metric.ranked_by} by attribute"
    table = _table([heading], [tracker.name for tracker in evaluation.trackers])
    column = evaluation.ranking_column
    for name, found in evaluation.attributes().items():
        cells = ("" if one is None else f"{_percent(one.figures[column])} ({one.sequences})" for one in found)
        table.add_row(name, *cells)
    return table


def _comparison_table(comparison: Comparison) -> Table:
    """Return a row a figure: the paired difference, its interval, and who is better how often."""
    table = _table([""], ["difference", "95 % interval", "clear", "better : worse"], no_wrap=True)
    table.title = f"{comparison.a} minus {comparison.b}, {len(comparison.names)} sequences"
    for one in comparison.differences:
        interval = f"{100 * one.low:+.2f} to {100 * one.high:+.2f}"
        clear = "yes" if one.is_clear else "no"
        counts = f"{one.a_better} : {one.b_better}"
        table.add_row(one.column, f"{100 * one.mean:+.2f}", interval, clear, counts)
    return table


def _table(left: Sequence[str], right: Sequence[str], *, no_wrap: bool = False) -> Table:
    """Return an empty table: columns of text, then columns of numbers."""
    table = Table(show_edge=False, pad_edge=False, title_justify="left")
    for name in left:
        table.add_column(name)
    for name in right:
        table.add_column(name, justify="right", no_wrap=no_wrap)
    return table


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"
