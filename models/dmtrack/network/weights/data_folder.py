"""The user's data folder: published checkpoints as converted weights, each with a record.

`DATA/weights/NAME.safetensors` holds the tensors and their metadata; `NAME.json` beside it records the digest
of the file when it was written, so that `verify` can tell whether it has changed.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from dmtrack.atomic import inputs_kept, write_atomically
from dmtrack.errors import CheckpointError, ConfigError, OutputError
from dmtrack.network.weights.file import WeightsMeta, read_meta, sha256_of
from dmtrack.video.frame import Modality

DATA_DIR_VARIABLE = "DMTRACK_DATA_DIR"  # environment variable: a folder to use instead of the system's
SUFFIX = ".safetensors"
#: Words that `--weights` takes besides names in the folder.
RESERVED_NAMES = frozenset({"tiny", "tiny-open", "base"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class WeightsFile:
    """A weights file with its metadata; its tensors are not read."""

    name: str  # as in `--weights`
    path: Path
    meta: WeightsMeta  # from its header
    recorded_sha256: str | None = None  # its digest when it was added to the data folder; None elsewhere
    added: str | None = None  # the day when it was added, `YYYY-MM-DD`; None elsewhere

    @functools.cached_property
    def sha256(self) -> str:
        """The recorded digest, else that of the file; `CheckpointError` if it cannot be read."""
        return self.recorded_sha256 or sha256_of(self.path)

    @property
    def is_foundation(self) -> bool:
        """Whether it holds the frozen one-stream tracker alone."""
        return self.meta.kind == "foundation"

    @classmethod
    def at(cls, path: Path) -> WeightsFile:
        """Read the header of any weights file; `CheckpointError` if missing, damaged, or not one of ours."""
        return cls(path.name.removesuffix(SUFFIX), path, read_meta(path))


def data_folder() -> Path:
    """Return the folder of this program's user data; it may not exist yet."""
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("dmtrack", appauthor=False)


def weights_folder() -> Path:
    """Return the folder of converted weights; it may not exist yet."""
    return data_folder() / "weights"


def stored_names() -> tuple[str, ...]:
    """Return the names of the weights in the data folder, sorted."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in weights_folder().glob(f"*{SUFFIX}")))


def stored(name: str) -> WeightsFile:
    """Return the weights of a name in the data folder; `CheckpointError` if missing or damaged."""
    path = _path_of(name)
    if name not in stored_names():
        raise CheckpointError(
            f"there are no weights {name!r}",
            where=path.parent,
            hint="dmtrack weights list shows what is there",
        )
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        sha256, added = str(record["sha256"]), str(record["added"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"its record is missing or damaged ({error})",
            where=path,
            hint="add the checkpoint again with --overwrite",
        ) from None
    return WeightsFile(name, path, read_meta(path), sha256, added)


def verify(file: WeightsFile) -> None:
    """Raise `CheckpointError` unless the file has its recorded digest and can be loaded."""
    from dmtrack.network.weights.checkpoint import load_weights  # imports torch

    found = sha256_of(file.path)
    if found != file.sha256:
        raise CheckpointError(
            f"has changed since it was added: sha256 {found}, recorded {file.sha256}",
            where=file.path,
            hint="add the checkpoint again with --overwrite",
        )
    load_weights(file.path)


def add_published(
    source: Path, *, modality: Modality | None = None, name: str | None = None, overwrite: bool = False
) -> WeightsFile:
    """Convert a published DMTrack or OSTrack checkpoint and keep it; none of its code is executed.

    `modality` is the one that a DMTrack checkpoint was trained for, None for OSTrack; `name` is
    `base-MODALITY` or `base-foundation` by default. `CheckpointError`: the file is damaged, unsafe, or not a
    DMTrack or OSTrack checkpoint; `ConfigError`: the modality is missing or superfluous, or the name cannot
    be used; `OutputError`: the name is taken, or the data folder cannot be written.
    """
    from dmtrack.network.weights.checkpoint import save_weights  # these import torch
    from dmtrack.network.weights.pickle_reader import read_state_dict
    from dmtrack.network.weights.published import convert

    name = name or f"base-{modality or 'foundation'}"
    path = _path_of(name)
    if path.exists() and not overwrite:
        raise OutputError(
            f"there are weights {name!r} already", where=path, hint="give --name or --overwrite"
        )
    weights = convert(
        read_state_dict(source), modality=modality, source_name=source.name, source_sha256=sha256_of(source)
    )
    with inputs_kept(source):
        sha256 = save_weights(path, weights.tensors, weights.meta)
        record = {"sha256": sha256, "added": datetime.datetime.now(tz=datetime.UTC).date().isoformat()}
        write_atomically(path.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    return stored(name)


def _path_of(name: str) -> Path:
    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise ConfigError(
            f"weights cannot be called {name!r}",
            hint="letters, digits, dots, dashes; not tiny, tiny-open or base",
        )
    return weights_folder() / f"{name}{SUFFIX}"
