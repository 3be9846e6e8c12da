"""Options about what sensors write: side files of time stamps, and counts that become pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.errors import ConfigError
from dmtrack.video.aux_encoder import AuxNorm, EncodingOptions, parse_aux_range
from dmtrack.video.streams import PairingOptions
from dmtrack.video.time_file import TimestampUnit

_TIMES = "Side files of times"
_COUNTS = "Sensor counts"


@dataclass(frozen=True, slots=True)
class SideTimes:
    """Files with the times of one recording's frames."""

    rgb_times: Annotated[
        Path | None,
        typer.Option(
            "--rgb-times",
            metavar="FILE",
            help="One time stamp a frame of RGB: a line each, or a table with a column of them.",
            show_default=False,
            rich_help_panel=_TIMES,
        ),
    ] = None
    aux_times: Annotated[
        Path | None,
        typer.Option(
            "--aux-times",
            metavar="FILE",
            help="The same for AUX.",
            show_default=False,
            rich_help_panel=_TIMES,
        ),
    ] = None
    times_unit: Annotated[
        TimestampUnit | None,
        typer.Option(
            "--times-unit",
            help="What they count. Default: as header or name say (time_us), else by the frame interval.",
            show_default=False,
            rich_help_panel=_TIMES,
        ),
    ] = None

    def applied_to(self, pairing: PairingOptions) -> PairingOptions:
        """Return the same pairing with these files.

        Raises:
            ConfigError: A unit is given, and no file.
        """
        if self.times_unit is not None and self.rgb_times is None and self.aux_times is None:
            raise ConfigError("--times-unit is for --rgb-times and --aux-times", hint="give one of them")
        return replace(
            pairing,
            rgb=replace(pairing.rgb, times=self.rgb_times, times_unit=self.times_unit),
            aux=replace(pairing.aux, times=self.aux_times, times_unit=self.times_unit),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """How the second stream's counts become pictures."""

    aux_norm: Annotated[
        AuxNorm | None,
        typer.Option(
            "--aux-norm",
            help="published: as weights expect. percentile: by the counts of the scene, followed slowly. "
            "fixed: --aux-range. Default: fixed with --aux-range, else published.",
            show_default=False,
            rich_help_panel=_COUNTS,
        ),
    ] = None
    aux_range: Annotated[
        str | None,
        typer.Option(
            "--aux-range",
            metavar="LOW,HIGH",
            help="What becomes black and white: counts (7000,9000), millimetres of depth, "
            "or degrees of a linear-temperature camera (15C,45C).",
            show_default=False,
            rich_help_panel=_COUNTS,
        ),
    ] = None
    depth_scale: Annotated[
        float | None,
        typer.Option(
            "--depth-scale",
            metavar="MM",
            help="Millimetres in one count of depth. Default: as the file states, else 1.",
            show_default=False,
            rich_help_panel=_COUNTS,
        ),
    ] = None

    @property
    def options(self) -> EncodingOptions:
        """The same, checked.

        Raises:
            ConfigError: A value is none, or two contradict each other.
        """
        try:
            scale = None if self.depth_scale is None else Fraction(str(self.depth_scale))
        except ValueError:
            raise ConfigError(f"--depth-scale {self.depth_scale} is not a number of millimetres") from None
        return EncodingOptions(
            norm=self.aux_norm,
            range=None if self.aux_range is None else parse_aux_range(self.aux_range),
            depth_scale_mm=scale,
        )
