"""`dmtrack export-model`: the network in a format for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from dmtrack.options import Option
from dmtrack.video.frame import Modality
from dmtrack_cli.console import out
from dmtrack_cli.option_groups import grouped


class ModelFormat(StrEnum):
    """The formats."""

    ONNX = "onnx"


class ModelPrecision(StrEnum):
    """Number format of the weights."""

    FP32 = "fp32"
    INT8 = "int8"


@grouped
def export_model(
    output: Annotated[Path, Option("-o --output", "File to write (.onnx).", metavar="FILE")],
    weights: Annotated[
        str,
        Option(
            "--weights",
            "Weights: tiny, tiny-open, base, a name in the data folder, or a file.",
            metavar="NAME|PATH",
        ),
    ] = "tiny",
    modality: Annotated[
        Modality | None, Option("--modality", "What the second stream measures. Default: one stream.")
    ] = None,
    target: Annotated[ModelFormat, Option("--format", "Format to write.")] = ModelFormat.ONNX,
    precision: Annotated[
        ModelPrecision, Option("--precision", "int8: large matrix products with 8-bit weights.")
    ] = ModelPrecision.FP32,
    overwrite: Annotated[bool, Option("--overwrite", "Replace existing files.")] = False,
) -> None:
    """Write the tracking step for other programs, checked against PyTorch.

    FILE.onnx maps template tokens and search crops (uint8, RGB first, as cut from the frame) to the score,
    size, offset and quality maps; FILE.template.onnx, beside it, maps template crops to tokens. Any number of
    targets and of templates.
    """
    from dmtrack.network import onnx_export  # loads torch

    written = onnx_export.export_model(
        weights, modality, output, precision=precision.value, overwrite=overwrite
    )
    sizes = {path: path.stat().st_size / 1e6 for path in (written.files.step, written.files.template)}
    lines = [f"{path} ({size:.1f} MB)" for path, size in sizes.items()]
    lines.append(f"largest difference of a map from PyTorch in fp32: {written.difference:.1e}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
