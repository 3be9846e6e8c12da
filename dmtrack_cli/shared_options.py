"""Arguments and options that several commands share and that are no option types of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmtrack.boxes.formats import ResultFormat
from dmtrack.run.request import END, MODALITY, START
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position

# Paths are checked by the library, whose errors say more than Typer's could.
RgbArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RGB", help="RGB video, ROS bag or folder of pictures (a thermal one alone is fine)."
    ),
]
AuxArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="AUX",
        help="Second stream: thermal, depth or event. A video, bag, event file or folder of pictures; "
        "the same file again if it holds both.",
        show_default=False,
    ),
]
ModalityOption = Annotated[Modality | None, MODALITY]
StartOption = Annotated[Position | None, START]
EndOption = Annotated[Position | None, END]
SourceFormatOption = Annotated[
    ResultFormat | None,
    typer.Option("--from", help="Format of the files read. Default: by their content.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")]
