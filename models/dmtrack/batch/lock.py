"""One batch at a time in a folder; shards of one batch may share it, each shard once.

The system drops the locks of a process that dies, however it dies.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dmtrack.batch.shard import Shard
from dmtrack.errors import OutputError
from dmtrack.output.atomic import os_errors_translated

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such module
    _CAN_LOCK = False
else:
    _CAN_LOCK = True

_log = logging.getLogger(__name__)
_NAME: Final = ".dmtrack-batch{}.lock"


@contextlib.contextmanager
def batch_lock(output: Path, shard: Shard) -> Iterator[None]:
    """Hold `output` for a batch, or for a shard of one.

    Raises:
        OutputError: Another batch is at work there, or the folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        whole = output / _NAME.format("")
        stack.enter_context(_held(whole, shared=not shard.is_whole))
        if not shard.is_whole:
            stack.enter_context(_held(output / _NAME.format(shard.suffix), shared=False))
        yield


@contextlib.contextmanager
def _held(path: Path, *, shared: bool) -> Iterator[None]:
    if not _CAN_LOCK:
        yield
        return
    handle = _locked(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        if not shared:
            path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, kind: int) -> int:
    while True:
        with os_errors_translated(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise OutputError(
                "another batch is at work in this folder", where=path.parent, hint="wait for it or stop it"
            ) from None
        except OSError as error:
            _log.warning("%s: no lock is to be had here (%s); start no second batch", path, error.strerror)
            return handle
        if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
            return handle
        os.close(handle)  # its owner removed it between opening and locking
