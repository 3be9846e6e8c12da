"""What `dmtrack evaluate` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from dmtrack.evaluation.robustness import KINDS, VIEWS, by_place

if TYPE_CHECKING:
    from dmtrack.evaluation.benchmark.comparison import Comparison
    from dmtrack.evaluation.benchmark.evaluation import Evaluation
    from dmtrack.evaluation.clips import ClipFigures
    from dmtrack.evaluation.occlusion import OcclusionFigures
    from dmtrack.evaluation.robustness import RobustnessCell


def figures_table(figures: Sequence[ClipFigures]) -> Table:
    """Return a row a target and one for their mean."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("target")
    table.add_column("second stream")
    for name in ("frames", "mean IoU", "IoU >= 0.5"):
        table.add_column(name, justify="right")
    for clip in figures:
        table.add_row(
            clip.name, clip.modality or "", str(clip.frames), f"{clip.mean_iou:.3f}", f"{clip.success:.3f}"
        )
    table.add_section()
    mean = float(np.mean([clip.mean_iou for clip in figures]))
    success = float(np.mean([clip.success for clip in figures]))
    table.add_row("mean over targets", "", "", f"{mean:.3f}", f"{success:.3f}")
    return table


def robustness_table(cells: Sequence[RobustnessCell]) -> Table:
    """Return mean IoU: rows are what is done to RGB, columns what the tracker is shown."""
    targets = len(cells[0].figures)
    table = Table(show_edge=False, pad_edge=False, title=f"mean IoU over {targets} targets of two streams")
    table.add_column("RGB is")
    for streams in VIEWS:
        table.add_column(streams, justify="right")
    means = by_place(cells)
    for kind in KINDS:
        table.add_row(kind, *(f"{means[kind, streams]:.3f}" for streams in VIEWS))
    return table


def occlusion_table(rows: Mapping[bool, Sequence[OcclusionFigures]]) -> Table:
    """Return a row a target without and with recovery, in turn, and the means.

    Args:
        rows: The same targets in the same order, without recovery and with it.
    """
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("target")
    table.add_column("recovery")
    for name in ("mean IoU", "wrongly tracked", "frames to recover", "ms a frame, median", "mean"):
        table.add_column(name, justify="right")
    for pair in zip(*rows.values(), strict=True):
        for on, figures in zip(rows, pair, strict=True):
            table.add_row(figures.name, "on" if on else "off", *_cells(figures))
    table.add_section()
    for on, all_figures in rows.items():
        if all_figures:
            table.add_row("mean", "on" if on else "off", *_means(all_figures))
    return table


def _cells(figures: OcclusionFigures) -> list[str]:
    recovered = figures.frames_to_recover
    return [
        f"{figures.mean_iou:.3f}",
        f"{figures.wrongly_tracked:.3f}",
        "never" if math.isinf(recovered) else f"{recovered:.0f}",
        f"{figures.ms_median:.1f}",
        f"{figures.ms_mean:.1f}",
    ]


def _means(rows: Sequence[OcclusionFigures]) -> list[str]:
    found = [figures.frames_to_recover for figures in rows if not math.isinf(figures.frames_to_recover)]
    recovered = f"{np.mean(found):.0f} ({len(found)} of {len(rows)})" if found else "never"
    return [
        f"{np.mean([figures.mean_iou for figures in rows]):.3f}",
        f"{np.mean([figures.wrongly_tracked for figures in rows]):.3f}",
        recovered,
        f"{np.mean([figures.ms_median for figures in rows]):.1f}",
        f"{np.mean([figures.ms_mean for figures in rows]):.1f}",
    ]


def ranking_table(evaluation: Evaluation) -> Table:
    """Return a row a tracker, the best first; figures in percent."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("tracker")
    for name in (*evaluation.columns, "sequences"):
        table.add_column(name, justify="right")
    count = len(evaluation.data.sequences)
    for tracker in evaluation.trackers:
        scored = f"{len(tracker.sequences)} of {count}"
        table.add_row(
            tracker.name, *map(_percent, tracker.figures), scored if tracker.missing else str(count)
        )
    return table


def attribute_table(evaluation: Evaluation) -> Table:
    """Return a row an attribute, a column a tracker: the figure that ranks."""
    metric = evaluation.benchmark.metric
    column = metric.columns.index(metric.ranked_by)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column(f"{metric.ranked_by} by attribute")
    for tracker in evaluation.trackers:
        table.add_column(tracker.name, justify="right")
    names = sorted({one.attribute for tracker in evaluation.trackers for one in tracker.attributes})
    for name in names:
        found = (
            next((one for one in tracker.attributes if one.attribute == name), None)
            for tracker in evaluation.trackers
        )
        cells = ("" if one is None else f"{_percent(one.figures[column])} ({one.sequences})" for one in found)
        table.add_row(name, *cells)
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Return a row a figure: the paired difference, its interval, and who is better how often."""
    title = f"{comparison.a} minus {comparison.b}, {len(comparison.names)} sequences"
    table = Table(show_edge=False, pad_edge=False, title=title, title_justify="left")
    table.add_column("")
    for name in ("difference", "95 % interval", "clear", "better : worse"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in comparison.differences:
        interval = f"{100 * one.low:+.2f} to {100 * one.high:+.2f}"
        clear = "yes" if one.is_clear else "no"
        counts = f"{one.a_better} : {one.b_better}"
        table.add_row(one.column, f"{100 * one.mean:+.2f}", interval, clear, counts)
    return table


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"
