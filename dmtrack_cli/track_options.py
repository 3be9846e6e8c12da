"""What one run of `dmtrack track` is asked to do, as values: its inputs, its network, its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from dmtrack.config import ModelConfig, TrackerConfig
from dmtrack.datasets.survey import DatasetRecording, open_recording
from dmtrack.drawing.draw import Layout
from dmtrack.geometry.homography import Homography
from dmtrack.tracking.start import TargetStart
from dmtrack.video.aux_encoder import AuxNorm
from dmtrack.video.frame import Modality
from dmtrack.video.grid import Fit
from dmtrack.video.live.address import LiveAddress, is_live, parse_address
from dmtrack.video.live.pairs import LiveOptions
from dmtrack.video.position import Position
from dmtrack.video.streams import BY_TIME, OnMissing, PairingOptions
from dmtrack_cli import results_folder
from dmtrack_cli.options import Live, Losing, Network, Pairing, Picture
from dmtrack_cli.pick.choice import PICK_TIMEOUT_S
from dmtrack_cli.pick.drawing import PickKind
from dmtrack_cli.sensor_options import Counts, SideTimes
from dmtrack_cli.video_options import VideoCodecs


@dataclass(frozen=True, slots=True)
class LiveInputs:
    """Live streams, and how they are read."""

    rgb: LiveAddress
    aux: LiveAddress | None
    options: LiveOptions

    @classmethod
    def of(cls, rgb: str, aux: str | None, live: Live, pairing: Pairing) -> LiveInputs | None:
        """Return what the person named, if it is live.

        Raises:
            VideoError: One of the two is no live stream, and the other one is.
            ConfigError: A time is not positive.
        """
        given = [word for word in (rgb, aux) if word is not None]
        if not live.live and not any(is_live(word) for word in given):
            return None
        options = live.options(pairing.options)
        return cls(parse_address(rgb), None if aux is None else parse_address(aux), options)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is read, how the streams are paired, and where the boxes come from.

    `pairing_options` is made of `pairing` and `times` by `resolved`, which reads their files, once.
    """

    rgb: Path
    aux: Path | None = None
    modality: Modality | None = None
    start: Position | None = None
    end: Position | None = None
    pairing: Pairing = field(default_factory=Pairing)
    times: SideTimes = field(default_factory=SideTimes)
    counts: Counts = field(default_factory=Counts)
    boxes: tuple[str, ...] = ()
    box_files: tuple[Path, ...] = ()
    pick: PickKind = PickKind.AUTO
    pick_timeout_s: float = PICK_TIMEOUT_S
    live: LiveInputs | None = None
    pairing_options: PairingOptions = BY_TIME

    def resolved(self) -> tuple[Inputs, DatasetRecording | None]:
        """Read what the options name; where RGB is a data-set folder, put its streams in its place.

        Raises:
            InputError: The folder is incomplete, or holds several recordings; or a file cannot be used.
            ConfigError: An option is out of range.
        """
        recording = None if self.aux is not None or self.live is not None else open_recording(self.rgb)
        matched = replace(self, pairing_options=self.times.applied_to(self.pairing.options))
        if recording is None:
            return matched, None
        clip, modality = recording.clip, self.modality or recording.modality
        return replace(matched, rgb=clip.rgb, aux=clip.second, modality=modality), recording

    def decoded_on(self, gpu: int | None) -> Inputs:
        """Return the same, decoded on a CUDA device where that suits (None: on the processor)."""
        return replace(self, pairing_options=replace(self.pairing_options, gpu=gpu))


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the network runs on, and what decodes and encodes videos.

    `video_gpu` is made of `video` and the network's device by `prepared_run`: the number of a CUDA device.
    `tuned`: whether fewer than `threads` are used where that is found to be faster.
    """

    device: str = "auto"
    threads: int | None = None
    video: VideoCodecs = field(default_factory=VideoCodecs)
    video_gpu: int | None = None
    tuned: bool = False


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is written, and where."""

    folder: Path
    picture: Picture = field(default_factory=Picture)
    overwrite: bool = False
    show: bool = False

    @property
    def names(self) -> list[str]:
        """The files of the run, the record last."""
        video = [] if self.picture.shown is None else [results_folder.VIDEO]
        return [
            *video,
            results_folder.MOT,
            results_folder.TABLE,
            results_folder.SCORES,
            results_folder.RECORD,
        ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that one run is asked to do."""

    inputs: Inputs
    outputs: Outputs
    network: Network = field(default_factory=Network)
    losing: Losing = field(default_factory=Losing)
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True, slots=True)
class LiveRecord:
    """Live streams as they stand in `run.json`, without passwords."""

    rgb: str
    aux: str | None
    max_delay_s: float | None
    timeout_s: float

    @classmethod
    def of(cls, live: LiveInputs) -> LiveRecord:
        """Return the record of live streams."""
        aux = None if live.aux is None else live.aux.shown
        return cls(live.rgb.shown, aux, live.options.max_delay_s, live.options.timeout_s)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The resolved configuration, as it stands in `run.json`."""

    targets: tuple[TargetStart, ...]
    boxes_from: str
    modality: Modality | None
    modality_from: str | None
    start: str | None
    end: str | None
    stop_when_lost_s: Fraction | None
    layout: Layout | None
    model: ModelConfig
    tracker: TrackerConfig
    weights_files: dict[str, str]
    align: Homography | None
    fit: Fit
    live: LiveRecord | None = None


@dataclass(frozen=True, slots=True)
class Clocks:
    """How the times of the two streams were related."""

    sync: str | None
    offset_s: Fraction
    max_skew_s: Fraction | None
    on_missing: OnMissing
    rate_ratio: Fraction
    rgb_times: Path | None
    aux_times: Path | None


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How the second stream's counts became pictures, as it stands in `run.json`."""

    aux_norm: AuxNorm
    aux_range: str | None
    depth_scale_mm: Fraction | None
