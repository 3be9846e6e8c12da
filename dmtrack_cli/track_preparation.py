"""Everything that is opened and checked before a run of `dmtrack track` begins."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dmtrack.config import TrackerConfig
from dmtrack.errors import ConfigError, PairingError
from dmtrack.output.record import InputRecord, RunRecord, Versions, WeightsRecord
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import FramePair, Modality, VideoInfo
from dmtrack.video.grid import grid_by
from dmtrack.video.live.address import hide_password
from dmtrack.video.live.pairs import LivePairs, open_live_pair
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position
from dmtrack_cli import results_folder
from dmtrack_cli.arguments import PICK
from dmtrack_cli.boxes import StartBoxes, choose_boxes, startable
from dmtrack_cli.pick.choice import draw_targets
from dmtrack_cli.pick.drawing import Scene
from dmtrack_cli.track_options import Clocks, Configuration, Inputs, LiveRecord, Preprocessing, Wanted
from dmtrack_cli.track_run import TrackRun
from dmtrack_cli.truth import GroundTruth

if TYPE_CHECKING:
    import torch

    from dmtrack.network.backend import Backend
    from dmtrack.network.fast.kernels import Precision
    from dmtrack.network.weights.store import ResolvedWeights
    from dmtrack.tracking.tracker import Tracker


@contextlib.contextmanager
def prepared_run(wanted: Wanted) -> Iterator[TrackRun]:
    """Open and check everything a run needs, the quick things first; nothing is tracked yet.

    Raises:
        InputError: A stream, a box or a ground-truth file cannot be used.
        ConfigError: An option is invalid, or the device is not there.
        CheckpointError: The weights are missing, damaged or for something else.
        OutputError: A result exists, or the folder cannot be written to.
        Stopped: The person drew no box.
    """
    given, outputs = wanted.inputs, wanted.outputs
    with contextlib.ExitStack() as stack:
        wanted = _with_video_gpu(wanted)
        inputs, recording = given.resolved()
        inputs = inputs.decoded_on(wanted.hardware.video_gpu)
        sequences = () if recording is None else recording.sequences
        truth = GroundTruth(
            given.rgb, sequences, is_start_given=inputs.start is not None, is_live=given.live is not None
        )
        pairs = stack.enter_context(_open(inputs))
        first, rest = first_pair(pairs)
        stack.enter_context(
            results_folder.prepared_folder(outputs.folder, outputs.names, overwrite=outputs.overwrite)
        )
        load = functools.cache(lambda: _load(wanted, pairs.modality))
        draw = _Drawing(inputs, pairs, first, before=load)
        start = choose_boxes(inputs.boxes, inputs.box_files, first, draw, truth)
        if start.first_frame != first.rgb.index:
            inputs = replace(inputs, start=Position(index=start.first_frame))
            pairs.close()
            pairs = stack.enter_context(_open(inputs))
            first, rest = first_pair(pairs)
        start = startable(start, pairs.rgb_info, inputs.end)
        if recording is not None and given.modality is None and pairs.modality is not None:
            pairs.modality_reason = recording.layout_reason
        tracker, resolved, precision = load()
        if isinstance(pairs, LivePairs):
            first = _fresh(pairs, first, rest, is_drawn=any(text.strip() == PICK for text in inputs.boxes))
        wanted = replace(wanted, inputs=inputs)
        configuration = _configuration(wanted, pairs, start, resolved, tracker.config)
        record = RunRecord(
            command=["dmtrack", *(hide_password(word) for word in sys.argv[1:])],
            versions=Versions.collect(),
            inputs=_input_records(pairs),
            configuration=configuration,
            weights=WeightsRecord(resolved.name, resolved.files[-1].sha256),
            device=str(tracker.network.device),
            precision=precision,
            backend=wanted.network.backend.value,
            preprocessing=_preprocessing(pairs),
            clocks=_clocks(inputs, pairs),
            outputs=outputs.names[:-1],
        )
        frames = None if inputs.live else expected_frames(pairs.rgb_info, first, inputs.end)
        yield TrackRun(pairs, first, rest, start, tracker, record, wanted, frames)


def expected_frames(info: VideoInfo, first: FramePair, end: Position | None) -> int | None:
    """Return how many frames there are from `first` up to `end`, from what the container claims."""
    last = info.frame_count
    if end is not None and end.index is not None:
        last = end.index if last is None else min(last, end.index)
    elif end is not None and end.time_s is not None and info.frame_rate is not None:
        by_time = -int(-end.time_s * info.frame_rate // 1)
        last = by_time if last is None else min(last, by_time)
    return None if last is None else max(1, last - first.rgb.index)


def first_pair(pairs: PairedSource) -> tuple[FramePair, Iterator[FramePair]]:
    """Return the first pair of a recording, and the pairs after it.

    Raises:
        PairingError: There is none.
    """
    rest = iter(pairs)
    first = next(rest, None)
    if first is None:
        raise PairingError(
            "the first frame has no partner",
            where=pairs.rgb_info.path,
            hint="--on-missing hold goes on without",
        )
    return first, rest


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Lets the person draw on this recording, once everything else that can go wrong has been tried."""

    inputs: Inputs
    pairs: PairedSource
    first: FramePair
    before: Callable[[], object]

    def __call__(self, ids: tuple[int, ...], lowest_frame: int) -> tuple[TargetStart, ...]:
        self.before()
        inputs, modality = self.inputs, self.pairs.modality
        count = 1 if inputs.live else expected_frames(self.pairs.rgb_info, self.first, inputs.end)
        scene = Scene(
            first=self.first,
            open_at=lambda index: _open(replace(inputs, start=Position(index=index), modality=modality)),
            lowest=lowest_frame,
            last=None if count is None else self.first.rgb.index + count - 1,
            ids=ids,
            name=f"{inputs.rgb.absolute().parent.name}/{inputs.rgb.name}",
        )
        return draw_targets(scene, inputs.pick, inputs.pick_timeout_s)


def _fresh(pairs: LivePairs, first: FramePair, rest: Iterator[FramePair], *, is_drawn: bool) -> FramePair:
    """Leave what came while the network was loaded; a box that was drawn belongs to the frame it is on."""
    if is_drawn:
        pairs.begin(first.rgb.index + 1)
        return first
    pairs.begin()
    return next(rest, first)


def _open(inputs: Inputs) -> PairedSource:
    live = inputs.live
    if live is not None:
        return open_live_pair(
            live.rgb,
            live.aux,
            modality=inputs.modality,
            end=inputs.end,
            options=live.options,
            to_grid=grid_by(inputs.pairing_options.align, inputs.pairing_options.fit),
            encoding=inputs.counts.options,
        )
    return open_pair(
        inputs.rgb,
        inputs.aux,
        modality=inputs.modality,
        start=inputs.start,
        end=inputs.end,
        pairing=inputs.pairing_options,
        encoding=inputs.counts.options,
    )


def _with_video_gpu(wanted: Wanted) -> Wanted:
    """Settle what decodes and encodes videos; torch is loaded only where there is an NVIDIA driver."""
    hardware = wanted.hardware
    gpu = hardware.video.gpu(lambda: _device(wanted))
    return replace(wanted, hardware=replace(hardware, video_gpu=gpu))


def _load(wanted: Wanted, modality: Modality | None) -> tuple[Tracker, ResolvedWeights, Precision]:
    # Only from here on torch is needed: a wrong path or box was reported without waiting for it.
    device = _device(wanted)
    from dmtrack.network.backend import choose_precision, network_for
    from dmtrack.network.weights.store import resolve_weights
    from dmtrack.tracking.cropping import cropper_for
    from dmtrack.tracking.tracker import Tracker

    backend: Backend = wanted.network.backend.value
    precision = choose_precision(wanted.network.precision.value, device, backend)
    resolved = resolve_weights(wanted.network.weights, modality)
    config = wanted.losing.applied_to(resolved.tracker_config)
    network = network_for(resolved, precision, device, backend)
    return Tracker(network, config, cropper=cropper_for(device, backend)), resolved, precision


def _device(wanted: Wanted) -> torch.device:
    """Load torch as it is to run, and choose the network's device."""
    import torch

    from dmtrack.network.backend import choose_device

    threads = wanted.hardware.threads
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"--threads {threads} is below 1")
        torch.set_num_threads(threads)
    return choose_device(wanted.hardware.device)


def _configuration(
    wanted: Wanted, pairs: PairedSource, start: StartBoxes, resolved: ResolvedWeights, tracker: TrackerConfig
) -> Configuration:
    begin, end = wanted.inputs.start, wanted.inputs.end
    pairing = wanted.inputs.pairing_options
    return Configuration(
        targets=start.targets,
        boxes_from=start.origin,
        modality=pairs.modality,
        modality_from=pairs.modality_reason,
        start=None if begin is None else str(begin),
        end=None if end is None else str(end),
        stop_when_lost_s=wanted.losing.stop_after_s,
        layout=wanted.outputs.picture.shown,
        model=resolved.model.config,
        tracker=tracker,
        weights_files=resolved.sha256,
        align=pairing.align,
        fit=pairing.fit,
        live=None if wanted.inputs.live is None else LiveRecord.of(wanted.inputs.live),
    )


def _input_records(pairs: PairedSource) -> list[InputRecord]:
    records = [InputRecord.of("rgb", pairs.rgb_info)]
    return records if pairs.aux_info is None else [*records, InputRecord.of("aux", pairs.aux_info)]


def _clocks(inputs: Inputs, pairs: PairedSource) -> Clocks:
    pairing, times = inputs.pairing_options, inputs.times
    return Clocks(
        sync=pairs.sync,
        offset_s=pairing.offset_s,
        max_skew_s=pairs.max_skew_s,
        on_missing=pairing.on_missing,
        rate_ratio=pairing.rate_ratio,
        rgb_times=times.rgb_times,
        aux_times=times.aux_times,
    )


def _preprocessing(pairs: PairedSource) -> Preprocessing | None:
    if pairs.aux_info is None:
        return None
    encoding = pairs.encoding
    return Preprocessing(
        aux_norm=encoding.resolved_norm,
        aux_range=None if encoding.range is None else str(encoding.range),
        depth_scale_mm=encoding.depth_scale_mm or pairs.aux_info.depth_unit_mm,
    )
