"""The report, a single HTML file: ranking, curves, attributes, every sequence, the worst with pictures.

It loads nothing from elsewhere, so that it can be mailed and opened years later. Its template is
`report.html`.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from dmtrack.datasets.annotations import Annotation
from dmtrack.drawing.draw import PALETTE
from dmtrack.errors import FormatError, counted, printable
from dmtrack.evaluation.comparison import largest
from dmtrack.evaluation.metric import padded, track_boxes
from dmtrack.evaluation.multistart import MultiStart
from dmtrack.evaluation.overlap import Floats, iou_per_frame, is_box
from dmtrack.evaluation.scoring import TrackerScore
from dmtrack.evaluation.tracker_files import read_track
from dmtrack.geometry.box import BoxFormat
from dmtrack.video.pictures.picture_file import opencv_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dmtrack.evaluation.evaluation import Evaluation

_LARGEST: Final = 10
_WORST: Final = 6
_FULL_COLUMNS_UP_TO: Final = 2
_SIZE_INCHES: Final = (6.4, 4.6)
_MOST_IN_LEGEND: Final = 16
_LONGEST_NAME: Final = 40
_STYLES: Final = ("-", "--", "-.", ":")
_COLOURS: Final = ("#0b5fa5", "#d1495b", "#2e8540", "#8a5a00", "#6b4c9a", "#00798c", "#c2572b", "#4a4a4a")
_WIDTH_PX: Final = 360
_QUALITY: Final = 82
_WHITE: Final = (255, 255, 255)
_DARK: Final = (16, 16, 16)


class Plot(NamedTuple):
    """One plot as PNG and SVG."""

    name: str
    png: bytes
    svg: str


@dataclass(frozen=True, slots=True, eq=False)
class WorstSequence:
    """One of the sequences on which the best tracker does worst."""

    name: str  # of the sequence
    figure: float  # of the best tracker
    # Its start, worst frame and end, with the boxes of truth and trackers: JPEG by caption
    shots: Mapping[str, bytes]


def report_html(evaluation: Evaluation, plots: Sequence[Plot], worst: Sequence[WorstSequence]) -> str:
    """Return the HTML of the report."""
    import jinja2  # only a report needs it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": lambda value: f"{100 * value:.1f}" if math.isfinite(value) else "",
        "signed_percent": lambda value: f"{100 * value:+.2f}" if math.isfinite(value) else "",
        "base64": lambda data: base64.b64encode(data).decode(),
    }
    template = resources.files("dmtrack.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    trackers, metric, comparison = evaluation.trackers, evaluation.benchmark.metric, evaluation.comparison
    who = trackers[0].name if len(trackers) == 1 else f"{len(trackers)} trackers"
    is_full = len(trackers) <= _FULL_COLUMNS_UP_TO
    return environment.from_string(template).render(
        title=f"{evaluation.benchmark.title}: {who}, {counted(len(evaluation.data.sequences), 'sequence')}",
        evaluation=evaluation,
        comparison=comparison,
        largest=() if comparison is None else largest(comparison, metric.ranking_column, _LARGEST),
        plots=[_inline(plot, i) for i, plot in enumerate(plots)],
        attributes=evaluation.attributes(),
        ranked_by=metric.ranked_by,
        ranking=metric.ranking_column,
        shown=range(len(evaluation.columns)) if is_full else [metric.ranking_column],
        by_name=[{score.name: score for score in tracker.sequences} for tracker in trackers],
        worst=worst,
        swatches=list(zip(PALETTE, (tracker.name for tracker in trackers), strict=False)),
    )


def _inline(plot: Plot, number: int) -> str:
    """Return the SVG of a plot, with ids that differ from those of other plots in the page."""
    svg = plot.svg[plot.svg.index("<svg") :]
    return re.sub(r'(id="|url\(#|xlink:href="#|href="#)', rf"\g<1>p{number}-", svg)


def draw_plots(evaluation: Evaluation) -> Iterator[Plot]:
    """Draw a plot for every curve of the benchmark, with one line for each tracker, best first."""
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
        # matplotlib leaves out what begins with an underscore.
        label = f"{_legible(tracker.name)} [{100 * curve.figure:.1f}]" if place < _MOST_IN_LEGEND else "_"
        style = _STYLES[place // len(_COLOURS) % len(_STYLES)]
        axes.plot(curve.x, curve.y, style, color=_COLOURS[place % len(_COLOURS)], label=label, linewidth=1.8)
    first = trackers[0].curves[number]
    axes.set(
        xlabel=first.x_label, ylabel=first.y_label, ylim=(0, 1), xlim=(0, max(1e-9, float(first.x.max())))
    )
    axes.set_title(f"{evaluation.benchmark.title}: {first.name.replace('_', ' ')}", fontsize=11)
    axes.grid(visible=True, alpha=0.25)
    legend = axes.legend(
        fontsize=8, loc="lower right" if "error" in first.x_label else "lower left", framealpha=0.9
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a `$` in a name is no formula
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _legible(name: str) -> str:
    """Return a name in a form that a legend can show."""
    shown = printable(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…")
    return f" {shown}" if shown.startswith("_") else shown


def _saved(figure: Figure, kind: str) -> bytes:
    from matplotlib import rc_context

    data = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dmtrack"}):
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(data, format=kind, dpi=150, metadata=metadata)
    return data.getvalue()


def worst_sequences(evaluation: Evaluation, order: BoxFormat) -> tuple[WorstSequence, ...]:
    """Return the sequences on which the first tracker does worst, of those with pictures."""
    if isinstance(evaluation.benchmark.metric, MultiStart):
        return ()
    best = evaluation.trackers[0]
    column = evaluation.benchmark.metric.ranking_column
    by_name = {one.name: one for one in evaluation.data.sequences}
    found: list[WorstSequence] = []
    for score in sorted(best.sequences, key=lambda score: np.nan_to_num(score.figures[column])):
        if len(found) == _WORST:
            break
        shots = _shots(by_name[score.name], evaluation.trackers[: len(PALETTE)], order)
        if shots:
            found.append(WorstSequence(score.name, score.figures[column], shots))
    return tuple(found)


def _shots(annotation: Annotation, trackers: Sequence[TrackerScore], order: BoxFormat) -> dict[str, bytes]:
    pictures = annotation.pictures()
    if pictures is None:
        return {}
    boxes = [_boxes(tracker, annotation, order) for tracker in trackers]
    truth = annotation.truth
    step = max(1, round(len(pictures) / len(truth)))
    ious = iou_per_frame(boxes[0], truth)
    shots: dict[str, bytes] = {}
    for frame in _chosen(ious, is_box(truth)):
        if frame * step < len(pictures):
            drawn = _drawn_jpeg(pictures[frame * step], truth[frame], [one[frame] for one in boxes])
            if drawn is not None:
                overlap = "" if np.isnan(ious[frame]) else f", overlap {ious[frame]:.2f}"
                shots[f"frame {frame * step}{overlap}"] = drawn
    return shots


def _chosen(ious: Floats, known: npt.NDArray[np.bool_]) -> list[int]:
    """Return the first frame with a true box, the one with the lowest IoU, and the last."""
    frames = np.flatnonzero(known)
    if not len(frames):
        return []
    worst = int(frames[np.argmin(np.nan_to_num(ious[frames], nan=1.0))])
    return sorted({int(frames[0]), worst, int(frames[-1])})


def _boxes(tracker: TrackerScore, annotation: Annotation, order: BoxFormat) -> Floats:
    """Return `(T, 4)` boxes of a tracker in the frames of the truth, NaN where it has none."""
    nothing = np.full((len(annotation), 4), np.nan)
    score = next((one for one in tracker.sequences if one.name == annotation.name), None)
    if score is None:
        return nothing
    try:
        track = read_track(score.files[0], order)
    except FormatError:
        return nothing
    rows = track_boxes(track, annotation.truth)
    frames = len(annotation)
    if len(rows) >= 2 * frames:
        rows = rows[:: round(len(rows) / frames)]
    flags = annotation.present
    begin = int(np.argmax(flags)) if flags is not None and flags.any() and len(rows) < frames else 0
    return padded(np.vstack((nothing[:begin], rows)), frames)


def _drawn_jpeg(path: Path, truth: Floats, boxes: Sequence[Floats]) -> bytes | None:
    pixels = opencv_picture(path, cv2.IMREAD_COLOR)
    if pixels is None:
        return None
    scale = _WIDTH_PX / pixels.shape[1]
    height = max(1, round(pixels.shape[0] * scale))
    picture = np.asarray(cv2.resize(pixels, (_WIDTH_PX, height), interpolation=cv2.INTER_AREA), np.uint8)
    _rectangle(picture, truth * scale, _WHITE)
    for colour, box in zip(PALETTE, boxes, strict=False):
        _rectangle(picture, box * scale, colour)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes() if done else None


def _rectangle(picture: npt.NDArray[np.uint8], box: Floats, colour: tuple[int, int, int]) -> None:
    if not np.isfinite(box).all():
        return
    x, y, w, h = (round(float(np.clip(value, -4000, 4000))) for value in box)
    for shade, width in ((_DARK, 3), (colour[::-1], 1)):
        cv2.rectangle(picture, (x, y), (x + w, y + h), shade, width, cv2.LINE_AA)
