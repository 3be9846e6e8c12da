"""`TrackRequest`: a complete request to track a recording, and the option types it is made of.

Its fields are the options of `dmtrack track`; `run.json` records them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from dmtrack.boxes.detections import DetectionOptions
from dmtrack.boxes.formats.mot import USUAL, MotOptions
from dmtrack.boxes.keyframes import KEYFRAMES
from dmtrack.boxes.reading import MOT, TABLE
from dmtrack.config import Backend, Pace, PrecisionChoice, TrackerConfig, chosen
from dmtrack.drawing.draw import Layout
from dmtrack.drawing.trail import PLAIN, VideoOptions
from dmtrack.errors import ConfigError
from dmtrack.geometry.box import Box, BoxFormat
from dmtrack.options import Option, command_words, make_exact, number_text, positive_seconds
from dmtrack.output.record import RECORD
from dmtrack.run.codecs import CodecOptions
from dmtrack.run.results_folder import ROOT, SCORES, TRAJECTORY, VIDEO, default_folder
from dmtrack.tracking.start import Absence, Keyframe, TargetStart, as_targets, parse_target
from dmtrack.video.frame import Modality
from dmtrack.video.live.address import LiveAddress, is_live, parse_address
from dmtrack.video.live.pairs import LiveOptions
from dmtrack.video.position import Position, parse_position
from dmtrack.video.second.aux_encoder import EncodingOptions
from dmtrack.video.streams import PairingOptions

_CORRECT: Final = "Correct and continue"
_LIVE_PAIRING: Final = ("--offset-ms", "--max-skew-ms", "--on-missing", "--split", "--align", "--fit")


class RecoveryChoice(StrEnum):
    """Whether lost targets are given up and searched again."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Drawn(Enum):
    """Stands for a box that a person will draw."""

    DRAWN = "pick"


DRAWN: Final = Drawn.DRAWN


class TwoWay(StrEnum):
    """Whether targets are followed backward from keyframes too."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


def parse_box(text: str) -> Box | TargetStart | Drawn:
    """Read `x,y,w,h`, `id:x,y,w,h`, or `pick` as `DRAWN`; `BoxError` for anything else."""
    return DRAWN if text.strip() == DRAWN.value else parse_target(text)


def _box_text(box: Box | Keyframe | Drawn) -> str:
    if isinstance(box, Drawn):
        return str(box.value)
    if isinstance(box, Absence):
        raise ConfigError(f"target {box.target_id} is absent, which only {KEYFRAMES} can say")
    numbers = ",".join(repr(value) for value in (box.box if isinstance(box, TargetStart) else box).xywh)
    return f"{box.target_id}:{numbers}" if isinstance(box, TargetStart) else numbers


def parse_modality(text: str) -> Modality | None:
    """Read the name of a modality, or `auto` as None; `ValueError` for anything else."""
    word = text.strip().lower()
    if word == "auto":
        return None
    if word not in [*Modality]:
        raise ValueError(f"{text!r} is not one of auto, {', '.join(Modality)}")
    return Modality(word)


# Paths are checked where they are opened: those errors say more than a command line's could.
RGB: Final = Option(
    "RGB",
    "RGB video, ROS bag, folder of pictures, or folder of a data set (a thermal stream alone works too).",
)
AUX: Final = Option(
    "AUX",
    "Second stream: thermal, depth or event. A video, bag, event file or folder of pictures; repeat RGB "
    "if that file holds both.",
)
SOURCE_FORMAT: Final = Option("--from", "Format of the input files. Default: recognised by content.")
START: Final = Option(
    "--start", "First frame: 0-based index, or a time (12.5s).", metavar="POS", parse=parse_position
)
END: Final = Option(
    "--end", "End (exclusive): 0-based index, or a time (12.5s).", metavar="POS", parse=parse_position
)
MODALITY: Final = Option(
    "--modality",
    "What AUX measures; auto: detected.",
    metavar="[auto|thermal|depth|event]",
    parse=parse_modality,
)


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The network, and the hardware that it runs on."""

    weights: Annotated[
        str,
        Option(
            "--weights",
            "Weights: tiny, tiny-open, base, a name in the data folder, or a file.",
            metavar="NAME|PATH",
        ),
    ] = "tiny"
    precision: Annotated[
        PrecisionChoice,
        Option(
            "--precision",
            "Number format of the network; auto: bf16 if the device is faster in it, else fp32.",
        ),
    ] = "auto"
    backend: Annotated[
        Backend,
        Option(
            "--backend",
            "Library that runs the network; auto: OpenVINO on a CPU, PyTorch on a GPU. eager: torch with "
            "each operation run from Python and crops cut on the CPU.",
        ),
    ] = "auto"
    device: Annotated[str, Option("--device", "auto, cpu, cuda:0 or mps.", metavar="NAME")] = "auto"
    threads: Annotated[
        int | None,
        Option(
            "--threads",
            "Threads of the network on a CPU. Default: one per core.",
            metavar="N",
            least=1,
            most=4096,
        ),
    ] = None
    pace: Annotated[
        Pace,
        Option(
            "--pace",
            "auto: search for targets that are sure and slow only every other frame, and extrapolate "
            "between; about twice as fast with many targets.",
        ),
    ] = "off"

    def __post_init__(self) -> None:
        make_exact(self)
        chosen("pace", self.pace, Pace)
        chosen("precision", self.precision, PrecisionChoice)
        chosen("backend", self.backend, Backend)


@dataclass(frozen=True, slots=True)
class RecoveryOptions:
    """What happens when a target is lost from sight."""

    PANEL: ClassVar = "Lost and found"

    recovery: Annotated[
        RecoveryChoice,
        Option(
            "--recovery",
            "on: declare a target lost when its score stays low, and search the whole frame for it. off: "
            "the published behaviour. auto: depends on the weights.",
        ),
    ] = RecoveryChoice.AUTO
    lost_after: Annotated[
        int | None,
        Option(
            "--lost-after",
            "Uncertain frames in a row until a target is lost; after as many more, the whole frame is "
            f"searched. Default: {TrackerConfig().lost_after}, or as the weights say.",
            metavar="FRAMES",
            least=1,
        ),
    ] = None
    anchor: Annotated[
        bool | None,
        Option("--anchor/--no-anchor", "Keep the first template for ever. Default: depends on the weights."),
    ] = None
    stop_when_lost_s: Annotated[
        Fraction | None,
        Option(
            "--stop-when-lost",
            "End the run when every target has been lost for this long.",
            metavar="SECONDS",
            parse=positive_seconds,
            write=number_text,
        ),
    ] = None

    def __post_init__(self) -> None:
        make_exact(self)

    def applied_to(self, config: TrackerConfig) -> TrackerConfig:
        """Return the protocol of some weights, changed by these options.

        Raises:
            ConfigError: An option needs recovery, which is off, or a number is out of range.
        """
        if self.recovery != RecoveryChoice.AUTO:
            config = replace(config, recovery=self.recovery == RecoveryChoice.ON)
        if self.anchor is not None:
            config = replace(config, anchor=self.anchor)
        needing = {"--lost-after": self.lost_after, "--stop-when-lost": self.stop_when_lost_s}
        for name, value in needing.items():
            if value is not None and not config.recovery:
                raise ConfigError(f"{name} needs recovery, which is off", hint="give --recovery on as well")
        return config if self.lost_after is None else replace(config, lost_after=self.lost_after)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Which results are written, and where."""

    folder: Annotated[
        Path | None, Option("-o --output", "Results folder. Default: dmtrack-results/NAME.", metavar="DIR")
    ] = None
    layout: Annotated[Layout, Option("--layout", "What the annotated video shows.")] = Layout.SIDE
    no_video: Annotated[bool, Option("--no-video", "Write no annotated video.")] = False
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing results.")] = False
    video: VideoOptions = PLAIN
    mot: MotOptions = USUAL

    def __post_init__(self) -> None:
        make_exact(self)

    @property
    def video_layout(self) -> Layout | None:
        """Layout of the annotated video; None without a video."""
        return None if self.no_video else self.layout

    @property
    def names(self) -> tuple[str, ...]:
        """The files of a run, `run.json` last."""
        return (*(() if self.no_video else (VIDEO,)), MOT, TABLE, KEYFRAMES, SCORES, TRAJECTORY, RECORD)


@dataclass(frozen=True, slots=True)
class TrackRequest:
    """What to track, how, and what to write.

    Attributes:
        boxes: The targets in the first frame, in pixels: a `Box` or four numbers. A `TargetStart` has an id,
            and maybe a later frame; a second one of an id corrects the track, an `Absence` marks frames
            without the target. Each `DRAWN` is a box that a person draws. With neither boxes nor `box_files`
            nor `detections`, ground truth is looked for beside `rgb`.
        batch: What `run.json` records about the batch that the run belongs to.
    """

    rgb: Annotated[
        Path | str,
        Option(
            "RGB",
            "RGB video, ROS bag, folder of pictures, or folder of a data set (a single stream works too); "
            "or a live stream: rtsp://…, udp://…, tcp://…, a camera's number or /dev/video0.",
            parse=str,
        ),
    ]
    aux: Annotated[
        Path | str | None,
        Option(
            "AUX",
            "Second stream: thermal, depth or event. A video, bag, event file, folder of pictures or live "
            "stream; repeat RGB if that file holds both.",
            parse=str,
        ),
    ] = None
    boxes: Annotated[
        tuple[Box | Keyframe | Drawn, ...],
        Option(
            "--box",
            "The target's box in the first frame, in pixels; repeat it for several targets (2:X,Y,W,H sets "
            "the id). Bare: draw the boxes. Default: ground truth found beside RGB.",
            metavar="[X,Y,W,H]",
            parse=parse_box,
            write=_box_text,
        ),
    ] = ()
    box_files: Annotated[
        tuple[Path, ...],
        Option(
            "--box-file",
            "File of boxes: ground truth (its first row), YOLO text, keyframes.csv, or any that dmtrack "
            "export reads (MOT, boxes.csv, COCO): each target from its first row on, corrected by rows "
            "after a gap.",
            metavar="FILE",
        ),
    ] = ()
    box_format: Annotated[
        BoxFormat,
        Option(
            "--box-format",
            "Meaning of a box's four numbers: corner and size, two corners, or centre and size. Numbers up "
            "to 1 are fractions of the frame.",
        ),
    ] = BoxFormat.XYWH
    continues: Annotated[
        bool,
        Option(
            "--continue",
            "RGB is the results folder of an earlier run: track again only what depends on the new boxes.",
            panel=_CORRECT,
        ),
    ] = False
    from_frame: Annotated[
        Position | None,
        Option(
            "--from",
            "With --continue: the frame of --box, as an index or a time (12.5s). Earlier rows stay, unless "
            "--two-way is on.",
            metavar="POS",
            panel=_CORRECT,
            parse=parse_position,
        ),
    ] = None
    two_way: Annotated[
        TwoWay,
        Option(
            "--two-way",
            "Between two boxes of a target, also track backward from the later one and join both tracks.",
            panel=_CORRECT,
        ),
    ] = TwoWay.AUTO
    modality: Annotated[Modality | None, MODALITY] = None
    start: Annotated[Position | None, START] = None
    end: Annotated[Position | None, END] = None
    detections: DetectionOptions = field(default_factory=DetectionOptions)
    network: NetworkOptions = field(default_factory=NetworkOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    codecs: CodecOptions = field(default_factory=CodecOptions)
    recovery: RecoveryOptions = field(default_factory=RecoveryOptions)
    pairing: PairingOptions = field(default_factory=PairingOptions)
    encoding: EncodingOptions = field(default_factory=EncodingOptions)
    live: LiveOptions = field(default_factory=LiveOptions)
    batch: object = None

    def __post_init__(self) -> None:
        make_exact(self)
        object.__setattr__(self, "boxes", _checked_boxes(self.boxes))

    @property
    def says_targets(self) -> bool:
        """Whether it names the targets, so that no ground truth is needed."""
        return bool(self.boxes or self.box_files or self.detections.file)

    @property
    def live_addresses(self) -> tuple[LiveAddress, LiveAddress | None] | None:
        """The addresses of live streams; None for a recording.

        Raises:
            VideoError: One of the two is a live stream, and the other one is not.
        """
        if not self.live.live and not any(is_live(str(word)) for word in (self.rgb, self.aux)):
            return None
        return parse_address(str(self.rgb)), None if self.aux is None else parse_address(str(self.aux))

    @property
    def folder(self) -> Path:
        """The results folder; by default named after the RGB stream, for live streams after date and time."""
        if self.output.folder is not None:
            return self.output.folder
        if self.live_addresses is None:
            return default_folder(Path(self.rgb))
        return Path(ROOT) / time.strftime("live-%Y%m%d-%H%M%S")

    @property
    def command(self) -> list[str]:
        """The words of an equivalent `dmtrack track`; files are named by `recorded`."""
        output = self.output
        if self._is_absolute:
            output = replace(output, folder=self.folder.absolute())
        return ["dmtrack", "track", *command_words(replace(self, output=output), self.recorded)]

    @property
    def _is_absolute(self) -> bool:
        """Whether a stream or the results folder of a recording has an absolute path."""
        named = (self.rgb, self.aux or self.rgb, self.folder)
        return self.live_addresses is None and any(Path(one).is_absolute() for one in named)

    def recorded(self, name: str) -> str:
        """Return how `run.json` names a file: absolute if the file exists and a stream or the results are.

        So the path between results and file, by which it is found again, can be computed from two paths of
        one kind.
        """
        return str(Path(name).absolute()) if self._is_absolute and Path(name).exists() else name

    def require_live_options(self) -> None:
        """Refuse options that only make sense for recordings.

        Raises:
            ConfigError: Such an option is given.
        """
        if self.start is not None:
            raise ConfigError("a live stream begins now", where="--start")
        if self.detections.file is not None:
            raise ConfigError(
                "is a file about a recording; a live stream has none yet",
                where="--detections",
                hint="draw the targets with a bare --box, or record the stream first",
            )
        for word in command_words(self.pairing):
            option = word.partition("=")[0]
            if option not in _LIVE_PAIRING:
                raise ConfigError("this is for recordings, not for live streams", where=option)


def _checked_boxes(boxes: Any) -> tuple[Box | Keyframe | Drawn, ...]:  # noqa: ANN401 - as a caller types them
    """Convert numbers to boxes, and put `DRAWN` last."""
    if not isinstance(boxes, list | tuple):
        return as_targets(boxes)
    drawn = [one for one in boxes if isinstance(one, Drawn)]
    return (*as_targets([one for one in boxes if not isinstance(one, Drawn)]), *drawn)
