"""Files that appear under their final name only when they are whole.

While a run goes on, a result is written to `.NAME.part` beside its final name; `commit` renames
it. Whatever happens (an error, Ctrl-C, a full disk, a kill), no half file ever carries the final
name, and what `commit` renames ends with a whole line.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from dmtrack.errors import OutputError

FLUSH_SECONDS: Final = 1.0
"""What a kill -9 may lose."""
FLUSH_BYTES: Final = 1 << 16

_REASONS: Final = {
    errno.ENOSPC: ("the disk is full", "free some space or write elsewhere"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or write elsewhere"),
    errno.EFBIG: ("the file has reached the size limit", "raise the limit or write elsewhere"),
    errno.EACCES: ("permission denied", "choose a folder you may write to"),
    errno.EPERM: ("permission denied", "choose a folder you may write to"),
    errno.EROFS: ("the file system is read-only", "choose a folder you may write to"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "choose another folder"),
    errno.EEXIST: ("a file stands where a folder is needed", "choose another folder"),
    errno.EISDIR: ("a folder stands where the file should go", "move it away or choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.ENOENT: ("the folder is gone", "was it removed while writing?"),
    errno.EIO: ("the disk reports an input/output error", "check the disk"),
}


def output_error(error: OSError, path: Path) -> OutputError:
    """Return the one-line `OutputError` that says why `path` cannot be written."""
    what, hint = _REASONS.get(error.errno or 0, (f"cannot be written ({error.strerror or error})", None))
    return OutputError(what, where=path, hint=hint)


@contextlib.contextmanager
def os_errors_translated(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


def part_path(path: Path) -> Path:
    """Return the temporary name of `path`: hidden, in the same folder, so that a rename is atomic."""
    return path.with_name(f".{path.name}.part")


def prepare_folder(folder: Path, names: Iterable[str] = (), *, overwrite: bool = False) -> Path:
    """Make `folder` and make sure that `names` can be written there, before any work is done.

    Args:
        folder: Where the results go; made with its parents when missing.
        names: File names this run will write.
        overwrite: Accept that results of these names exist; they stay until the new ones are whole.

    Returns:
        `folder`.

    Raises:
        OutputError: A result exists, or the folder cannot be made or written to.
    """
    with os_errors_translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        _refuse_existing(folder / name, overwrite=overwrite)
    probe = folder / f".dmtrack-{os.getpid()}.part"
    with os_errors_translated(folder):
        try:
            probe.write_bytes(b"\n")
        finally:
            probe.unlink(missing_ok=True)
    return folder


def reserve(path: Path, *, overwrite: bool = False) -> Path:
    """Make sure that `path` can be written, and return it (see `prepare_folder`).

    Raises:
        OutputError: The result exists, or its folder cannot be made or written to.
    """
    prepare_folder(path.parent, [path.name], overwrite=overwrite)
    return path


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    with os_errors_translated(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        exists = path.exists() or path.is_symlink()
    if exists and not overwrite:
        raise OutputError(
            "this result exists already", where=path, hint="give --overwrite or another output folder"
        )


def publish(part: Path, path: Path) -> None:
    """Give the whole file `part` its final name `path`, once its bytes are on the disk.

    Raises:
        OutputError: It cannot be renamed; `part` stays.
    """
    with os_errors_translated(path):
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step: a reader sees the old file or the new one.

    Raises:
        OutputError: The file cannot be written; an old one is left as it was.
    """
    part = part_path(path)
    with os_errors_translated(path):
        try:
            part.write_bytes(data)
            publish(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


class LineFile:
    """A text file that grows line by line under a temporary name.

    Lines are kept back for at most `FLUSH_SECONDS` or `FLUSH_BYTES`. When the disk is full, the file is
    cut back to its last whole line and can still be committed.

    Args:
        path: The final name.
        header: First line, with its line end, or nothing.
        overwrite: Replace an existing file on `commit`.

    Raises:
        OutputError: The result exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, header: str = "", overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._part = part_path(path)
        with os_errors_translated(path):
            self._file = self._part.open("wb", buffering=0)
        self._whole_bytes = 0
        self._pending = bytearray(header.encode())
        self._last_flush = time.monotonic()
        self._failed = False

    def append(self, lines: str) -> None:
        """Add whole lines (each with its line end).

        Raises:
            OutputError: They cannot be written; the file then takes no more and keeps what it has.
        """
        if self._failed:
            raise OutputError("writing failed before", where=self._path)
        self._pending += lines.encode()
        if len(self._pending) >= FLUSH_BYTES or time.monotonic() - self._last_flush >= FLUSH_SECONDS:
            self._flush()

    def commit(self) -> None:
        """Write what is left and give the file its final name; a second call does nothing.

        Raises:
            OutputError: The last lines or the name could not be written. What is whole is kept.
        """
        if self._file.closed:
            return
        try:
            if not self._failed:
                self._flush()
        finally:
            self._rename()

    def discard(self) -> None:
        """Close the file and leave nothing of it; after `commit` this does nothing."""
        if self._file.closed:
            return
        self._file.close()
        with os_errors_translated(self._path):
            self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        try:
            # Always from the last known whole end: an interrupt between two writes repeats, never tears.
            self._file.seek(self._whole_bytes)
            while self._pending:
                written = self._file.write(self._pending)
                self._whole_bytes += written
                del self._pending[:written]
        except OSError as error:
            self._failed = True
            self._cut_to_whole_lines()
            raise output_error(error, self._path) from error
        self._last_flush = time.monotonic()

    def _cut_to_whole_lines(self) -> None:
        """Drop a torn last line; looks at the end of the file only."""
        with contextlib.suppress(OSError), self._part.open("rb") as reader:
            end = self._whole_bytes
            while end > 0:
                start = max(0, end - FLUSH_BYTES)
                reader.seek(start)
                cut = reader.read(end - start).rfind(b"\n")
                if cut >= 0:
                    end = start + cut + 1
                    break
                end = start
            self._file.truncate(end)
            self._whole_bytes = end

    def _rename(self) -> None:
        self._file.close()
        if self._failed and self._whole_bytes == 0:
            self._part.unlink(missing_ok=True)
        else:
            publish(self._part, self._path)
