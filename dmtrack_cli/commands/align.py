"""`dmtrack align`: how the second camera lies to the first one, in space and in time."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from dmtrack.alignment.align import (
    AUTOMATIC_FRAMES,
    BOARD_FRAMES,
    AlignOptions,
    FoundAlignment,
    find_time_offset,
    reserve_files,
)
from dmtrack.alignment.align import align as find_alignment
from dmtrack.alignment.points import parse_board
from dmtrack.alignment.time_offset import TimeOffset
from dmtrack.errors import ConfigError
from dmtrack.options import Option, number_text, positive_seconds
from dmtrack.output.record import to_json
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.console import out
from dmtrack_cli.option_groups import Without, grouped
from dmtrack_cli.options import AuxArgument, JsonOption, ModalityOption, RgbArgument


@grouped
def align(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Alignment file, for track --align.", show_default=False
        ),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option(
            "--points",
            metavar="FILE",
            help="Hand-picked point pairs: CSV or JSON rows of x_aux, y_aux, x_rgb, y_rgb.",
            show_default=False,
        ),
    ] = None,
    checkerboard: Annotated[
        str | None,
        typer.Option(
            "--checkerboard",
            metavar="9x6",
            help="Inner corners of a checkerboard both cameras see.",
            show_default=False,
        ),
    ] = None,
    time: Annotated[
        bool,
        typer.Option(
            "--time", help="Find the time offset from motion; without -o, nothing else is looked for."
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture", metavar="FILE", help="Blend to look at. Default: FILE.png.", show_default=False
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            "--frames",
            metavar="N",
            min=1,
            help=f"Frames looked at. Default: {AUTOMATIC_FRAMES}; {BOARD_FRAMES} for a checkerboard.",
            show_default=False,
        ),
    ] = None,
    largest_offset: Annotated[
        Fraction,
        Option(
            "--largest-offset",
            "Time offsets up to this are tried.",
            metavar="SECONDS",
            parse=positive_seconds,
            write=number_text,
        ),
    ] = Fraction(10),
    modality: ModalityOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    as_json: JsonOption = False,
    *,
    pairing: Annotated[PairingOptions, Without("--align", "--fit")],
) -> None:
    """Find where the second camera's pixels lie in the first one's picture, and by how much its clock is off.

    From the pictures alone, from point pairs, or from a checkerboard. Where it is not sure it says so,
    writes nothing and exits with 3.
    """
    if output is None and not time:
        raise ConfigError(
            "nowhere to write to", hint="give -o align.json, or --time for the time offset alone"
        )
    for name, value in (("--points", points), ("--checkerboard", checkerboard), ("--picture", picture)):
        if output is None and value is not None:
            raise ConfigError(f"{name} without -o has no effect", hint="give -o align.json")
    if time and pairing.offset_s is not None:
        raise ConfigError("--time and --offset-ms exclude each other")
    second = pairing.second(rgb, aux)
    if second is None:
        raise ConfigError("there is no second stream", hint="give AUX, or --aux-stream of a file with both")
    options = AlignOptions(points, None if checkerboard is None else parse_board(checkerboard), frames)
    if output is not None:
        reserve_files(output, picture, overwrite=overwrite)
    offset = found = None
    if time:
        offset = find_time_offset(
            rgb, second, modality=modality, pairing=pairing, largest_s=float(largest_offset)
        )
    if output is not None:
        found = find_alignment(
            rgb,
            second,
            output,
            modality=modality,
            pairing=pairing,
            options=options,
            offset=offset,
            picture=picture,
            overwrite=overwrite,
        )
    if as_json:
        _say_json(found, offset)
    else:
        _say(found, offset)


def _say_json(found: FoundAlignment | None, offset: TimeOffset | None) -> None:
    document = {
        "alignment": None if found is None else json.loads(found.alignment.to_json()),
        "found_from": None if found is None else found.found_from,
        "evidence": None if found is None else to_json(found.evidence),
        "time": to_json(offset),
    }
    typer.echo(json.dumps(document, indent=2))


def _say(found: FoundAlignment | None, offset: TimeOffset | None) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, fact in {**_space_facts(found), **_time_facts(offset)}.items():
        table.add_row(name, Text(fact))
    if found is not None:
        table.add_row("written", Text("\n".join(str(path) for path in found.written)))
    out.print(table)


def _space_facts(found: FoundAlignment | None) -> dict[str, str]:
    if found is None:
        return {}
    alignment = found.alignment
    homography = alignment.homography
    corners = ", ".join(f"({x:.1f}, {y:.1f})" for x, y in homography.corners())
    facts = {
        "found": f"{alignment.method}, from {found.found_from}",
        "corners": f"of the second picture in RGB pixels: {corners}",
        "overlap": f"{homography.overlap():.0%} of the RGB picture",
        "residual": f"{alignment.residual_px:.2f} px (root mean square)",
        "confidence": f"{alignment.confidence:.2f}",
    }
    if found.evidence is not None:
        evidence = found.evidence
        facts["confidence"] += (
            f" (fits {evidence.ratio:.2f} times as well as its mirror image; "
            f"two halves of the frames differ by {evidence.spread_px:.1f} px)"
        )
    return facts


def _time_facts(offset: TimeOffset | None) -> dict[str, str]:
    if offset is None:
        return {}
    return {
        "time": f"--offset-ms {offset.offset_s * 1000:.1f}",
        "confidence in time": f"{offset.confidence:.2f} (correlation {offset.peak:.2f}, elsewhere at most "
        f"{offset.second:.2f}, over {offset.overlap_s:.1f} s)",
    }
