"""What a training run leaves on disk.

`config.json`, `curve.csv`, `validation.csv`, `curve.png`, `checkpoint.pt`.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dmtrack.errors import CheckpointError, OutputError
from dmtrack.training.curve_plot import draw_curves

_LOGGER = logging.getLogger(__name__)


class RunFolder:
    """A folder owned by one run; every write is atomic or appends a whole line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plots = True
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the run folder ({error.strerror})", where=path) from error

    @property
    def checkpoint_path(self) -> Path:
        """Where the newest whole checkpoint is."""
        return self.path / "checkpoint.pt"

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        text = json.dumps(values, indent=2, default=str) + "\n"
        (self.path / "config.json").write_text(text, encoding="utf-8")

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write `state` under a temporary name, then rename: a kill leaves the one before."""
        partial = self.checkpoint_path.with_suffix(".part")
        try:
            torch.save(dict(state), partial)
            partial.replace(self.checkpoint_path)
        except OSError as error:
            raise OutputError(
                f"cannot write the checkpoint ({error.strerror})", where=self.checkpoint_path
            ) from error

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the newest checkpoint, or None when the run has none.

        Raises:
            CheckpointError: The file is damaged.
        """
        if not self.checkpoint_path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.checkpoint_path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises whatever its zip and pickle readers do
            raise CheckpointError(f"damaged checkpoint ({error})", where=self.checkpoint_path) from error
        return state

    def append_row(self, name: str, row: Mapping[str, float | int | str]) -> None:
        """Append one line to `name`, with a header when the file is new."""
        path = self.path / name
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def cut_rows(self, name: str, first_step: int) -> None:
        """Drop rows from `first_step` on: a resumed run writes them again."""
        path = self.path / name
        if not path.exists():
            return
        with path.open(newline="", encoding="utf-8") as file:
            lines = file.read().splitlines(keepends=True)
        kept = lines[:1] + [line for line in lines[1:] if int(line.split(",", 1)[0]) < first_step]
        path.write_text("".join(kept), encoding="utf-8")

    def plot_curves(self) -> None:
        """Draw `curve.png` from the tables; a plot that cannot be drawn is told once and ends nothing."""
        if not self._plots:
            return
        try:
            draw_curves(self.path)
        except (OutputError, OSError, ValueError, KeyError) as error:
            _LOGGER.warning("curve.png is not drawn: %s", error)
            self._plots = False


class ReadOnlyRunFolder(RunFolder):
    """The folder as all but the first process of a parallel run have it: they resume, and write nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_config(self, values: Mapping[str, Any]) -> None:
        """Do nothing."""

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""

    def append_row(self, name: str, row: Mapping[str, float | int | str]) -> None:
        """Do nothing."""

    def cut_rows(self, name: str, first_step: int) -> None:
        """Do nothing."""

    def plot_curves(self) -> None:
        """Do nothing."""
