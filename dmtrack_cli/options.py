"""Option types that several commands share, with their help."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.errors import ConfigError
from dmtrack.results.formats import ResultFormat
from dmtrack.video.frame import Modality
from dmtrack.video.streams import OnMissing


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


# Paths are checked by the library, whose errors say more than Typer's could.
RgbArgument = Annotated[
    Path,
    typer.Argument(metavar="RGB", help="RGB video or folder of pictures (a thermal one alone is fine)."),
]
AuxArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="AUX",
        help="Second stream: thermal, depth or event. A video or a folder of pictures.",
        show_default=False,
    ),
]
OffsetOption = Annotated[
    float,
    typer.Option("--offset-ms", metavar="MS", help="Added to the times of AUX.", rich_help_panel="Pairing"),
]
MaxSkewOption = Annotated[
    float | None,
    typer.Option(
        "--max-skew-ms",
        metavar="MS",
        help="Largest distance in time of partners. Default: 9/10 of the slower stream's frame interval.",
        show_default=False,
        rich_help_panel="Pairing",
    ),
]
FolderRateOption = Annotated[
    float,
    typer.Option(
        "--folder-rate",
        metavar="FPS",
        help="Pictures a second of folders, where no video gives a rate.",
        rich_help_panel="Pairing",
    ),
]
OnMissingOption = Annotated[
    OnMissing,
    typer.Option(
        "--on-missing",
        help="What the second stream shows where it has no frame near enough.",
        rich_help_panel="Pairing",
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


def seconds_of_ms(milliseconds: float) -> Fraction:
    """Return milliseconds, as a person wrote them, in exact seconds.

    Raises:
        ConfigError: The value is not finite.
    """
    try:
        return Fraction(str(milliseconds)) / 1000
    except ValueError:
        raise ConfigError(f"{milliseconds} ms is not a time") from None


def folder_rate(pictures_per_second: float) -> Fraction:
    """Return the rate of a folder as an exact, positive number.

    Raises:
        ConfigError: It is not positive or not finite.
    """
    try:
        rate = Fraction(str(pictures_per_second)).limit_denominator(100_000)
    except ValueError:
        rate = Fraction(0)
    if rate <= 0:
        raise ConfigError(f"--folder-rate {pictures_per_second} is not a positive number")
    return rate


def positive_seconds(seconds: float, option: str) -> float:
    """Return a time that is positive and finite.

    Raises:
        ConfigError: It is not.
    """
    if not 0 < seconds < float("inf"):
        raise ConfigError(f"{option} {seconds:g} is not a positive number of seconds")
    return seconds
