"""`dmtrack track`: follow targets through a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from dmtrack.output.draw import Layout
from dmtrack.tracking.start import TargetStart
from dmtrack.video.position import parse_position
from dmtrack.video.streams import OnMissing
from dmtrack_cli.console import Stopped, err, out
from dmtrack_cli.options import (
    AuxArgument,
    EndOption,
    FolderRateOption,
    MaxSkewOption,
    ModalityChoice,
    OffsetOption,
    OnMissingOption,
    PrecisionChoice,
    RgbArgument,
    StartOption,
    folder_rate,
    positive_seconds,
    seconds_of_ms,
)
from dmtrack_cli.pick.choice import PICK_TIMEOUT_S
from dmtrack_cli.pick.drawing import PickKind
from dmtrack_cli.progress import ProgressKind, make_reporter, say_json
from dmtrack_cli.results_folder import default_folder
from dmtrack_cli.summary import Summary, print_summary, say_summary
from dmtrack_cli.track_run import InputOptions, NetworkOptions, OutputOptions, TrackRun, prepared_run

MOST_NAMED: Final = 6
"""So many boxes are said at the start; the rest is counted."""


def track(
    rgb: RgbArgument,
    aux: AuxArgument = None,
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
    weights: Annotated[
        str,
        typer.Option(
            "--weights", metavar="NAME|PATH", help="tiny, base, a name in the data folder, or a file."
        ),
    ] = "tiny",
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
    precision: Annotated[
        PrecisionChoice,
        typer.Option("--precision", help="Numbers of the network; auto: bf16 on CUDA, else fp32."),
    ] = PrecisionChoice.AUTO,
    layout: Annotated[Layout, typer.Option("--layout", help="What the annotated video shows.")] = Layout.SIDE,
    start: StartOption = None,
    end: EndOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    no_video: Annotated[bool, typer.Option("--no-video", help="Write no annotated video.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")] = False,
    progress: Annotated[
        ProgressKind, typer.Option("--progress", help="How progress is shown; auto: a bar on a terminal.")
    ] = ProgressKind.AUTO,
    threads: Annotated[
        int | None,
        typer.Option("--threads", metavar="N", help="Threads of the network on a CPU.", show_default=False),
    ] = None,
    offset_ms: OffsetOption = 0.0,
    max_skew_ms: MaxSkewOption = None,
    on_missing: OnMissingOption = OnMissing.HOLD,
    rate: FolderRateOption = 30.0,
) -> None:
    """Follow one or several targets through a recording.

    Writes annotated.mp4, boxes.txt (MOT), boxes.csv and run.json. Everything is checked before
    tracking begins; Ctrl-C keeps what was tracked.
    """
    inputs = InputOptions(
        rgb=rgb,
        aux=aux,
        modality=modality.modality,
        start=None if start is None else parse_position(start),
        end=None if end is None else parse_position(end),
        offset_s=seconds_of_ms(offset_ms),
        max_skew_s=None if max_skew_ms is None else seconds_of_ms(max_skew_ms),
        on_missing=on_missing,
        folder_rate=folder_rate(rate),
        boxes=tuple(box or ()),
        box_files=tuple(box_file or ()),
        pick=pick,
        pick_timeout_s=positive_seconds(pick_timeout, "--pick-timeout"),
    )
    network = NetworkOptions(weights, device, precision.value, threads)
    outputs = OutputOptions(output or default_folder(rgb), None if no_video else layout, overwrite)
    kind = ProgressKind.NONE if quiet else progress
    with prepared_run(inputs, network, outputs) as run:
        _say_start(run, kind, quiet=quiet)
        try:
            run.execute(make_reporter(kind, run.expected_frames, err))
        except KeyboardInterrupt:
            _say_end(run, kind, quiet=quiet)
            frames = run.record.counts.frames
            raise Stopped(f"the first {frames} frames are in {outputs.folder}") from None
        _say_end(run, kind, quiet=quiet)


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
            device=run.record.device,
            precision=run.record.precision,
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
    summary = Summary(run.record, run.score.value, run.outputs.folder)
    if kind is ProgressKind.JSON:
        say_summary(summary)
    elif not quiet:
        print_summary(summary, out)
