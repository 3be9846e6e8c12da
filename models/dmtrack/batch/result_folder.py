"""Result folders that appear under their name only when they are complete.

An item is tracked into `.NAME.1a2b3c4d.part`, a unique name, and the folder is renamed at the end. A batch
that is killed at any moment leaves complete folders, and temporary ones that `sweep` deletes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from dmtrack.atomic import held, os_errors_translated, require_closed, try_lock
from dmtrack.batch.item import BatchItem
from dmtrack.batch.plan import Shard
from dmtrack.boxes.keyframes import KEYFRAMES, keyframes_text, read_keyframes
from dmtrack.errors import DmtrackError, FormatError, OutputError, translated
from dmtrack.output.record import RECORD, read_run_json
from dmtrack.run.corrections import targets_of
from dmtrack.tracking.start import numbered

_log = logging.getLogger(__name__)
_NAME: Final = ".dmtrack-batch{}.lock"


@contextlib.contextmanager
def batch_lock(output: Path, shard: Shard) -> Iterator[None]:
    """Lock `output` for a batch, or for a shard of one.

    `OutputError`: another batch is running there, or the folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        whole = output / _NAME.format("")
        stack.enter_context(_held(whole, shared=not shard.is_whole))
        if not shard.is_whole:
            stack.enter_context(_held(output / _NAME.format(shard.suffix), shared=False))
        yield


@contextlib.contextmanager
def _held(path: Path, *, shared: bool) -> Iterator[None]:
    handle = _locked(path, shared=shared)
    try:
        yield
    finally:
        if not shared:
            with contextlib.suppress(OSError):  # Windows does not delete an open file
                path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, *, shared: bool) -> int:
    while True:
        if not shared:
            require_closed(path)
        with os_errors_translated(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        if not try_lock(handle, shared=shared):
            os.close(handle)
            raise OutputError(
                "another batch is at work in this folder", where=path.parent, hint="wait for it or stop it"
            )
        if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
        os.close(handle)  # its owner removed it between opening and locking


_SCRATCH: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.part", re.DOTALL)


def scratch_path(path: Path) -> Path:
    """Return a unique temporary name for `path` in the same folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def publish_folder(scratch: Path, folder: Path) -> None:
    """Give `scratch` its final name, replacing existing results.

    Other files that a person has put beside old results are kept. `OutputError`: it cannot be renamed, or
    something other than results has that name.
    """
    require_replaceable(folder)
    with os_errors_translated(folder):
        if folder.exists():
            with held(folder):
                _keep_others(folder, scratch)
                old = scratch_path(folder)
                folder.rename(old)
                scratch.rename(folder)
            _remove(old)
        else:
            scratch.rename(folder)


def require_replaceable(folder: Path) -> None:
    """Check that results may be written to `folder`: it is missing, or holds results or their keyframes.

    `OutputError`: something else is there (a recording, if results go where recordings are).
    """
    with os_errors_translated(folder):
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            taken = True
        else:
            holds = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
            taken = RECORD not in holds and not holds <= {KEYFRAMES}
    if taken:
        raise OutputError(
            "is there already and holds no results", where=folder, hint="move it, or choose another -o"
        )


def require_uncorrected(folder: Path, item: BatchItem) -> None:
    """Check that no keyframes in `folder` would be lost, except those that its run began with.

    `OutputError`: a person has added corrections there that are not among the boxes of `item`.
    """
    path = folder / KEYFRAMES
    if not path.is_file():
        return
    with (
        contextlib.suppress(DmtrackError),  # if in doubt, keep them
        translated(FormatError, "is damaged"),
    ):
        there = keyframes_text(read_keyframes(path))
        if item.boxes and keyframes_text(numbered(item.boxes)) == there:
            return
        record = read_run_json(folder / RECORD)
        if not record.get("corrected") and keyframes_text(targets_of(record)) in (there, keyframes_text(())):
            return
    if path.read_bytes() not in [file.read_bytes() for file in item.box_files]:
        raise OutputError(
            "holds corrections, and is to be tracked anew",
            where=folder,
            hint=f"give a copy of its {KEYFRAMES} as box_file, or --overwrite loses them",
        )


def _keep_others(folder: Path, scratch: Path) -> None:
    """Copy into `scratch` the files of `folder` that its run did not write."""
    if not (folder / RECORD).is_file():
        return
    try:
        own = {RECORD, *map(str, read_run_json(folder / RECORD).get("outputs", ()))}
    except FormatError:
        own = {RECORD}
    for path in folder.iterdir():
        target = scratch / path.name
        if path.name in own or path.name.endswith(".part") or target.exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True)
        else:
            shutil.copy2(path, target, follow_symlinks=False)


def sweep(output: Path, names: Collection[str] | None = None) -> None:
    """Delete what killed attempts have left in `output`.

    `names` limits this to the leftovers of these result folders; None means all.
    """
    for path in output.iterdir():
        match = _SCRATCH.fullmatch(path.name)
        if match is not None and (names is None or match["name"] in names):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
