"""`dmtrack track`: follow targets through a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from dmtrack.errors import ConfigError
from dmtrack.tracking.start import TargetStart
from dmtrack.video.position import parse_position
from dmtrack_cli.console import Stopped, err, out, say_line
from dmtrack_cli.option_groups import grouped, words
from dmtrack_cli.options import (
    AuxSource,
    EndOption,
    Live,
    Losing,
    ModalityChoice,
    Network,
    Pairing,
    Picture,
    RgbSource,
    StartOption,
    positive_seconds,
)
from dmtrack_cli.pick.choice import PICK_TIMEOUT_S
from dmtrack_cli.pick.drawing import PickKind
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.results_folder import default_folder, live_folder
from dmtrack_cli.sensor_options import Counts, SideTimes
from dmtrack_cli.summary import Summary, print_summary, say_summary
from dmtrack_cli.track_options import Hardware, Inputs, LiveInputs, Outputs, Wanted
from dmtrack_cli.track_preparation import prepared_run
from dmtrack_cli.track_run import TrackRun
from dmtrack_cli.video_options import VideoCodecs

_LIVE_PAIRING: Final = ("--offset-ms", "--max-skew-ms", "--on-missing")
MOST_NAMED: Final = 6
"""So many boxes are said at the start; the rest is counted."""


@grouped
def track(
    rgb: RgbSource,
    aux: AuxSource = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="[X,Y,W,H]",
            help="Where the target is in the first frame, in pixels; several for several targets. "
            "Bare: draw them. Default: ground truth found beside RGB.",
            show_default=False,
        ),
    ] = None,
    box_file: Annotated[
        list[Path] | None,
        typer.Option(
            "--box-file",
            metavar="FILE",
            help="Box from the first row of a ground-truth file; or targets of a MOT file or boxes.csv, "
            "each from its first row on.",
            show_default=False,
        ),
    ] = None,
    pick: Annotated[
        PickKind,
        typer.Option(
            "--pick", help="Where a bare --box is drawn; auto: a window, or without a display a web page."
        ),
    ] = PickKind.AUTO,
    pick_timeout: Annotated[
        float,
        typer.Option(
            "--pick-timeout", metavar="SECONDS", help="How long the web page waits for the next action."
        ),
    ] = PICK_TIMEOUT_S,
    modality: Annotated[
        ModalityChoice, typer.Option("--modality", help="What AUX measures.")
    ] = ModalityChoice.AUTO,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Results folder. Default: dmtrack-results/NAME.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda:0 or mps.")
    ] = "auto",
    show: Annotated[
        bool, typer.Option("--show", help="Show the annotated view in a window; q stops.")
    ] = False,
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")] = False,
    progress: Annotated[
        ProgressKind, typer.Option("--progress", help="How progress is shown; auto: a bar on a terminal.")
    ] = ProgressKind.AUTO,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            help="Threads of the network on a CPU. Default: found out while tracking.",
            show_default=False,
        ),
    ] = None,
    *,
    network: Network,
    picture: Picture,
    codecs: VideoCodecs,
    losing: Losing,
    pairing: Pairing,
    times: SideTimes,
    counts: Counts,
    live: Live,
) -> None:
    """Follow one or several targets through a recording, or through live streams.

    Writes annotated.mp4, boxes.txt (MOT), boxes.csv, score.png and run.json. Everything is checked before
    tracking begins; Ctrl-C keeps what was tracked.
    """
    live_inputs = LiveInputs.of(rgb, aux, live, pairing)
    if live_inputs is not None:
        _refuse_for_live(start, pairing, times)
    inputs = Inputs(
        rgb=Path(rgb),
        aux=pairing.second(Path(rgb), None if aux is None else Path(aux)),
        live=live_inputs,
        modality=modality.modality,
        start=None if start is None else parse_position(start),
        end=None if end is None else parse_position(end),
        pairing=pairing,
        times=times,
        counts=counts,
        boxes=tuple(box or ()),
        box_files=tuple(box_file or ()),
        pick=pick,
        pick_timeout_s=positive_seconds(pick_timeout, "--pick-timeout"),
    )
    folder = default_folder(inputs.rgb) if live_inputs is None else live_folder()
    outputs = Outputs(output or folder, picture, overwrite, show)
    wanted = Wanted(
        inputs, outputs, network, losing, Hardware(device, threads, codecs, tuned=threads is None)
    )
    kind = ProgressKind.NONE if quiet else progress
    with prepared_run(wanted) as run:
        _say_start(run, kind, quiet=quiet)
        said = run.pairs.remarks
        _say_remarks(said, kind, quiet=quiet)
        try:
            run.execute(make_reporter(kind, run.expected_frames, err))
        except KeyboardInterrupt:
            _say_end(run, kind, quiet=quiet)
            frames = run.record.counts.frames
            raise Stopped(f"the first {frames} frames are in {outputs.folder}") from None
        _say_end(run, kind, quiet=quiet)
        _say_remarks(run.pairs.remarks[len(said) :], kind, quiet=quiet)


def _say_remarks(remarks: Sequence[str], kind: ProgressKind, *, quiet: bool) -> None:
    if not quiet and kind is not ProgressKind.JSON:
        for remark in remarks:
            say_line("note", remark, "yellow")


def _refuse_for_live(start: str | None, pairing: Pairing, times: SideTimes) -> None:
    """Refuse options that have a meaning for recordings only."""
    if start is not None:
        raise ConfigError("a live stream begins now", where="--start")
    for word in (*words(pairing), *words(times)):
        option = word.partition("=")[0]
        if option not in _LIVE_PAIRING:
            raise ConfigError("this is for recordings, not for live streams", where=option)


def _say_start(run: TrackRun, kind: ProgressKind, *, quiet: bool) -> None:
    """Say what was found out rather than given."""
    targets = run.start.targets
    modality, reason = run.pairs.modality, run.pairs.modality_reason
    if kind is ProgressKind.JSON:
        say_json(
            "start",
            total=run.expected_frames,
            boxes=[str(target.box) for target in targets],
            ids=[target.target_id for target in targets],
            frames=[target.frame_index for target in targets],
            boxes_from=run.start.origin,
            modality=modality,
            modality_from=reason,
            remarks=list(run.pairs.remarks),
            device=run.record.device,
            precision=run.record.precision,
            backend=run.record.backend,
        )
    elif not quiet:
        boxes = " and ".join(_start_text(target, run.first.rgb.index) for target in targets[:MOST_NAMED])
        more = f" and {len(targets) - MOST_NAMED} more" if len(targets) > MOST_NAMED else ""
        err.print(Text(f"box {boxes}{more} ({run.start.origin})"), soft_wrap=True)
        if modality is not None:
            err.print(Text(f"second stream: {modality} ({reason})"), soft_wrap=True)


def _start_text(target: TargetStart, first_frame: int) -> str:
    later = target.frame_index is not None and target.frame_index > first_frame
    return f"{target.box} from frame {target.frame_index}" if later else str(target.box)


def _say_end(run: TrackRun, kind: ProgressKind, *, quiet: bool) -> None:
    summary = Summary(run.record, run.score.value, run.wanted.outputs.folder)
    if kind is ProgressKind.JSON:
        say_summary(summary)
    elif not quiet:
        print_summary(summary, out)
