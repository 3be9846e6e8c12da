"""`score.png`: score, state and measure of every target, and the skew of the streams, over time."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dmtrack.atomic import reserve, write_atomically
from dmtrack.drawing.draw import target_colour
from dmtrack.errors import counted
from dmtrack.output.sink import Sink
from dmtrack.tracking.result import FrameResult, TrackState
from dmtrack.video.second.gauge import AuxUnit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SPANS: Final = 1024  # above this, more than a picture has columns, neighbouring spans are joined
MOST_ROWS: Final = 12  # targets beyond this number are left out of the picture, with a note
STATE_COLOURS: Final = {
    TrackState.INIT: "#4c78a8",
    TrackState.TRACKED: "#59a14f",
    TrackState.UNCERTAIN: "#f2b134",
    TrackState.LOST: "#d1495b",
    TrackState.ABSENT: "#9aa0a6",
}
"""From the best state to the worst."""
_MEASURED: Final = {
    AuxUnit.METRE: "distance in m",
    AuxUnit.CELSIUS: "degrees Celsius",
    AuxUnit.EVENTS: "events a second",
}
_THRESHOLD: Final = "#5f6368"
_WIDTH_INCHES: Final = 10.0
_SCORE_INCHES, _ROW_INCHES, _EXTRA_INCHES, _FRAME_INCHES = 2.6, 0.28, 1.4, 0.9


@dataclass(slots=True)
class TargetSpan:
    """One target over several consecutive frames."""

    lowest: float  # lowest score
    total: float  # sum of the scores
    frames: int  # number of frames
    state: TrackState  # the worst state, in the order of `STATE_COLOURS`
    measured: float = 0.0  # sum of the measures by the second stream
    measures: int = 0  # number of frames with a measure

    @property
    def mean(self) -> float:
        """The mean score."""
        return self.total / self.frames

    def join(self, other: TargetSpan) -> None:
        """Add the frames of another span."""
        self.lowest = min(self.lowest, other.lowest)
        self.total += other.total
        self.frames += other.frames
        self.state = max(self.state, other.state, key=list(STATE_COLOURS).index)
        self.measured += other.measured
        self.measures += other.measures


@dataclass(slots=True)
class Span:
    """Several consecutive frames."""

    start_s: float  # time of the first frame
    frames: int  # number of frames
    targets: dict[int, TargetSpan]  # by id
    skew_ms: float | None  # the skew furthest from 0; None if no frame has a partner
    alone: int  # number of frames without a partner

    @classmethod
    def of(cls, result: FrameResult) -> Span:
        """Return the span of a single frame."""
        pair, targets = result.pair, {}
        for one in result.targets:
            if one.score is not None and one.state is not None:
                measured = (one.measure.median, 1) if one.measure else (0.0, 0)
                targets[one.target_id] = TargetSpan(one.score, one.score, 1, one.state, *measured)
        skew_ms = None if pair.skew_s is None else float(pair.skew_s * 1000)
        return cls(float(pair.elapsed_s), 1, targets, skew_ms, int(pair.aux is None))

    def join(self, other: Span) -> None:
        """Add the frames of the span that follows."""
        self.frames += other.frames
        self.alone += other.alone
        for target_id, span in other.targets.items():
            if (known := self.targets.setdefault(target_id, span)) is not span:
                known.join(span)
        skews = [skew for skew in (self.skew_ms, other.skew_ms) if skew is not None]
        self.skew_ms = max(skews, key=abs, default=None)


class ScorePlotSink(Sink):
    """Draws `score.png` when the run ends, however it ends, in constant memory.

    It keeps spans of equally many frames, and doubles that number when there are too many spans.

    `thresholds` are scores to draw as lines, by name. `OutputError`: the file exists, or the folder cannot be
    written to.
    """

    def __init__(
        self, path: Path, thresholds: Mapping[str, float] | None = None, *, overwrite: bool = False
    ) -> None:
        self._thresholds = thresholds or {}
        self._unit: AuxUnit | None = None
        self._path = reserve(path, overwrite=overwrite)
        self.spans: list[Span] = []
        self._frames_a_span = 1
        self._last_s = 0.0
        self._closed = False

    def write(self, result: FrameResult) -> None:
        """Record one frame; at the first one start to load matplotlib, which takes a while."""
        if not self.spans:
            threading.Thread(target=_load_plotting, name="loading matplotlib", daemon=True).start()
        span = Span.of(result)
        self._unit = next((one.measure.unit for one in result.targets if one.measure), self._unit)
        self._last_s = span.start_s
        if self.spans and self.spans[-1].frames < self._frames_a_span:
            self.spans[-1].join(span)
            return
        if len(self.spans) == MOST_SPANS:
            for first, second in zip(self.spans[::2], self.spans[1::2], strict=True):
                first.join(second)
            del self.spans[1::2]
            self._frames_a_span *= 2
        self.spans.append(span)

    def close(self) -> None:
        """Draw the picture, unless the run has no frames; `OutputError` if it cannot be written."""
        if self._closed:
            return
        self._closed = True
        if self.spans:
            write_atomically(self._path, draw_spans(self.spans, self._last_s, self._thresholds, self._unit))


def _load_plotting() -> None:
    # Errors are reported when the picture is drawn.
    with contextlib.suppress(Exception):
        import matplotlib.figure  # noqa: F401


def draw_spans(
    spans: Sequence[Span], last_s: float, thresholds: Mapping[str, float], unit: AuxUnit | None = None
) -> bytes:
    """Return the picture of a run as PNG.

    `spans` are in order, at least one; `last_s` is the time of the last frame, `unit` that of the second
    stream's measures, if there are any.
    """
    from matplotlib.figure import Figure  # takes half a second, unless it is loaded by now

    ids = sorted({target_id for span in spans for target_id in span.targets})
    shown = ids[:MOST_ROWS]
    has_aux = any(span.skew_ms is not None for span in spans)
    extra = [_EXTRA_INCHES] * ((unit is not None) + has_aux)
    heights = [_SCORE_INCHES, _ROW_INCHES * max(1, len(shown)), *extra]
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + _FRAME_INCHES), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    # The last frame is assumed to last as long as the others.
    frames, length = sum(span.frames for span in spans), last_s - spans[0].start_s
    end_s = last_s + (length / (frames - 1) if frames > 1 and length > 0 else 1.0)
    edges = [*(span.start_s for span in spans), end_s]
    for name, score in thresholds.items():
        axes[0].axhline(score, color=_THRESHOLD, linestyle="--", linewidth=0.8)
        place = axes[0].get_yaxis_transform()
        axes[0].text(
            0.995, score, name, transform=place, fontsize="small", color=_THRESHOLD, ha="right", va="bottom"
        )
    _draw_scores(axes[0], spans, shown, len(ids) - len(shown))
    _draw_states(axes[1], spans, edges, shown)
    if has_aux:
        _draw_skew(axes[-1], spans, edges)
    if unit is not None:
        _draw_measures(axes[2], spans, shown, unit)
    axes[-1].set(xlabel="time in s", xlim=(edges[0], edges[-1]))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def _draw_scores(axes: Axes, spans: Sequence[Span], ids: Sequence[int], left_out: int) -> None:
    for target_id in ids:
        found, nan = [span.targets.get(target_id) for span in spans], float("nan")
        times, means = [span.start_s for span in spans], [one.mean if one else nan for one in found]
        colour = tuple(part / 255 for part in target_colour(target_id))
        axes.plot(times, means, color=colour, linewidth=1, label=f"target {target_id}")
        lowest = [one.lowest if one else nan for one in found]
        axes.fill_between(times, lowest, means, color=colour, alpha=0.25, linewidth=0)
    axes.set(ylabel="score", ylim=(0, 1.02))
    axes.grid(visible=True, alpha=0.3)
    title = f"not shown: {counted(left_out, 'more target')}" if left_out else None
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


def _draw_measures(axes: Axes, spans: Sequence[Span], ids: Sequence[int], unit: AuxUnit) -> None:
    for target_id in ids:
        found = [(span.start_s, span.targets.get(target_id)) for span in spans]
        means = [one.measured / one.measures if one and one.measures else float("nan") for _, one in found]
        colour = tuple(part / 255 for part in target_colour(target_id))
        axes.plot([start_s for start_s, _ in found], means, color=colour, linewidth=1)
    axes.set(ylabel=_MEASURED[unit])
    axes.grid(visible=True, alpha=0.3)


def _draw_skew(axes: Axes, spans: Sequence[Span], edges: Sequence[float]) -> None:
    skews = [(span.start_s, span.skew_ms) for span in spans if span.skew_ms is not None]
    axes.plot(*zip(*skews, strict=True), color="black", linewidth=0.8)
    low, high = min(skew for _, skew in skews), max(skew for _, skew in skews)
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
