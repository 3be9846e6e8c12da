"""From frame pairs to tracked boxes, as generators; nothing is kept but the tracker's memory."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dmtrack.boxes.detections import DetectionOptions
from dmtrack.config import Backend, Precision, TrackerConfig
from dmtrack.errors import BoxError, ConfigError
from dmtrack.network.backend import choose_backend, choose_device, choose_precision, network_for
from dmtrack.network.inference import Device
from dmtrack.network.weights.store import ResolvedWeights, resolve_weights
from dmtrack.run.corrections import Retracking
from dmtrack.run.inputs import open_inputs, opener, seen_by_detector, with_streams
from dmtrack.run.request import Drawn, NetworkOptions, RecoveryOptions, TrackRequest
from dmtrack.tracking.arrivals import Arrivals
from dmtrack.tracking.cropping import cropper_for
from dmtrack.tracking.result import FrameResult, TrackedBox
from dmtrack.tracking.start import (
    Keyframe,
    Targets,
    TargetStart,
    as_targets,
    numbered,
    starts_and_corrections,
)
from dmtrack.tracking.tracker import Tracker
from dmtrack.video.ahead import ReadAhead
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.pairing import PairedSource
from dmtrack.video.position import Position
from dmtrack.video.second.aux_encoder import EncodingOptions
from dmtrack.video.source import closing_on_error
from dmtrack.video.streams import PairingOptions

_log = logging.getLogger(__name__)


def track_pairs(
    pairs: Iterable[FramePair], tracker: Tracker, targets: Targets, arrivals: Arrivals | None = None
) -> Iterator[FrameResult]:
    """Follow targets through all pairs, each from the frame in which it is given.

    Args:
        pairs: In order; each is dropped before the next one is read.
        tracker: Started over with the first pair.
        targets: A `Box` (or its four numbers) is given in the first pair and takes the lowest free id; a
            `TargetStart` has an id, and maybe a later frame. If that frame is missing, the next one is used.
        arrivals: Starts more targets from a detector's boxes; `targets` may be empty then.

    Yields:
        One result a pair, without targets before the first one starts; where a target starts, with the given
        box.

    Raises:
        BoxError: There is no box, one lies outside the frame or starts before the first pair, an id comes
            twice, or (after all results) the pairs ended before any target started.
        ConfigError: A target is given in more than one frame, or the network is not for the pairs' second
            stream.
        InputError: The pairs cannot be read any further; results yielded before stay valid.
    """
    waiting, later = starts_and_corrections(numbered(as_targets(targets)))
    if later:
        raise ConfigError(
            f"frame {later[0].frame_index} corrects target {later[0].target_id}",
            hint="track() and track_to_folder() follow targets from box to box",
        )
    if not waiting and arrivals is None:
        raise BoxError("there is no box to track")
    last = None
    for pair in pairs:
        last, is_first = pair.rgb.index, last is None
        if is_first:
            _check_starts(waiting, pair)
        due = [start for start in waiting if start.is_due(last)]
        waiting = tuple(start for start in waiting if not start.is_due(last))
        yield _step(pair, tracker, due, arrivals, is_first=is_first)
    if waiting and last is not None:
        late = ", ".join(f"target {start.target_id} at frame {start.frame_index}" for start in waiting)
        said = f"the last frame was {last}, and what starts later was not tracked: {late}"
        if not tracker.targets:
            raise BoxError(said, hint="are the boxes those of this recording?")
        _log.warning("%s", said)


def track(
    rgb: Path | str,
    aux: Path | str | None = None,
    boxes: Targets = (),
    *,
    detections: DetectionOptions | Path | str | None = None,
    modality: Modality | str | None = None,
    weights: Path | str = "tiny",
    device: str = "auto",
    precision: str = "auto",
    start: Position | int | str | None = None,
    end: Position | int | str | None = None,
    pairing: PairingOptions | None = None,
    encoding: EncodingOptions | None = None,
    recovery: RecoveryOptions | None = None,
) -> Iterator[TrackedBox]:
    """Follow one or several targets through a recording.

    Inputs and weights are checked before this returns; frames are read while the result is iterated. The
    files are closed at its end, or when it is garbage collected.

    Args:
        rgb: A video file or a folder of pictures; a thermal one alone is fine too.
        aux: The second stream: thermal, depth or event pictures of the same scene.
        boxes: The targets in the first frame (that of `start`), in pixels of the RGB frame: a `Box` or
            `x, y, w, h`. A `TargetStart` has an id, and a frame if the target comes later.
        detections: A file of a detector's boxes; each object that enters becomes a target.
        modality: What `aux` measures; None finds out.
        weights: `tiny`, `base`, a name in the data folder, or a path.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        precision: `auto`, `fp32`, `bf16`, `fp16` or `int8`.
        start: First frame: its 0-based index, or a time such as `"12.5s"`.
        end: First frame that is not tracked any more.
        pairing: How the streams are matched in time and aligned.
        encoding: How the counts of `aux` become pictures.
        recovery: What happens when a target is lost from sight.

    Returns:
        An iterator of `TrackedBox`, frame after frame, in each frame in the order of their ids (that of
        `boxes`, if these are plain boxes).

    Raises:
        InputError: A stream cannot be opened, they cannot be paired, there is no box, or an id comes
            twice. While iterating: a box lies outside the frame or its frame outside the recording, or
            the recording is damaged beyond use.
        CheckpointError: The weights are missing, damaged or for something else.
        ConfigError: An argument is invalid, or the device does not exist.
    """
    request = TrackRequest(
        rgb,
        aux,
        boxes=boxes,  # type: ignore[arg-type]  # here and below: the request makes them exact
        modality=modality,  # type: ignore[arg-type]
        start=start,  # type: ignore[arg-type]
        end=end,  # type: ignore[arg-type]
        detections=detections if isinstance(detections, DetectionOptions) else DetectionOptions(detections),  # type: ignore[arg-type]
        network=NetworkOptions(str(weights), precision, device=device),  # type: ignore[arg-type]
        pairing=pairing or PairingOptions(),
        encoding=encoding or EncodingOptions(),
    )
    targets, corrections = starts_and_corrections(
        numbered([box for box in request.boxes if not isinstance(box, Drawn)])
    )
    if not targets and request.detections.file is None:
        raise BoxError("there is no box to track", hint="give boxes=[(x, y, w, h)]")
    request, _ = with_streams(request)
    pairs = open_inputs(request)
    with closing_on_error(pairs.close):
        seen = seen_by_detector(request, targets, corrections, pairs.rgb_info)
        arrivals = None if seen is None else Arrivals(seen, [start.target_id for start in targets])
        tracker = load(request.network, pairs.modality, recovery).tracker
    if corrections:
        found = _corrected_boxes(pairs, tracker, request, (*targets, *corrections))
    else:
        found = _tracked_boxes(pairs, tracker, targets, arrivals)
    weakref.finalize(found, pairs.close)  # a generator that was never started does not run its `finally`
    return found


@dataclass(frozen=True, slots=True)
class LoadedTracker:
    """A tracker with its weights, precision and backend."""

    tracker: Tracker
    weights: ResolvedWeights
    precision: Precision
    backend: Backend


def load(
    options: NetworkOptions,
    modality: Modality | None = None,
    recovery: RecoveryOptions | None = None,
    config: TrackerConfig | None = None,
) -> LoadedTracker:
    """Find weights and return a tracker that runs them.

    `modality` is None if there is no second stream; `config` None takes the protocol of the weights.
    `CheckpointError`: the weights are missing, damaged or for something else; `ConfigError`: the device or
    the backend does not exist here, or options contradict each other.
    """
    device, backend, precision, weights = choose_network(options, modality)
    config = (recovery or RecoveryOptions()).applied_to(config or weights.tracker_config)
    config = replace(config, pace=config.pace or options.pace == "auto")
    network = network_for(weights, precision, device, backend, options.threads)
    tracker = Tracker(network, config, cropper=cropper_for(network.device, backend), modality=modality)
    return LoadedTracker(tracker, weights, precision, backend)


def choose_network(
    options: NetworkOptions, modality: Modality | None
) -> tuple[Device, Backend, Precision, ResolvedWeights]:
    """Return the device, backend, precision and weights (not read yet) of `load`; errors as `load`."""
    device = choose_device(options.device)
    backend = choose_backend(options.backend, options.precision, device)
    precision = choose_precision(options.precision, device, backend)
    return device, backend, precision, resolve_weights(options.weights, modality)


def load_tracker(
    weights: Path | str = "tiny",
    modality: Modality | str | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    config: TrackerConfig | None = None,
    recovery: RecoveryOptions | None = None,
) -> Tracker:
    """Find weights and return a tracker that runs them.

    Args:
        weights: `tiny`, `base`, a name in the data folder, or a path.
        modality: What the second stream measures; None if there is none.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        precision: `auto`, `fp32`, `bf16`, `fp16` or `int8`.
        backend: `openvino` on CPUs; `torch`; `eager`, the same on a GPU without CUDA graphs and with crops
            cut on the CPU; or `auto`: OpenVINO on a CPU, PyTorch elsewhere.
        config: The protocol; None takes that of the weights.
        recovery: What happens when a target is lost from sight.

    Raises:
        CheckpointError: The weights are missing, damaged or for something else.
        ConfigError: The device or backend does not exist here, or the precision or modality is unknown.
    """
    options = NetworkOptions(str(weights), precision, backend, device)  # type: ignore[arg-type]
    return load(options, None if modality is None else Modality.of(modality), recovery, config).tracker


def _check_starts(starts: Sequence[TargetStart], first: FramePair) -> None:
    """Check the boxes and frames of later targets at the start, not when their frames come."""
    for start in starts:
        start.box.require_inside(first.rgb.width, first.rgb.height)
        if start.frame_index is not None and start.frame_index < first.rgb.index:
            raise BoxError(
                f"target {start.target_id} starts at frame {start.frame_index}, "
                f"but the first frame is {first.rgb.index}"
            )


def _step(
    pair: FramePair,
    tracker: Tracker,
    due: Sequence[TargetStart],
    arrivals: Arrivals | None,
    *,
    is_first: bool,
) -> FrameResult:
    """Find the followed targets, and start those that are due."""
    found: tuple[TrackedBox, ...] = ()
    infer_ms = 0.0
    if is_first:
        tracker.initialize(pair, [])
    elif tracker.targets:
        found = tracker.update(pair)
        infer_ms = tracker.infer_ms
    here = pair.rgb.index
    for one in due:
        if one.frame_index not in (None, here):
            said = "frame %s is missing: target %d starts at frame %d"
            _log.warning(said, one.frame_index, one.target_id, here)
    if due:
        found += tracker.add(pair, [start.box for start in due], [start.target_id for start in due])
    if arrivals is not None:
        arrivals.given(pair, tracker, due)
        found = arrivals.take(pair, tracker, found)
    return FrameResult(pair, tuple(sorted(found, key=lambda target: target.target_id)), infer_ms)


def _tracked_boxes(
    pairs: PairedSource, tracker: Tracker, targets: Sequence[TargetStart], arrivals: Arrivals | None
) -> Iterator[TrackedBox]:
    with pairs, ReadAhead(pairs) as ready:
        for result in track_pairs(ready, tracker, targets, arrivals):
            yield from result.targets


def _corrected_boxes(
    pairs: PairedSource, tracker: Tracker, request: TrackRequest, keyframes: Sequence[Keyframe]
) -> Iterator[TrackedBox]:
    with pairs:
        first = next(iter(pairs), None)
        if first is None:
            return
        placed = [
            replace(key, frame_index=first.rgb.index) if key.frame_index is None else key for key in keyframes
        ]
        rows = Retracking.of(placed, request).track(opener(request, pairs), tracker)
    for index in sorted(rows.boxes):
        yield from rows.at(index)
