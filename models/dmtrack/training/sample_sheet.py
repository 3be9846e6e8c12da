"""Synthetic training samples as a picture, without PyTorch, which takes seconds to load and unload."""

from __future__ import annotations

from pathlib import Path

from dmtrack.atomic import inputs_kept, reserve
from dmtrack.drawing.sheet import write_sheet
from dmtrack.errors import OutputError
from dmtrack.synthetic.sample import SampleShape, contact_sheet
from dmtrack.synthetic.sampling import TrainingSampler
from dmtrack.training.train_config import Pictures


def write_sample_sheet(
    path: Path,
    pictures: Pictures,
    shape: SampleShape,
    *,
    seed: int = 0,
    count: int = 24,
    columns: int = 4,
    overwrite: bool = False,
) -> tuple[int, int]:
    """Write synthetic samples as one PNG to look at; return its width and height in px.

    `OutputError`: the file exists, is not a `.png`, or cannot be written; `DatasetError`: a folder of
    `pictures` cannot be used.
    """
    if path.suffix.lower() != ".png":  # before the samples are made, which takes a while
        raise OutputError("the sheet is a PNG picture", where=path, hint="give a name that ends in .png")
    with inputs_kept(pictures.photographs, pictures.thermal_images):
        reserve(path, overwrite=overwrite)
    pictures.require_folders()
    sampler = TrainingSampler(pictures.sampler_config(shape), seed)
    sheet = contact_sheet([sampler.sample() for _ in range(count)], min(columns, count))
    write_sheet(path, sheet, overwrite=overwrite)
    return sheet.shape[1], sheet.shape[0]
