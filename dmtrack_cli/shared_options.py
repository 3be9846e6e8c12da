"""Arguments and options that several commands share and that are no option types of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from dmtrack.boxes.formats import ResultFormat
from dmtrack.options import Option
from dmtrack.run.request import END, MODALITY, START
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position
from dmtrack_cli.progress import ProgressKind

# Paths are checked by the library, whose errors say more than Typer's could.
RgbArgument = Annotated[
    Path,
    Option(
        "RGB",
        "RGB video, ROS bag, folder of pictures, or folder of a data set (a thermal stream alone works too).",
    ),
]
AuxArgument = Annotated[
    Path | None,
    Option(
        "AUX",
        "Second stream: thermal, depth or event. A video, bag, event file or folder of pictures; repeat RGB "
        "if that file holds both.",
    ),
]
ModalityOption = Annotated[Modality | None, MODALITY]
StartOption = Annotated[Position | None, START]
EndOption = Annotated[Position | None, END]
SourceFormatOption = Annotated[
    ResultFormat | None, Option("--from", "Format of the input files. Default: recognised by content.")
]
JsonOption = Annotated[bool, Option("--json", "Print JSON instead of tables.")]
QuietOption = Annotated[bool, Option("-q --quiet", "No progress and no summary.")]
ProgressOption = Annotated[
    ProgressKind, Option("--progress", "How progress is shown; auto: a bar on a terminal.")
]
