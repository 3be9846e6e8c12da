"""`dmtrack synthetic`: a contact sheet of made-up training samples, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmtrack.errors import OutputError
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
    import cv2

    from dmtrack.output.atomic import reserve, write_atomically
    from dmtrack.synthetic.sample import SampleShape, contact_sheet
    from dmtrack.synthetic.sampling import TrainingSampler

    if output.suffix.lower() != ".png":
        raise OutputError("the sheet is a PNG picture", where=output, hint="give a name that ends in .png")
    reserve(output, overwrite=overwrite)
    pictures.require_folders()
    shape = SampleShape(template_size, search_size, templates, modality)
    sampler = TrainingSampler(pictures.sampler_config(shape), seed)
    sheet = contact_sheet([sampler.sample() for _ in range(count)], min(columns, count))
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    if not done:
        raise OutputError("the sheet cannot be encoded", where=output)
    write_atomically(output, data.tobytes())
    typer.echo(f"wrote {output}: {count} samples, {sheet.shape[1]} x {sheet.shape[0]} px", err=True)
