"""From frame pairs to tracked boxes, as generators: nothing is kept but the tracker's memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from dmtrack.errors import BoxError, ConfigError
from dmtrack.geometry.box import Box
from dmtrack.network.store import ResolvedWeights, resolve_weights
from dmtrack.tracking.device import choose_device, choose_precision
from dmtrack.tracking.result import FrameResult, TrackedBox
from dmtrack.tracking.tracker import Precision, Tracker
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position, parse_position

PrecisionChoice = Literal["auto"] | Precision


def run(pairs: Iterable[FramePair], tracker: Tracker, boxes: Sequence[Box]) -> Iterator[FrameResult]:
    """Follow `boxes`, given on the first pair, through all pairs.

    Args:
        pairs: In order; each is dropped before the next one is read.
        tracker: Started over with the first pair.
        boxes: One a target, in pixels of the RGB frame.

    Yields:
        One result a pair, the first with the boxes as given.

    Raises:
        BoxError: There is no box, or one lies outside the frame.
        ConfigError: The pairs have two streams and the network one.
        InputError: The pairs cannot be read any further; results yielded before stay valid.
    """
    if not boxes:
        raise BoxError("there is no box to follow")
    iterator = iter(pairs)
    for first in iterator:
        yield FrameResult(first, tracker.initialize(first, boxes), 0.0)
        break
    for pair in iterator:
        targets = tracker.update(pair)
        yield FrameResult(pair, targets, tracker.infer_ms)


def track(
    rgb: Path | str,
    aux: Path | str | None = None,
    boxes: Box | Sequence[Box] = (),
    *,
    modality: Modality | str | None = None,
    weights: Path | str = "tiny",
    device: str = "auto",
    precision: PrecisionChoice = "auto",
    start: Position | int | str | None = None,
    end: Position | int | str | None = None,
) -> Iterator[TrackedBox]:
    """Follow one or several targets through a recording.

    Inputs and weights are checked before this returns; frames are read while the result is iterated.

    Args:
        rgb: A video file or a folder of pictures; a thermal one alone is welcome too.
        aux: The second stream: thermal, depth or event pictures of the same scene.
        boxes: Where the targets are in the first frame (that of `start`), in pixels of the RGB frame.
        modality: What `aux` measures; None finds out.
        weights: `tiny`, `base`, a name in the data folder, or a path.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        start: First frame: its 0-based index, or a time such as `"12.5s"`.
        end: First frame not wanted any more.

    Returns:
        A generator of `TrackedBox`, frame after frame, in each frame in the order of `boxes`.

    Raises:
        InputError: A stream cannot be opened, they cannot be paired, or there is no box. While
            iterating: a box lies outside the frame, or the recording is damaged beyond use.
        CheckpointError: The weights are missing, damaged or for something else.
        ConfigError: An argument is invalid, or the device is not there.
    """
    targets = [boxes] if isinstance(boxes, Box) else list(boxes)
    if not targets:
        raise BoxError("there is no box to follow", hint="give boxes=[Box(x, y, w, h)]")
    pairs = open_pair(
        rgb,
        aux,
        modality=_as_modality(modality),
        start=_as_position(start),
        end=_as_position(end),
    )
    try:
        tracker = load_tracker(weights, pairs.modality, device=device, precision=precision)
    except BaseException:
        pairs.close()
        raise
    return _tracked_boxes(pairs, tracker, targets)


def load_tracker(
    weights: Path | str = "tiny",
    modality: Modality | None = None,
    *,
    device: str = "auto",
    precision: PrecisionChoice = "auto",
) -> Tracker:
    """Find weights and return a tracker that runs them.

    Args:
        weights: `tiny`, `base`, a name in the data folder, or a path.
        modality: What the second stream measures; None if there is none.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        CheckpointError: The weights are missing, damaged or for something else.
        ConfigError: The device is not there, or the precision is unknown.
    """
    place = choose_device(device)
    number = choose_precision(precision, place)
    return tracker_for(resolve_weights(weights, modality), str(place), number)


def tracker_for(weights: ResolvedWeights, device: str, precision: Precision) -> Tracker:
    """Return a tracker that runs `weights` by the protocol that suits them."""
    return Tracker(weights.model, weights.tracker_config, device=device, precision=precision)


def _tracked_boxes(pairs: PairedSource, tracker: Tracker, boxes: Sequence[Box]) -> Iterator[TrackedBox]:
    with pairs:
        for result in run(pairs, tracker, boxes):
            yield from result.targets


def _as_modality(given: Modality | str | None) -> Modality | None:
    if given is None or isinstance(given, Modality):
        return given
    try:
        return Modality(given)
    except ValueError:
        raise ConfigError(f"unknown modality {given!r}", hint=", ".join(Modality)) from None


def _as_position(given: Position | int | str | None) -> Position | None:
    if given is None or isinstance(given, Position):
        return given
    return Position(index=given) if isinstance(given, int) else parse_position(given)
