"""`dmtrack align`: the alignment of the second camera with the first, in space and in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.alignment.align import AlignOptions, FoundAlignment, find_time_offset
from dmtrack.alignment.align import align as find_alignment
from dmtrack.alignment.time_offset import TimeOffset
from dmtrack.errors import ConfigError
from dmtrack.options import Option
from dmtrack.output.record import to_json
from dmtrack.run.inputs import with_streams
from dmtrack.run.request import TrackRequest
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.console import facts_table, out
from dmtrack_cli.option_groups import Without, grouped
from dmtrack_cli.shared_options import AuxArgument, JsonOption, ModalityOption, RgbArgument


@grouped
def align(
    rgb: RgbArgument,
    aux: AuxArgument = None,
    output: Annotated[
        Path | None, Option("-o --output", "Alignment file to write, for track --align.", metavar="FILE")
    ] = None,
    modality: ModalityOption = None,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing results.")] = False,
    as_json: JsonOption = False,
    *,
    options: AlignOptions,
    pairing: Annotated[PairingOptions, Without("--align", "--fit")],
) -> None:
    """Find where the second camera's pixels lie in the first camera's picture, and its clock offset.

    Uses the pictures alone, point pairs, or a checkerboard. If it is not sure, it says so, writes nothing and
    exits with 3.
    """
    named, _ = with_streams(TrackRequest(rgb, aux, modality=modality, pairing=pairing))
    if named.aux is None:
        raise ConfigError("there is no second stream", hint="give AUX, or --aux-stream of a file with both")
    rgb, second, modality = Path(named.rgb), Path(named.aux), named.modality
    if output is not None:
        found = find_alignment(
            rgb, second, output, modality=modality, pairing=pairing, options=options, overwrite=overwrite
        )
        return _say(found, found.offset, as_json=as_json)
    for field in ("points", "board", "picture"):
        if getattr(options, field) is not None:
            name = "--checkerboard" if field == "board" else f"--{field}"
            raise ConfigError(f"{name} without -o has no effect", hint="give -o align.json")
    if not options.time:
        raise ConfigError(
            "nowhere to write to", hint="give -o align.json, or --time for the time offset alone"
        )
    limit_s = options.largest_offset_s
    offset = find_time_offset(rgb, second, modality=modality, pairing=pairing, largest_s=limit_s)
    return _say(None, offset, as_json=as_json)


def _say(found: FoundAlignment | None, offset: TimeOffset | None, *, as_json: bool) -> None:
    if not as_json:
        facts = {} if found is None else _space_facts(found)
        facts |= {} if offset is None else _time_facts(offset)
        if found is not None:
            facts["written"] = "\n".join(map(str, found.written))
        out.print(facts_table(facts.items()))
        return
    document = {
        "alignment": None if found is None else json.loads(found.alignment.to_json()),
        "found_from": None if found is None else found.found_from,
        "evidence": None if found is None else to_json(found.evidence),
        "time": to_json(offset),
    }
    typer.echo(json.dumps(document, indent=2))


def _space_facts(found: FoundAlignment) -> dict[str, str]:
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
        halves = f"; two halves of the frames differ by {evidence.spread_px:.1f} px"
        facts["confidence"] += (
            f" (fits {evidence.ratio:.2f} times as well as its mirror image"
            f"{halves if evidence.frames > 1 else ''})"
        )
    return facts


def _time_facts(offset: TimeOffset) -> dict[str, str]:
    return {
        "time": f"--offset-ms {offset.offset_s * 1000:.1f}",
        "confidence in time": f"{offset.confidence:.2f} (correlation {offset.peak:.2f}, elsewhere at most "
        f"{offset.second:.2f}, over {offset.overlap_s:.1f} s)",
    }
