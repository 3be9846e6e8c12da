"""Option types that several commands share, with their help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.boxes.formats import ResultFormat
from dmtrack.config import TrackerConfig
from dmtrack.drawing.draw import Layout
from dmtrack.errors import ConfigError
from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.video.frame import Modality
from dmtrack.video.grid import Fit
from dmtrack.video.live.pairs import LiveOptions
from dmtrack.video.streams import OnMissing, PairingOptions, StreamOptions, Sync
from dmtrack.video.track_choice import parse_track
from dmtrack_cli.event_options import CountOption, EventLook, LookOption, WindowOption, event_options


class ModalityChoice(StrEnum):
    """What the second stream measures, or: find out."""

    AUTO = "auto"
    THERMAL = "thermal"
    DEPTH = "depth"
    EVENT = "event"

    @property
    def modality(self) -> Modality | None:
        """The modality; None where it is to be found out."""
        return None if self is ModalityChoice.AUTO else Modality(self.value)


class PrecisionChoice(StrEnum):
    """Type of the network's numbers."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class BackendChoice(StrEnum):
    """What computes the network."""

    TORCH = "torch"
    EAGER = "eager"
    ONNXRUNTIME = "onnxruntime"


# Paths are checked by the library, whose errors say more than Typer's could.
RgbArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RGB", help="RGB video, ROS bag or folder of pictures (a thermal one alone is fine)."
    ),
]
RgbSource = Annotated[
    str,
    typer.Argument(
        metavar="RGB",
        help="RGB video, folder of pictures, or folder of a data set (one stream alone is fine); "
        "or a live stream: rtsp://…, udp://…, tcp://…, a camera's number or /dev/video0.",
    ),
]
AuxSource = Annotated[
    str | None,
    typer.Argument(
        metavar="AUX",
        help="Second stream: thermal, depth or event. A video, a folder of pictures, or a live stream.",
        show_default=False,
    ),
]
AuxArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="AUX",
        help="Second stream: thermal, depth or event. A video, bag, event file or folder of pictures; "
        "the same file again if it holds both.",
        show_default=False,
    ),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="POS",
        help="First frame: 0-based index, or a time (12.5s).",
        show_default=False,
    ),
]
EndOption = Annotated[
    str | None,
    typer.Option("--end", metavar="POS", help="First frame not wanted any more.", show_default=False),
]
PhotographsOption = Annotated[
    Path | None, typer.Option(help="Folder of photographs with instance polygons, to cut objects from.")
]
ThermalImagesOption = Annotated[
    Path | None, typer.Option(help="Folder of thermal images with boxes_xywh.json.")
]
SourceFormatOption = Annotated[
    ResultFormat | None,
    typer.Option("--from", help="Format of the files read. Default: by their content.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_PAIRING = "Pairing"
_RECOVERY = "Lost and found"
_LIVE = "Live"


class RecoveryChoice(StrEnum):
    """Whether targets are given up and found again."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"

    @property
    def is_wanted(self) -> bool | None:
        """The same as a bool; None as suits the weights."""
        return None if self is RecoveryChoice.AUTO else self is RecoveryChoice.ON


@dataclass(frozen=True, slots=True)
class TimePairing:
    """How the two streams are opened and matched in time."""

    offset_ms: Annotated[
        float | None,
        typer.Option(
            "--offset-ms",
            metavar="MS",
            help="Added to the times of AUX. Default: that of --align, else 0.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    max_skew_ms: Annotated[
        float | None,
        typer.Option(
            "--max-skew-ms",
            metavar="MS",
            help="Largest distance in time of partners. Default: 9/10 of the slower stream's frame interval.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    on_missing: Annotated[
        OnMissing,
        typer.Option(
            "--on-missing",
            help="What the network sees where AUX has no frame near enough. hold: the nearest one all the "
            "same. blank: a black one. rgb-only: RGB, without the adapters for AUX. stop: nothing more.",
            rich_help_panel=_PAIRING,
        ),
    ] = OnMissing.HOLD
    sync: Annotated[
        Sync | None,
        typer.Option(
            "--sync",
            help="What partners share. pts: a time, within --max-skew-ms. nearest: the nearest time, however "
            "far. index: their place. Default: pts, or index for folders of equally many pictures.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    rate_ratio: Annotated[
        str | None,
        typer.Option(
            "--rate-ratio",
            metavar="R",
            help="Seconds of RGB's clock in one of AUX's, for clocks that drift: 1001/1000 or 0.9991.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    rgb_stream: Annotated[
        str | None,
        typer.Option(
            "--rgb-stream",
            metavar="SPEC",
            help="Which stream of a file that holds several: a number from 0, title:NAME, color, depth, ir. "
            "Default: by their names.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    aux_stream: Annotated[
        str | None,
        typer.Option(
            "--aux-stream",
            metavar="SPEC",
            help="The same for AUX; without AUX, of the file RGB.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    folder_rate: Annotated[
        float,
        typer.Option(
            "--folder-rate",
            metavar="FPS",
            help="Pictures a second of folders, where no video gives a rate.",
            rich_help_panel=_PAIRING,
        ),
    ] = 30.0
    window_ms: WindowOption = None
    events: CountOption = None
    event_look: LookOption = EventLook.VISEVENT

    @property
    def time_options(self) -> PairingOptions:
        """The same in exact numbers.

        Raises:
            ConfigError: A number is not finite, negative, or a rate of zero; or a stream is not named right.
        """
        return PairingOptions(
            offset_s=seconds_of_ms(self.offset_ms or 0.0),
            max_skew_s=None if self.max_skew_ms is None else seconds_of_ms(self.max_skew_ms),
            sync=self.sync,
            on_missing=self.on_missing,
            folder_rate=folder_rate(self.folder_rate),
            rate_ratio=Fraction(1) if self.rate_ratio is None else ratio(self.rate_ratio),
            rgb=StreamOptions(track=None if self.rgb_stream is None else parse_track(self.rgb_stream)),
            aux=StreamOptions(track=None if self.aux_stream is None else parse_track(self.aux_stream)),
            events=event_options(self.window_ms, self.events),
        )

    def second(self, rgb: Path, aux: Path | None) -> Path | None:
        """Return the file of the second stream: that of the first, where only a stream of it is named."""
        return rgb if aux is None and self.aux_stream is not None else aux


@dataclass(frozen=True, slots=True)
class Pairing(TimePairing):
    """How the two streams are matched in time, and laid over each other."""

    align: Annotated[
        Path | None,
        typer.Option(
            "--align",
            metavar="FILE",
            help="Where AUX lies in RGB, as dmtrack align wrote it.",
            show_default=False,
            rich_help_panel=_PAIRING,
        ),
    ] = None
    fit: Annotated[
        Fit,
        typer.Option(
            "--fit",
            help="Without --align, an AUX of another size or shape: stretched; scaled evenly to fit into RGB "
            "or to cover it; or pixel for pixel.",
            rich_help_panel=_PAIRING,
        ),
    ] = Fit.RESIZE

    @property
    def options(self) -> PairingOptions:
        """The same in exact numbers, with the alignment read.

        Raises:
            ConfigError: A number is out of range, a stream is not named right, or both --align and --fit
                are given.
            FormatError: The alignment file cannot be used.
        """
        options = replace(self.time_options, fit=self.fit)
        if self.align is None:
            return options
        if self.fit is not Fit.RESIZE:
            raise ConfigError("--align and --fit exclude each other", hint="give one of them")
        alignment = read_alignment(self.align)
        if self.offset_ms is None and alignment.offset_ms is not None:
            options = replace(options, offset_s=seconds_of_ms(alignment.offset_ms))
        return replace(options, align=alignment.homography)


@dataclass(frozen=True, slots=True)
class Live:
    """How live streams are read."""

    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="RGB and AUX are live: 0 is a camera. Addresses (rtsp://…) are live anyway.",
            rich_help_panel=_LIVE,
        ),
    ] = False
    max_delay_ms: Annotated[
        float | None,
        typer.Option(
            "--max-delay-ms",
            metavar="MS",
            help="Frames that waited longer are dropped. Default: 200, or what a slower AUX needs.",
            show_default=False,
            rich_help_panel=_LIVE,
        ),
    ] = None
    live_timeout: Annotated[
        float,
        typer.Option(
            "--live-timeout",
            metavar="SECONDS",
            help="A stream that is silent for so long has ended.",
            rich_help_panel=_LIVE,
        ),
    ] = 10.0

    def options(self, pairing: PairingOptions) -> LiveOptions:
        """The same as the library takes it.

        Raises:
            ConfigError: A time is not positive.
        """
        return LiveOptions(
            max_delay_s=None if self.max_delay_ms is None else float(seconds_of_ms(self.max_delay_ms)),
            timeout_s=self.live_timeout,
            offset_s=pairing.offset_s,
            max_skew_s=pairing.max_skew_s,
            on_missing=pairing.on_missing,
        )


@dataclass(frozen=True, slots=True)
class Network:
    """What tracks."""

    weights: Annotated[
        str,
        typer.Option(
            "--weights", metavar="NAME|PATH", help="tiny, base, a name in the data folder, or a file."
        ),
    ] = "tiny"
    precision: Annotated[
        PrecisionChoice,
        typer.Option("--precision", help="Numbers of the network; auto: bf16 if the device computes in it."),
    ] = PrecisionChoice.AUTO
    backend: Annotated[
        BackendChoice,
        typer.Option(
            "--backend",
            help="What computes the network; onnxruntime: CPU only, fp32 or int8. "
            "eager: torch with every step run from Python, crops cut on the CPU.",
        ),
    ] = BackendChoice.TORCH


@dataclass(frozen=True, slots=True)
class Losing:
    """What happens when a target is lost from sight."""

    recovery: Annotated[
        RecoveryChoice,
        typer.Option(
            "--recovery",
            help="Give a target up when its score stays low, and look for it over the whole frame. "
            "off: the published behaviour. auto: as suits the weights.",
            rich_help_panel=_RECOVERY,
        ),
    ] = RecoveryChoice.AUTO
    lost_after: Annotated[
        int | None,
        typer.Option(
            "--lost-after",
            metavar="FRAMES",
            help="Uncertain frames in a row until a target is lost; after as many again it is looked for "
            f"everywhere. Default: {TrackerConfig().lost_after}, or as suits the weights.",
            show_default=False,
            rich_help_panel=_RECOVERY,
        ),
    ] = None
    anchor: Annotated[
        bool | None,
        typer.Option(
            "--anchor/--no-anchor",
            help="Keep the first template for ever. Default: as suits the weights.",
            show_default=False,
            rich_help_panel=_RECOVERY,
        ),
    ] = None
    stop_when_lost: Annotated[
        float | None,
        typer.Option(
            "--stop-when-lost",
            metavar="SECONDS",
            help="End the run when every target has been lost for so long.",
            show_default=False,
            rich_help_panel=_RECOVERY,
        ),
    ] = None

    @property
    def stop_after_s(self) -> Fraction | None:
        """Seconds after which the run ends; None never.

        Raises:
            ConfigError: The time is negative, zero or not finite.
        """
        if self.stop_when_lost is None:
            return None
        return Fraction(str(positive_seconds(self.stop_when_lost, "--stop-when-lost")))

    def applied_to(self, config: TrackerConfig) -> TrackerConfig:
        """Return the protocol of some weights, with what the person wants otherwise.

        Raises:
            ConfigError: An option needs recovery, which is off, or a number is out of range.
        """
        stop_after_s = self.stop_after_s
        if self.recovery is not RecoveryChoice.AUTO:
            config = replace(config, recovery=self.recovery is RecoveryChoice.ON)
        if self.anchor is not None:
            config = replace(config, anchor=self.anchor)
        needing = {"--lost-after": self.lost_after, "--stop-when-lost": stop_after_s}
        for name, value in needing.items():
            if value is not None and not config.recovery:
                raise ConfigError(f"{name} needs recovery, which is off", hint="give --recovery on as well")
        return config if self.lost_after is None else replace(config, lost_after=self.lost_after)


@dataclass(frozen=True, slots=True)
class Picture:
    """What the annotated video shows."""

    layout: Annotated[Layout, typer.Option("--layout", help="What the annotated video shows.")] = Layout.SIDE
    no_video: Annotated[bool, typer.Option("--no-video", help="Write no annotated video.")] = False

    @property
    def shown(self) -> Layout | None:
        """The layout; None without a video."""
        return None if self.no_video else self.layout


def seconds_of_ms(milliseconds: float) -> Fraction:
    """Return milliseconds, as a person wrote them, in exact seconds.

    Raises:
        ConfigError: The value is not finite.
    """
    try:
        return Fraction(str(milliseconds)) / 1000
    except ValueError:
        raise ConfigError(f"{milliseconds} ms is not a time") from None


def ratio(text: str) -> Fraction:
    """Read `1001/1000`, `0.9991` or `29.97/30`.

    Raises:
        ConfigError: It is none of these, or not positive.
    """
    try:
        above, _, below = text.partition("/")
        value = Fraction(above) / Fraction(below or 1)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise ConfigError(f"--rate-ratio {text} is not a positive number or fraction")
    return value


def folder_rate(pictures_per_second: float, option: str = "--folder-rate") -> Fraction:
    """Return the rate of a folder as an exact, positive number.

    Raises:
        ConfigError: It is not positive or not finite.
    """
    try:
        rate = Fraction(str(pictures_per_second)).limit_denominator(100_000)
    except ValueError:
        rate = Fraction(0)
    if rate <= 0:
        raise ConfigError(f"{option} {pictures_per_second} is not a positive number")
    return rate


def positive_seconds(seconds: float, option: str) -> float:
    """Return a time that is positive and finite.

    Raises:
        ConfigError: It is not.
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{option} {seconds:g} is not a positive number of seconds")
    return seconds
