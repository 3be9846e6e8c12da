"""Scores the result files of trackers on a data set: figures, curves, and problems with the files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np

from dmtrack.datasets.annotations import AnnotatedSet, Annotation
from dmtrack.errors import FormatError, listed
from dmtrack.evaluation.benchmarks import BENCHMARKS, Benchmark, BenchmarkName, benchmark_named_by
from dmtrack.evaluation.metric import Curve
from dmtrack.evaluation.multistart import MultiStart, anchors_of
from dmtrack.evaluation.overlap import Floats, is_box, raw_iou
from dmtrack.evaluation.tracker_files import Track, TrackerFiles, in_order, read_track
from dmtrack.geometry.box import BoxFormat
from dmtrack.options import Option

_SHOWN_NAMES: Final = 4
_FITS, _FITS_AS_CENTRE = 0.5, 0.95  # IoU with the truth: a poor tracker's boxes may be half a box off
_FIRST_ROWS: Final = 5
SHARES: Final = "shares"
SCALED: Final = "scaled"
_MEANING: Final = {
    BoxFormat.XYXY: ("x1,y1,x2,y2", "give --order xyxy to read them as corners"),
    BoxFormat.CXCYWH: ("a centre and a size", "give --order cxcywh to read them so"),
    SHARES: ("fractions of the picture", "write them in px"),
    SCALED: ("pixels of pictures of another size", "track the pictures of the ground truth"),
}


class Missing(StrEnum):
    """How a sequence without results counts: not at all, or as 0 in all figures."""

    SKIP = "skip"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """How results are scored, and how faulty ones are treated."""

    PANEL: ClassVar = "Scoring results"

    benchmark: Annotated[BenchmarkName, Option("--benchmark", "Benchmark whose figures to compute.")] = (
        BenchmarkName.AUTO
    )
    strict: Annotated[bool, Option("--strict", "Refuse results with anything wrong.")] = False
    missing: Annotated[Missing, Option("--missing", "How to count a sequence without results.")] = (
        Missing.SKIP
    )
    order: Annotated[BoxFormat, Option("--order", "Meaning of the numbers in a result row.")] = BoxFormat.XYWH


@dataclass(frozen=True, slots=True, eq=False)
class SequenceScore:
    """One tracker on one sequence."""

    name: str  # of the sequence
    part: Any  # the metric's part
    figures: tuple[float, ...]  # in the order of the metric's columns, in [0, 1]
    frames: int  # annotated frames
    files: tuple[Path, ...] = ()  # the result files


@dataclass(frozen=True, slots=True, eq=False)
class AttributeScore:
    """The figures over the sequences that have an attribute."""

    attribute: str
    sequences: int
    figures: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TrackerScore:
    """One tracker on a data set."""

    name: str  # of the tracker
    figures: tuple[float, ...]  # in the order of the metric's columns, in [0, 1]
    sequences: tuple[SequenceScore, ...]  # those that were scored
    attributes: tuple[AttributeScore, ...]  # for each attribute of the data set, if it has any
    curves: tuple[Curve, ...]  # one for each plot
    missing: int  # number of sequences without results
    problems: tuple[ResultsProblem, ...]


class ProblemKind(StrEnum):
    """A kind of problem with the results of a tracker."""

    MISSING = "missing sequences"
    UNREADABLE = "files that cannot be read"
    SHORT = "results shorter than the ground truth"
    LONG = "results longer than the ground truth"
    ORDER = "columns in another order"
    RUNS = "missing runs"
    TARGETS = "files of several targets"
    NO_CONFIDENCE = "results without confidences"
    NO_TRUTH = "sequences that cannot be scored"
    STRANGERS = "files of no sequence of this data set"


@dataclass(frozen=True, slots=True)
class ResultsProblem:
    """One kind of problem with a tracker's results."""

    tracker: str  # name of the tracker
    kind: ProblemKind
    names: tuple[str, ...]  # the sequences or files concerned
    detail: str = ""  # details of the first of them
    counted: str = ""  # how it was counted

    def __str__(self) -> str:
        """Return the problem as one line."""
        shown = listed(self.names, _SHOWN_NAMES)
        count = f" ({len(self.names)})" if self.names else ""
        parts = [f"{self.tracker}: {self.kind}{count}"]
        parts += [shown] if shown else []
        of_first = f"{self.names[0]}: {self.detail}" if self.detail and len(self.names) > 1 else self.detail
        parts += [part for part in (of_first, self.counted) if part]
        return "; ".join(parts)


def score_tracker(
    tracker: TrackerFiles, data: AnnotatedSet, benchmark: Benchmark, options: ScoringOptions | None = None
) -> TrackerScore:
    """Score the files of one tracker; `FormatError` if none is about the data set, or none can be read."""
    options = options or ScoringOptions()
    other = benchmark_named_by(frozenset(tracker.unknown))
    is_of_another = other not in (None, benchmark.name) and len(tracker.unknown) > len(tracker.files)
    if not tracker.files or is_of_another:
        raise _foreign(tracker, data, benchmark)
    run = _Scoring(tracker, benchmark, options)
    scored = [score for one in data.sequences if (score := run.sequence(one)) is not None]
    if not scored:
        raise run.failure or FormatError("no sequence could be scored", where=tracker.root)
    parts = [score.part for score in scored]
    figures = benchmark.metric.figures(parts)
    if options.missing is Missing.ZERO:
        figures = tuple(value * len(scored) / len(data.sequences) for value in figures)
    return TrackerScore(
        tracker.name,
        figures,
        sequences=tuple(scored),
        attributes=_by_attribute(scored, data, benchmark),
        curves=benchmark.metric.curves(parts),
        missing=len(data.sequences) - len(scored),
        problems=run.problems(),
    )


def named_apart(trackers: Sequence[TrackerFiles]) -> list[TrackerFiles]:
    """Return the trackers with distinct names: duplicates get their parent folder, then a number."""
    taken: set[str] = set()
    apart = []
    for tracker in trackers:
        name, number = tracker.name, 2
        if name in taken:
            name = f"{tracker.root.parent.name}/{tracker.name}"
        while name in taken:
            name, number = f"{tracker.name} ({number})", number + 1
        taken.add(name)
        apart.append(replace(tracker, name=name))
    return apart


class _Scoring:
    """Scores the sequences of one tracker one by one, and collects problems."""

    def __init__(self, tracker: TrackerFiles, benchmark: Benchmark, options: ScoringOptions) -> None:
        self.tracker = tracker
        self.benchmark = benchmark
        self.options = options
        self.failure: Exception | None = None
        self._found: dict[ProblemKind, list[tuple[str, str]]] = {}
        self._orders = Counter[str]()

    def sequence(self, annotation: Annotation) -> SequenceScore | None:
        """Score one sequence; None if there is nothing to score."""
        files = self.tracker.files.get(annotation.name)
        if files is None:
            self._add(ProblemKind.MISSING, annotation.name)
            return None
        try:
            tracks = self._tracks(annotation, files)
        except FormatError as error:
            self.failure = self.failure or error
            self._add(ProblemKind.UNREADABLE, annotation.name, error.what)
            return None
        try:
            part = self.benchmark.metric.part(annotation, tracks)
        except ValueError as error:
            self._add(ProblemKind.NO_TRUTH, annotation.name, str(error))
            return None
        figures = self.benchmark.metric.figures([part])
        return SequenceScore(annotation.name, part, figures, len(annotation), files)

    def _tracks(self, annotation: Annotation, files: tuple[Path, ...]) -> list[Track]:
        if isinstance(self.benchmark.metric, MultiStart):
            return self._runs(annotation, files)
        track = read_track(files[0], self.options.order)
        self._check(annotation, track)
        return [track]

    def _runs(self, annotation: Annotation, files: tuple[Path, ...]) -> list[Track]:
        """Read the run of every anchor; a missing one becomes an empty track."""
        by_start = {file.stem.rpartition("_")[2]: file for file in files}
        tracks = []
        for anchor in anchors_of(annotation):
            start = max(anchor, ~anchor)
            file = by_start.get(f"{start:08d}")
            if file is None:
                self._add(ProblemKind.RUNS, annotation.name, f"the run from frame {start}")
                tracks.append(Track(np.empty((0, 4)), None, np.empty(0, np.bool_)))
            else:
                tracks.append(read_track(file, self.options.order))
        return tracks

    def _check(self, annotation: Annotation, track: Track) -> None:
        """Record problems with length, column order, number of targets and confidences."""
        expected = _expected_lengths(annotation, self.benchmark)
        if len(track) < min(expected):
            self._add(ProblemKind.SHORT, annotation.name, f"{len(track)} rows for {min(expected)} frames")
        elif len(track) > max(expected):
            self._add(ProblemKind.LONG, annotation.name, f"{len(track)} rows for {max(expected)} frames")
        if track.targets > 1:
            self._add(ProblemKind.TARGETS, annotation.name, f"{track.targets} targets")
        if self.benchmark.metric.wants_confidence and track.confidence is None:
            self._add(ProblemKind.NO_CONFIDENCE, annotation.name)
        looks = order_like(track.rows, annotation.truth)
        if looks is not None:
            self._orders[looks] += 1

    def _add(self, kind: ProblemKind, name: str, detail: str = "") -> None:
        self._found.setdefault(kind, []).append((name, detail))

    def problems(self) -> tuple[ResultsProblem, ...]:
        """Return what was wrong, a line a kind."""
        name = self.tracker.name
        found = [
            ResultsProblem(name, kind, tuple(about for about, _ in noted), noted[0][1], self._counted(kind))
            for kind, noted in self._found.items()
        ]
        order, count = self._orders.most_common(1)[0] if self._orders else ("", 0)
        if self.options.order is BoxFormat.XYWH and order and 2 * count > self._orders.total():
            meaning, reading = _MEANING[order]
            detail = f"{count} of {self._orders.total()} first rows fit the ground truth only as {meaning}"
            found.append(
                ResultsProblem(name, ProblemKind.ORDER, (), detail, f"counted as x,y,w,h; {reading}")
            )
        if self.tracker.unknown:
            found.append(
                ResultsProblem(name, ProblemKind.STRANGERS, self.tracker.unknown, counted="not counted")
            )
        return tuple(found)

    def _counted(self, kind: ProblemKind) -> str:
        left_out = "counted as 0" if self.options.missing is Missing.ZERO else "left out of every mean"
        cut = "scored up to their end, as the benchmark's own script does"
        short = cut if self.benchmark.metric.cuts_short_results else "missing frames count as misses"
        return {
            ProblemKind.MISSING: left_out,
            ProblemKind.UNREADABLE: left_out,
            ProblemKind.NO_TRUTH: left_out,
            ProblemKind.SHORT: short,
            ProblemKind.LONG: "the rows beyond the ground truth are ignored",
            ProblemKind.RUNS: "counted as failures in the first frame",
            ProblemKind.TARGETS: "the first target is scored",
            ProblemKind.NO_CONFIDENCE: "counted as sure in every frame, so the curve has one point",
        }.get(kind, "")


def _expected_lengths(annotation: Annotation, benchmark: Benchmark) -> tuple[int, ...]:
    """Return the numbers of rows that results may have."""
    lengths = [len(truth) for truth in annotation.truths]
    lengths += [length * benchmark.metric.step for length in lengths]
    flags = annotation.present
    if flags is not None and flags.any():
        lengths += [len(flags), len(flags) - int(np.argmax(flags))]
    return tuple(lengths)


def _by_attribute(
    scores: Sequence[SequenceScore], data: AnnotatedSet, benchmark: Benchmark
) -> tuple[AttributeScore, ...]:
    attributes = {one.name: one.attributes for one in data.sequences}
    found = []
    for attribute in sorted(set().union(*attributes.values())):
        having = [score.part for score in scores if attribute in attributes[score.name]]
        if having:
            found.append(AttributeScore(attribute, len(having), benchmark.metric.figures(having)))
    return tuple(found)


def _foreign(tracker: TrackerFiles, data: AnnotatedSet, benchmark: Benchmark) -> FormatError:
    """Return an error that results are not about this data set, and which one they look like."""
    other = benchmark_named_by(frozenset(tracker.unknown))
    if other is not None and other is not benchmark.name:
        what = f"these are results of {BENCHMARKS[other].title}, but the data set is {benchmark.title}"
    else:
        files = ", ".join(tracker.unknown[:3])
        names = ", ".join(sequence.name for sequence in data.sequences[:3])
        what = f"no file is about a sequence of the data set (files: {files}; sequences: {names})"
    return FormatError(what, where=tracker.root, hint="give the --dataset that the results are of")


def order_like(rows: Floats, truth: Floats) -> str | None:
    """Return the order or scale in which the first rows fit the truth, if they do not as they are.

    `rows` are `(N, 4)` of a result file, whose first is usually the given box; `truth` is `(T, 4)` x, y, w,
    h. Returns a `BoxFormat`, `SHARES` for shares of the picture, or `SCALED` for pictures of another size; an
    empty text if they fit as they are or in no order; None if it cannot be told.
    """
    if rows.ndim != len("hw") or rows.shape[1] != truth.shape[1]:
        return None
    frames = min(len(rows), len(truth), _FIRST_ROWS)
    shown, true = rows[:frames], truth[:frames]
    known = is_box(true) & np.isfinite(shown).all(axis=1)
    if not known.any():
        return None
    if shown[known].max() <= 1 < true[known].min():
        return SHARES
    fits = {
        order: float(np.nanmean(raw_iou(in_order(shown[known], order), true[known]))) for order in BoxFormat
    }
    best = max(fits, key=fits.__getitem__)
    wanted = _FITS_AS_CENTRE if best is BoxFormat.CXCYWH else _FITS
    if fits[BoxFormat.XYWH] < _FITS and is_box(shown[known]).all():
        scale = np.tile((true[known][:, 2:] / shown[known][:, 2:]).mean(axis=0), 2)
        if float(np.nanmean(raw_iou(shown[known] * scale, true[known]))) > _FITS_AS_CENTRE:
            return SCALED
    return str(best) if fits[BoxFormat.XYWH] < _FITS and fits[best] > wanted else ""
