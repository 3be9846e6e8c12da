"""`dmtrack synthetic`: a contact sheet of made-up training samples, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmtrack.training.train_config import Pictures
from dmtrack.video.frame import Modality
from dmtrack_cli.option_groups import grouped


@grouped
def synthetic(
    pictures: Pictures,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture to write (.png).")],
    modality: Annotated[
        Modality | None, typer.Option(help="Pairs with this second stream; one stream when left out.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Samples on the sheet.")] = 24,
    columns: Annotated[int, typer.Option(min=1, max=20, help="Samples in a row.")] = 4,
    template_size: Annotated[int, typer.Option(min=16, help="Template side in px.")] = 96,
    search_size: Annotated[int, typer.Option(min=16, help="Search side in px.")] = 192,
    templates: Annotated[int, typer.Option(min=1, help="Templates a sample.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing picture.")] = False,
) -> None:
    """Show what `dmtrack train` makes up: templates, search crop, and the box in it.

    The box is green, or red where the target is hidden. A pair shows the colour stream and, right of
    it, the second stream.
    """
    from dmtrack.synthetic.sample import SampleShape
    from dmtrack.training.training_run import write_sample_sheet

    shape = SampleShape(template_size, search_size, templates, modality)
    width, height = write_sample_sheet(
        output, pictures, shape, seed=seed, count=count, columns=columns, overwrite=overwrite
    )
    typer.echo(f"wrote {output}: {count} samples, {width} x {height} px", err=True)
