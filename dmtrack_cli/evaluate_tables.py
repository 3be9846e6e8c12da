"""What `dmtrack evaluate` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from rich.table import Table
from rich.text import Text

from dmtrack.errors import counted
from dmtrack.evaluation.clips import ClipResult
from dmtrack.evaluation.comparison import Comparison
from dmtrack.evaluation.evaluation import Evaluation
from dmtrack_cli.console import out


def figures_table(figures: Sequence[ClipResult], settings: str) -> Table:
    """Return a row a target and one for their mean; below it, how they were tracked."""
    table = _table(["target", "second stream"], ["frames", "mean IoU", "IoU >= 0.5"])
    table.caption, table.caption_justify = settings, "left"
    for clip in figures:
        shares = (_share(clip.mean_iou), _share(clip.success))
        table.add_row(Text(clip.name), clip.modality or "", str(clip.frames), *shares)
    table.add_section()
    scored = [clip for clip in figures if clip.frames]
    if scored:
        means = (fmean(clip.mean_iou for clip in scored), fmean(clip.success for clip in scored))
        table.add_row("mean over targets", "", "", *map(_share, means))
    return table


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the ranking, and attributes and the comparison where there are some."""
    data, benchmark = evaluation.data, evaluation.benchmark
    sequences = counted(len(data.sequences), "sequence")
    out.print(f"{benchmark.title}, {sequences}, {counted(sum(map(len, data.sequences)), 'frame')}")
    out.print(_ranking_table(evaluation))
    if any(tracker.attributes for tracker in evaluation.trackers):
        out.print()
        out.print(_attribute_table(evaluation))
    if evaluation.comparison is not None:
        out.print()
        out.print(_comparison_table(evaluation.comparison))


def _ranking_table(evaluation: Evaluation) -> Table:
    """Return a row a tracker, the best first; figures in percent."""
    known = [
        place
        for place in range(len(evaluation.columns))
        if any(math.isfinite(tracker.figures[place]) for tracker in evaluation.trackers)
    ]
    table = _table(["tracker"], [*(evaluation.columns[place] for place in known), "sequences"])
    count = len(evaluation.data.sequences)
    for tracker in evaluation.trackers:
        scored = f"{len(tracker.sequences)} of {count}"
        figures = (_percent(tracker.figures[place]) for place in known)
        table.add_row(Text(tracker.name), *figures, scored if tracker.missing else str(count))
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
    table.title = f"{comparison.a} minus {comparison.b}, {counted(len(comparison.names), 'sequence')}"
    for one in (one for one in comparison.differences if math.isfinite(one.mean)):
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


def _share(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"
