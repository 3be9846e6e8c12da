"""`score.png`: the score and the state of every target, and the skew of the streams, over time."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmtrack.drawing.score_history import ScoreHistory, Span
from dmtrack.output.atomic import reserve, write_atomically
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS: Final = 12
"""More targets than this are left out of the picture, and it says so."""
STATE_COLOURS: Final = {
    TrackState.INIT: "#4c78a8",
    TrackState.TRACKED: "#59a14f",
    TrackState.UNCERTAIN: "#f2b134",
    TrackState.LOST: "#d1495b",
}
_WIDTH_INCHES: Final = 10.0
_SCORE_INCHES, _ROW_INCHES, _SKEW_INCHES, _FRAME_INCHES = 2.6, 0.28, 1.4, 0.9


class ScorePlotSink(Sink):
    """Draws `score.png` when the run ends, however it ends.

    Args:
        path: Usually `.../score.png`.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or the folder cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._history = ScoreHistory()
        self._closed = False

    def write(self, result: FrameResult) -> None:
        """Take note of one frame; with the first one, begin to load what draws, which takes a while."""
        if not self._history.spans:
            threading.Thread(target=_load_plotting, name="loading matplotlib", daemon=True).start()
        self._history.add(result)

    def close(self) -> None:
        """Draw the picture; nothing is drawn of a run without frames.

        Raises:
            OutputError: It cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._history.spans:
            write_atomically(self._path, draw_history(self._history))


def _load_plotting() -> None:
    # What goes wrong here is said when the picture is drawn.
    with contextlib.suppress(Exception):
        import matplotlib.figure  # noqa: F401


def draw_history(history: ScoreHistory) -> bytes:
    """Return the picture of a history, which has at least one span, as PNG."""
    from matplotlib.figure import Figure  # takes half a second, unless it was loaded meanwhile

    spans = history.spans
    ids = sorted({target_id for span in spans for target_id in span.targets})
    shown = ids[:MOST_ROWS]
    has_aux = any(span.skew_ms is not None for span in spans)
    heights = [_SCORE_INCHES, _ROW_INCHES * max(1, len(shown)), *([_SKEW_INCHES] if has_aux else [])]
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + _FRAME_INCHES), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    edges = [*(span.start_s for span in spans), _end_s(history)]
    _draw_scores(axes[0], spans, edges, shown, len(ids) - len(shown))
    _draw_states(axes[1], spans, edges, shown)
    if has_aux:
        _draw_skew(axes[2], spans, edges)
    axes[-1].set(xlabel="time in s", xlim=(edges[0], edges[-1]))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def _end_s(history: ScoreHistory) -> float:
    """Return where the last frame ends, if it lasts as long as the others."""
    frames = sum(span.frames for span in history.spans)
    length = history.end_s - history.spans[0].start_s
    return history.end_s + (length / (frames - 1) if frames > 1 and length > 0 else 1.0)


def _draw_scores(
    axes: Axes, spans: Sequence[Span], edges: Sequence[float], ids: Sequence[int], left_out: int
) -> None:
    for row, target_id in enumerate(ids):
        known = [
            (edge, span.targets[target_id])
            for edge, span in zip(edges, spans, strict=False)
            if target_id in span.targets
        ]
        times = [edge for edge, _ in known]
        colour = f"C{row % 10}"
        axes.plot(
            times, [one.mean for _, one in known], color=colour, linewidth=1, label=f"target {target_id}"
        )
        lowest, means = [one.lowest for _, one in known], [one.mean for _, one in known]
        axes.fill_between(times, lowest, means, color=colour, alpha=0.25, linewidth=0)
    axes.set(ylabel="score", ylim=(0, 1.02))
    axes.grid(visible=True, alpha=0.3)
    title = f"{left_out} more targets are not shown" if left_out else None
    if ids:
        axes.legend(loc="lower left", ncols=6, fontsize="small", title=title)


def _draw_states(axes: Axes, spans: Sequence[Span], edges: Sequence[float], ids: Sequence[int]) -> None:
    for row, target_id in enumerate(ids):
        for state, colour in STATE_COLOURS.items():
            bars = [
                (edge, after - edge)
                for edge, after, span in zip(edges, edges[1:], spans, strict=False)
                if target_id in span.targets and span.targets[target_id].state is state
            ]
            axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=colour, label=state if row == 0 else None)
    axes.set(yticks=range(len(ids)), yticklabels=[str(target_id) for target_id in ids], ylabel="state")
    axes.invert_yaxis()
    if ids:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")


def _draw_skew(axes: Axes, spans: Sequence[Span], edges: Sequence[float]) -> None:
    times = [edge for edge, span in zip(edges, spans, strict=False) if span.skew_ms is not None]
    skews = [span.skew_ms for span in spans if span.skew_ms is not None]
    axes.plot(times, skews, color="black", linewidth=0.8)
    low, high = min(skews), max(skews)
    space = 0.1 * (high - low) or 1.0
    low, high = low - space, high + space
    alone = [
        (edge, after - edge) for edge, after, span in zip(edges, edges[1:], spans, strict=False) if span.alone
    ]
    if alone:
        colour = STATE_COLOURS[TrackState.LOST]
        axes.broken_barh(alone, (low, high - low), facecolors=colour, alpha=0.3, label="no partner")
        axes.legend(loc="upper right", fontsize="small")
    axes.set(ylabel="skew in ms", ylim=(low, high))
    axes.grid(visible=True, alpha=0.3)
