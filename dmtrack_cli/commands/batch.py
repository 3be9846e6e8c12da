"""`dmtrack batch`: track every recording of a folder or of a list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.atomic import inputs_kept
from dmtrack.batch.plan import WHOLE, Shard, plan_batch
from dmtrack.batch.run import Existing, as_resumed, refuse_results
from dmtrack.batch.start_list import StartList, with_starts
from dmtrack.batch.track_item import TrackItem
from dmtrack.batch.workers import EngineChoice, WorkerOptions
from dmtrack.boxes.detections import DetectionOptions
from dmtrack.errors import ConfigError
from dmtrack.options import Option
from dmtrack.run.codecs import CodecOptions
from dmtrack.run.request import (
    DRAWN,
    MODALITY,
    Drawn,
    NetworkOptions,
    OutputOptions,
    RecoveryOptions,
    TrackRequest,
    parse_box,
)
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.start import TargetStart
from dmtrack.video.frame import Modality
from dmtrack.video.second.aux_encoder import EncodingOptions
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.batch_listing import print_plan, say_plan
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out
from dmtrack_cli.option_groups import Without, grouped
from dmtrack_cli.progress import ProgressKind
from dmtrack_cli.shared_options import QuietOption


def _parse_drawn(text: str) -> Drawn:
    if parse_box(text) is not DRAWN:
        raise ConfigError(
            "several recordings cannot have one box",
            hint="a bare --box draws one for each; a list gives them",
        )
    return DRAWN


@grouped
def batch(
    source: Annotated[
        Path,
        Option(
            "SOURCE",
            "A folder with recordings, or a CSV with columns "
            "id, rgb, aux, modality, box, box_file, start, end, offset_ms, align, detections.",
        ),
    ],
    output: Annotated[
        Path, Option("-o --output", "Results: one folder per item, and summary.csv.", metavar="DIR")
    ],
    dry_run: Annotated[
        bool,
        Option("--dry-run", "Print what would be tracked, with --resume also what is kept; track nothing."),
    ] = False,
    resume: Annotated[bool, Option("--resume", "Track only what is missing, failed or changed.")] = False,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing results.")] = False,
    box: Annotated[
        Drawn | None,
        Option("--box", "Bare: draw the targets of recordings without a start box.", parse=_parse_drawn),
    ] = None,
    list_file: Annotated[
        Path | None,
        Option(
            "--write-list",
            "Write the recordings with their start boxes as a list for batch, and track nothing.",
            metavar="FILE",
        ),
    ] = None,
    modality: Annotated[
        Modality | None, replace(MODALITY, help="What second streams measure, if the item does not say.")
    ] = None,
    quiet: QuietOption = False,
    progress: Annotated[
        ProgressKind, Option("--progress", "How progress is shown; auto: bars on a terminal.")
    ] = ProgressKind.AUTO,
    shard: Annotated[
        Shard,
        Option(
            "--shard",
            "Only part I of N equal parts, for job arrays.",
            metavar="I/N",
            panel="Workers",
            parse=Shard.parse,
        ),
    ] = WHOLE,
    *,
    workers: WorkerOptions,
    network: Annotated[NetworkOptions, Without("--device", "--threads")],
    results: Annotated[OutputOptions, Without("--output", "--overwrite")],
    codecs: CodecOptions,
    recovery: RecoveryOptions,
    detections: DetectionOptions,
    pairing: Annotated[PairingOptions, Without("--rgb-times", "--aux-times", "--times-unit")],
    encoding: EncodingOptions,
) -> None:
    """Track every recording of a folder or a list, each into its own folder.

    A folder may hold data sets, name_rgb.mp4 + name_thermal.mp4 pairs, or rgb/ + thermal/ folders, nested.
    A failed item does not stop the others; the exit code is then 6.
    """
    if resume and overwrite:
        raise ConfigError("--resume keeps results and --overwrite replaces them", hint="give one of them")
    existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
    kind = ProgressKind.NONE if quiet else progress
    usual = TrackRequest(
        source,
        network=network,
        output=results,
        codecs=codecs,
        recovery=recovery,
        detections=detections,
        pairing=pairing,
        encoding=encoding,
    )
    if workers.kind is EngineChoice.LOCAL:
        codecs.gpu()  # a cluster's machines have GPUs of their own
    plan = plan_batch(source, output, modality, shard, detections, pairing)
    kept = None if list_file is None else StartList(list_file, source, overwrite=overwrite)
    plan = with_starts(plan, output, TrackItem(usual), None if box is None else _draw, kept)
    if resume and dry_run:
        plan = as_resumed(plan, output, TrackItem.of(usual))
    if kind is ProgressKind.JSON:
        say_plan(plan)
    elif not quiet:
        print_plan(plan, source if source.is_dir() else source.parent, out if dry_run else err)
    if dry_run and existing is Existing.REFUSE:
        refuse_results(plan, output)
    if dry_run or list_file is not None:
        raise typer.Exit(EXIT_SOME_FAILED if plan.problems else 0)
    with inputs_kept(source):
        outcome = run_plan(plan, output, TrackItem.of(usual), workers.engine(), existing, kind)
    if outcome.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _draw(scene: DrawingScene) -> tuple[TargetStart, ...]:
    from dmtrack_cli.commands.track import PICK_TIMEOUT_S
    from dmtrack_cli.review.drawing import draw_on_page

    return draw_on_page(scene, PICK_TIMEOUT_S, opens_browser=True)
