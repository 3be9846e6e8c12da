"""`dmtrack batch`: track every recording of a folder or of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dmtrack.batch.discovery import find_items
from dmtrack.batch.item import Findings
from dmtrack.batch.local import LocalEngine
from dmtrack.batch.manifest import read_manifest
from dmtrack.batch.plan import Shard, make_plan
from dmtrack.batch.ray_engine import RayEngine, RayOptions
from dmtrack.batch.run import Engine, Existing
from dmtrack.batch.slots import SlotOptions, make_slots
from dmtrack.batch.track_item import TrackItem
from dmtrack.errors import ConfigError, InputError
from dmtrack.run.codecs import CodecOptions
from dmtrack.run.request import MODALITY, NetworkOptions, OutputOptions, RecoveryOptions, TrackRequest
from dmtrack.video.aux_encoder import EncodingOptions
from dmtrack.video.frame import Modality
from dmtrack.video.streams import PairingOptions
from dmtrack_cli.batch_listing import print_plan, say_plan
from dmtrack_cli.batch_run import run_plan
from dmtrack_cli.console import EXIT_SOME_FAILED, err, out
from dmtrack_cli.option_groups import Without, grouped
from dmtrack_cli.options import QuietOption
from dmtrack_cli.progress import ProgressKind

_WORKERS = "Workers"


class EngineChoice(StrEnum):
    """What runs the items."""

    LOCAL = "local"
    RAY = "ray"


@grouped
def batch(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with recordings, or a CSV: "
            "id,rgb,aux,modality,box,box_file,start,end,offset_ms,align.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="One folder an item, and summary.csv.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the pairing, track nothing.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Do what is missing, has failed, or has changed.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    modality: Annotated[
        Modality | None,
        replace(MODALITY, help="What second streams measure, where their item does not say."),
    ] = None,
    quiet: QuietOption = False,
    progress: Annotated[
        ProgressKind, typer.Option("--progress", help="How progress is shown; auto: bars on a terminal.")
    ] = ProgressKind.AUTO,
    devices: Annotated[
        str,
        typer.Option(
            "--devices",
            metavar="LIST",
            help="auto, cpu, mps, or CUDA devices by number (0,1).",
            rich_help_panel=_WORKERS,
        ),
    ] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            help="Processes on a CPU. Default: 1.",
            show_default=False,
            rich_help_panel=_WORKERS,
        ),
    ] = None,
    jobs_per_device: Annotated[
        int,
        typer.Option(
            "--jobs-per-device", metavar="N", help="Processes on each GPU.", rich_help_panel=_WORKERS
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="N",
            help="Threads of each process. Default: the cores, shared out (ray: 1).",
            show_default=False,
            rich_help_panel=_WORKERS,
        ),
    ] = None,
    engine: Annotated[
        EngineChoice,
        typer.Option(
            "--engine", help="ray: on a Ray cluster that is there already.", rich_help_panel=_WORKERS
        ),
    ] = EngineChoice.LOCAL,
    ray_address: Annotated[
        str,
        typer.Option("--ray-address", metavar="HOST:PORT", help="Its head.", rich_help_panel=_WORKERS),
    ] = "auto",
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only part I of N equal parts, for job arrays.",
            rich_help_panel=_WORKERS,
        ),
    ] = "1/1",
    *,
    network: Annotated[NetworkOptions, Without("--device", "--threads")],
    results: Annotated[OutputOptions, Without("--output", "--overwrite")],
    codecs: CodecOptions,
    recovery: RecoveryOptions,
    pairing: Annotated[PairingOptions, Without("--rgb-times", "--aux-times", "--times-unit")],
    encoding: EncodingOptions,
) -> None:
    """Track every recording of a folder or of a list, each into a folder of its own.

    Folders: data-set layouts, name_rgb.mp4 + name_thermal.mp4 pairs, rgb/ + thermal/ folders, nested.
    A failed item stops nothing; the exit code is then 6.
    """
    part = Shard.parse(shard)
    if resume and overwrite:
        raise ConfigError("--resume keeps results and --overwrite replaces them", hint="give one of them")
    existing = Existing.RESUME if resume else Existing.OVERWRITE if overwrite else Existing.REFUSE
    slots = SlotOptions(devices, jobs, jobs_per_device, threads)
    make_engine = _ray(slots, ray_address) if engine is EngineChoice.RAY else _local(slots)
    kind = ProgressKind.NONE if quiet else progress
    usual = TrackRequest(
        source,
        network=network,
        output=results,
        codecs=codecs,
        recovery=recovery,
        pairing=pairing,
        encoding=encoding,
    )
    if engine is EngineChoice.LOCAL:
        codecs.gpu()  # a cluster's machines have GPUs of their own
    plan = make_plan(_findings(source, modality, output), part)
    if kind is ProgressKind.JSON:
        say_plan(plan)
    elif not quiet:
        print_plan(plan, source if source.is_dir() else source.parent, out if dry_run else err)
    if dry_run:
        raise typer.Exit(EXIT_SOME_FAILED if plan.problems else 0)
    if run_plan(plan, output, TrackItem.of(usual), make_engine(), existing, kind).failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _findings(source: Path, modality: Modality | None, output: Path) -> Findings:
    if source.is_dir():
        findings = find_items(source, modality=modality, exclude=[output])
        if not findings.entries:
            raise InputError(
                "there are no recordings in it",
                where=source,
                hint="dmtrack batch --help says what is recognised",
            )
        return findings
    if not source.exists():
        raise InputError("no such folder or manifest", where=source)
    return read_manifest(source, modality)


def _local(options: SlotOptions) -> Callable[[], Engine]:
    return lambda: LocalEngine(make_slots(options))


def _ray(options: SlotOptions, address: str) -> Callable[[], Engine]:
    if options.jobs is not None:
        raise ConfigError("--jobs is for this machine; the cluster's own scheduler counts there")
    if options.devices not in ("auto", "cpu"):
        raise ConfigError("the cluster chooses GPUs itself", hint="--devices auto or cpu")
    ray_options = RayOptions(
        address=address,
        cpus=options.threads or 1,
        gpus=0 if options.devices == "cpu" else None,
        tasks_per_gpu=options.jobs_per_device,
    )
    return lambda: RayEngine(ray_options)
