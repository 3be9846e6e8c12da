"""The inputs of a request: its streams opened, the first pair of them, and what a detector saw."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dmtrack.boxes.detections import read_detections
from dmtrack.datasets.survey import DatasetRecording, open_recording
from dmtrack.errors import BoxError, ConfigError, DecodeError, PairingError, VideoError
from dmtrack.run.request import TrackRequest
from dmtrack.run.results_folder import holds_results_alone, shows_results_alone
from dmtrack.run.retracking import OpenAt
from dmtrack.run.start_boxes import MOST_DRAWN, DrawingScene
from dmtrack.tracking.arrivals import SEEN_IN, Detections
from dmtrack.tracking.start import Keyframe, TargetStart
from dmtrack.video.frame import FramePair, VideoInfo
from dmtrack.video.live.pairs import LivePairs, open_live_pair
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position

_log = logging.getLogger(__name__)


def with_streams(request: TrackRequest) -> tuple[TrackRequest, DatasetRecording | None]:
    """Replace a data-set folder in the place of RGB by its streams.

    `InputError`: the folder holds several recordings, or only the results of a run, or cannot be read.
    """
    if request.live_addresses is not None:
        return request, None
    rgb = Path(request.rgb)
    aux = request.pairing.second(rgb, None if request.aux is None else Path(request.aux))
    recording = open_recording(rgb) if aux is None and not holds_results_alone(rgb) else None
    if recording is None and shows_results_alone(rgb):
        raise VideoError(
            "these are results of a run, not a recording",
            where=rgb,
            hint="name the recording; give --continue to track on from results, or draw them with "
            "render --boxes",
        )
    if recording is None:
        return replace(request, rgb=rgb, aux=aux), None
    clip, modality = recording.clip, request.modality or recording.modality
    return replace(request, rgb=clip.rgb, aux=clip.second, modality=modality), recording


def open_inputs(request: TrackRequest) -> PairedSource:
    """Open the streams of a request, recorded or live.

    `InputError`: a stream cannot be used, or the two cannot be paired; `ConfigError`: an option is invalid.
    """
    live = request.live_addresses
    if live is not None:
        return open_live_pair(
            *live,
            modality=request.modality,
            end=request.end,
            options=request.live,
            pairing=request.pairing,
            encoding=request.encoding,
        )
    return open_pair(
        request.rgb,
        request.aux,
        modality=request.modality,
        start=request.start,
        end=request.end,
        pairing=request.pairing,
        encoding=request.encoding,
    )


def opener(request: TrackRequest, pairs: PairedSource) -> OpenAt:
    """Return a function that opens a part of the recording, with the modality that was found."""
    asked = replace(request, modality=pairs.modality)

    def open_at(first: int, end: int | None) -> PairedSource:
        last = asked.end if end is None else Position(index=end)
        part = open_inputs(replace(asked, start=Position(index=first), end=last))
        part.needs_partners = False
        return part

    return open_at


def first_pair(pairs: PairedSource) -> tuple[FramePair, Iterator[FramePair]]:
    """Return the first pair of a recording, and an iterator of the rest; `PairingError` if there is none."""
    rest = iter(pairs)
    first = next(rest, None)
    if first is None:
        raise PairingError(
            "the first frame has no partner",
            where=pairs.rgb_info.path,
            hint="--on-missing hold continues without one",
        )
    return first, rest


def expected_frames(info: VideoInfo, first: FramePair, end: Position | None) -> int | None:
    """Return the number of frames from `first` up to `end`, by the length that the container claims."""
    ends = (info.frame_count, None if end is None else end.index)
    counts = [last - first.rgb.index for last in ends if last is not None]
    if end is not None and end.time_s is not None and info.frame_rate is not None:
        counts.append(-int((first.elapsed_s - end.time_s) * info.frame_rate // 1))
    return max(1, min(counts)) if counts else None


def drawing_scene(
    request: TrackRequest,
    pairs: PairedSource,
    first: FramePair,
    ids: tuple[int, ...] = tuple(range(1, MOST_DRAWN + 1)),
    lowest_frame: int | None = None,
) -> DrawingScene:
    """Return the scene on which a person draws.

    `ids` are those of the boxes, in the order of drawing; `lowest_frame` is the first that may be chosen, by
    default that of `first`.
    """
    count: int | None = 1
    if not isinstance(pairs, LivePairs):
        end = request.end
        with contextlib.suppress(DecodeError):  # the rate alone does not tell where it varies
            stop = pairs.rgb.end_at(end)
            end = None if stop is None else Position(index=stop)
        count = expected_frames(pairs.rgb_info, first, end)
    rgb = Path(request.rgb)
    return DrawingScene(
        first=first,
        open_at=lambda index: opener(request, pairs)(index, None),
        lowest=first.rgb.index if lowest_frame is None else lowest_frame,
        last=None if count is None else first.rgb.index + count - 1,
        ids=ids,
        name=f"{rgb.absolute().parent.name}/{rgb.name}",
    )


def seen_by_detector(
    request: TrackRequest, targets: Sequence[TargetStart], corrections: Sequence[Keyframe], info: VideoInfo
) -> Detections | None:
    """Return the detections that may become targets; None without a detector.

    `targets` are the given first boxes; `corrections`, other given keyframes, cannot be combined with a
    detector. `InputError`: the file cannot be read, or nothing in it can be a target and no box is given;
    `ConfigError`: options contradict each other.
    """
    request.detections.require_file()
    if request.detections.file is None:
        return None
    if corrections:
        raise ConfigError(
            f"target {corrections[0].target_id} has a second box; detections start targets from first boxes",
            where="--detections",
            hint="correct the result with --continue",
        )
    seen = read_detections(request.detections, info)
    if not seen:
        what, where = f"no object is seen in {SEEN_IN} frames or more", request.detections.file
        if not targets:
            raise BoxError(what, where=where, hint="give a lower --min-conf, or a --box")
        _log.warning("%s: %s, so none becomes a target", where, what)
    return seen
