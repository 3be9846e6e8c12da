"""The options of `dmtrack evaluate`: those of scoring results, and those of running our tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from dmtrack.batch.run import Existing
from dmtrack.evaluation.benchmarks import BenchmarkName
from dmtrack.evaluation.scoring import Missing, ScoringOptions
from dmtrack.evaluation.tracker_files import RowOrder
from dmtrack.run.request import RecoveryChoice
from dmtrack.video.frame import Modality

_SCORE: Final = "Scoring results"
_RUN: Final = "Running the tracker"


@dataclass(frozen=True, slots=True)
class Scoring:
    """What results are scored on, and what becomes of it."""

    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset",
            help="Folder or zip of the benchmark, with pictures or without.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None
    benchmark: Annotated[
        BenchmarkName, typer.Option("--benchmark", help="Whose figures.", rich_help_panel=_SCORE)
    ] = BenchmarkName.AUTO
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write report.html, plots, JSON and CSV here.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Paired difference of two trackers, sequence by sequence.",
            show_default=False,
            rich_help_panel=_SCORE,
        ),
    ] = None
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse results with anything wrong.", rich_help_panel=_SCORE)
    ] = False
    missing: Annotated[
        Missing,
        typer.Option("--missing", help="What a sequence without results counts as.", rich_help_panel=_SCORE),
    ] = Missing.SKIP
    order: Annotated[
        RowOrder,
        typer.Option("--order", help="What the numbers of a row of results are.", rich_help_panel=_SCORE),
    ] = RowOrder.XYWH
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there.", rich_help_panel=_SCORE)
    ] = False
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of tables.", rich_help_panel=_SCORE)
    ] = False

    @property
    def options(self) -> ScoringOptions:
        """What the library wants to know."""
        return ScoringOptions(self.missing, self.order, self.strict)


@dataclass(frozen=True, slots=True)
class Running:
    """What our tracker is run over, and how."""

    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="FOLDER",
            help="Annotated clips, in any known layout, to run the tracker over.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None
    weights: Annotated[
        str,
        typer.Option(
            "--weights", help="tiny, base, a name in the data folder, or a file.", rich_help_panel=_RUN
        ),
    ] = "tiny"
    modality: Annotated[
        Modality | None,
        typer.Option("--modality", help="Only clips with this second stream.", rich_help_panel=_RUN),
    ] = None
    device: Annotated[
        str, typer.Option("--device", help="auto, cpu, cuda:0 or mps.", rich_help_panel=_RUN)
    ] = "auto"
    recovery: Annotated[
        RecoveryChoice,
        typer.Option(
            "--recovery",
            help="Give targets up and look for them; benchmarks are run without. auto: as suits the weights.",
            rich_help_panel=_RUN,
        ),
    ] = RecoveryChoice.OFF
    resume: Annotated[
        bool, typer.Option("--resume", help="With -o: track what is missing or failed.", rich_help_panel=_RUN)
    ] = False
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            help="With -o: processes on a CPU.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None
    export_vot: Annotated[
        Path | None,
        typer.Option(
            "--export-vot",
            metavar="WORKSPACE",
            help="With -o: put the runs into a workspace of vot-toolkit as well.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Without -o: write one row a target here.", rich_help_panel=_RUN),
    ] = None

    def existing(self, *, overwrite: bool) -> Existing:
        """What to do about sequences that are tracked already."""
        if self.resume:
            return Existing.RESUME
        return Existing.OVERWRITE if overwrite else Existing.REFUSE
