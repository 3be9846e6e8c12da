"""`dmtrack synthetic`: a contact sheet of synthetic training samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.text import Text

from dmtrack.errors import counted
from dmtrack.options import Option
from dmtrack.training.train_config import Pictures
from dmtrack.video.frame import Modality
from dmtrack_cli.console import out
from dmtrack_cli.option_groups import grouped


@grouped
def synthetic(
    pictures: Pictures,
    *,
    output: Annotated[Path, Option("-o --output", "Picture to write (.png).")],
    modality: Annotated[
        Modality | None, Option("--modality", "Show pairs with this second stream. Default: one stream.")
    ] = None,
    count: Annotated[int, Option("--count", "Samples on the sheet.", least=1, most=1000)] = 24,
    columns: Annotated[int, Option("--columns", "Samples in a row.", least=1, most=20)] = 4,
    template_size: Annotated[
        int, Option("--template-size", "Template side in px.", least=16, most=1024)
    ] = 96,
    search_size: Annotated[int, Option("--search-size", "Search side in px.", least=16, most=2048)] = 192,
    templates: Annotated[int, Option("--templates", "Templates per sample.", least=1, most=20)] = 2,
    seed: Annotated[int, Option("--seed", "Seed of the samples.")] = 0,
    overwrite: Annotated[bool, Option("--overwrite", "Replace an existing picture.")] = False,
) -> None:
    """Show synthetic samples of `dmtrack train`: templates, search crop, and the box in it.

    The box is green, or red where the target is hidden. A pair shows RGB and, to its right, the second
    stream.
    """
    from dmtrack.synthetic.sample import SampleShape
    from dmtrack.training.sample_sheet import write_sample_sheet

    shape = SampleShape(template_size, search_size, templates, modality)
    width, height = write_sample_sheet(
        output, pictures, shape, seed=seed, count=count, columns=columns, overwrite=overwrite
    )
    said = f"{output}  ({counted(count, 'sample')}, {width}x{height} px)"
    out.print(Text(said), soft_wrap=True)
