"""Arguments and options that several commands share but no option type of the library has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dmtrack.boxes.formats import ResultFormat
from dmtrack.options import Option
from dmtrack.run.request import AUX, END, MODALITY, RGB, SOURCE_FORMAT, START
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position
from dmtrack_cli.progress import ProgressKind

RgbArgument = Annotated[Path, RGB]
AuxArgument = Annotated[Path | None, AUX]
ModalityOption = Annotated[Modality | None, MODALITY]
StartOption = Annotated[Position | None, START]
EndOption = Annotated[Position | None, END]
SourceFormatOption = Annotated[ResultFormat | None, SOURCE_FORMAT]
JsonOption = Annotated[bool, Option("--json", "Print JSON instead of tables.")]
QuietOption = Annotated[bool, Option("-q --quiet", "No progress and no summary.")]
ProgressOption = Annotated[
    ProgressKind, Option("--progress", "How progress is shown; auto: a bar on a terminal.")
]
