"""Files that appear under their final name only when they are complete.

While a run goes on, a result is written to `.NAME.part` beside its final name, and renamed when it is
complete. Whatever happens (an error, Ctrl-C, a full disk, a kill), no partial file ever has the final name.

Every result goes through here, so four guarantees hold for all of them: a command never overwrites its inputs
(`inputs_kept`), two runs never write the same file (`PartFile`, `held`), anything already at the temporary
name, such as a link, is not followed, and names are valid on every system (`portable_name`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO, Final

from dmtrack.errors import OutputError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such module, and no locks here
    CAN_LOCK = False  # but there an open file cannot be renamed or deleted by others
else:
    CAN_LOCK = True

_MAY_WRITE: Final = "choose a folder you may write to" if CAN_LOCK else "is it open in another program?"
FLUSH_SECONDS: Final = 1.0  # most that a kill -9 may lose
FLUSH_BYTES: Final = 1 << 16

_REASONS: Final = {
    errno.ENOSPC: ("the disk is full", "free some space or write elsewhere"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or write elsewhere"),
    errno.EFBIG: ("the file has reached the size limit", "raise the limit or write elsewhere"),
    errno.EACCES: ("permission denied", _MAY_WRITE),
    errno.EPERM: ("permission denied", _MAY_WRITE),
    errno.EROFS: ("the file system is read-only", "choose a folder you may write to"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "choose another folder"),
    errno.EEXIST: ("a file stands where a folder is needed", "choose another folder"),
    errno.EISDIR: ("a folder stands where the file should go", "move it away or choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.ENOENT: ("the folder is gone", "was it removed while writing?"),
    errno.EIO: ("the disk reports an input/output error", "check the disk"),
}

_BUSY: Final = "another run is writing here"
_BUSY_HINT: Final = "wait for it or stop it, or choose another output"
_ATTEMPTS: Final = 100
_PATIENCE_S: Final = (0.02, 0.1, 0.5)  # virus scanners on Windows briefly keep new files open
_NEW_FILE: Final = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
_LOOK: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_DEVICE: Final = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(?= *(\.|$))", re.IGNORECASE)
_INPUTS: Final[ContextVar[tuple[Path, ...]]] = ContextVar("inputs", default=())


def portable_name(text: str) -> str:
    """Return text as a name that every system accepts for a file or folder; empty if nothing is left.

    Spaces and letters of any script stay. Characters that some system forbids, a leading dash, dot or tilde,
    and a trailing dot become `_`; a device name of Windows, such as `aux`, gets one appended.
    """
    name = re.sub(r"^[-.~]|[. ]$", "_", _FORBIDDEN.sub("_", text).strip())
    return _DEVICE.sub(r"\1_", name)


def utf8(text: str) -> bytes:
    r"""Encode text as UTF-8, with escapes (`\udce9`) for bytes of names that are not UTF-8."""
    return text.encode(errors="backslashreplace")


def place_key(name: str) -> str:
    """Return a key that is equal for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())


def output_error(error: OSError, path: Path | str) -> OutputError:
    """Return a one-line `OutputError` that says why `path` cannot be written."""
    what, hint = _REASONS.get(error.errno or 0, (f"cannot be written ({error.strerror or error})", None))
    return OutputError(what, where=path, hint=hint)


@contextlib.contextmanager
def os_errors_translated(path: Path | str) -> Iterator[None]:
    """Turn an `OSError` inside the block into an `OutputError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path) from error


@contextlib.contextmanager
def inputs_kept(*paths: Path | str | None) -> Iterator[None]:
    """Inside the block, refuse to replace any of these files by a result, under whatever name.

    For folders of pictures, also refuse to write pictures into them.
    """
    before = _INPUTS.get()
    _INPUTS.set((*before, *(Path(path) for path in paths if path is not None)))
    try:
        yield
    finally:
        _INPUTS.set(before)


def refuse_input(path: Path) -> None:
    """Refuse to overwrite an input: the same path, a link to it, or another name of the same file.

    `OutputError`: `path` is an input, or a picture that would lie among those of an input.
    """
    for given in _INPUTS.get():
        if _is_same(path, given):
            hint = "choose another output; --overwrite is for results, never for what is read"
            raise OutputError("this is an input, and would be destroyed", where=path, hint=hint)
        if path.suffix.lower() == ".png" and given.is_dir() and _is_same(path.parent, given):
            hint = "choose another output folder"
            raise OutputError("would lie among the input's pictures", where=path, hint=hint)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them does not exist
        return False


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Lock an open file or folder against other processes, without waiting; closing it unlocks it.

    Returns False if another process holds it. Where locks are not supported (some network disks) it always
    succeeds.
    """
    if not CAN_LOCK:
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def require_closed(path: Path) -> None:
    """Where there are no locks, delete a file, which fails if another process has it open.

    `OutputError`: another process has.
    """
    if not CAN_LOCK:
        _take_away(path)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock an existing folder for one run; a second run that wants it gets an `OutputError`."""
    if not CAN_LOCK:
        yield
        return
    with os_errors_translated(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise OutputError(_BUSY, where=folder, hint=_BUSY_HINT)
        yield
    finally:
        os.close(handle)


class PartFile:
    """The temporary file of a result: new, empty, and this run's alone until it gets its final name.

    Anything that already has the temporary name (a killed run's file, a link) is deleted, never followed.

    `part` is the temporary name, in the same folder, by default `part_path`. `OutputError`: it cannot be
    made, another run is writing it, or it is an input.
    """

    def __init__(self, path: Path, part: Path | None = None) -> None:
        self.final = path
        self.path = part or part_path(path)
        for name in (path, self.path):
            refuse_input(name)
        with os_errors_translated(path):
            self._handle: int | None = _made_alone(self.path)
        self._is_ours = True

    def file(self) -> BinaryIO:
        """Return the file, open for writing; closing it does not release the name."""
        with os_errors_translated(self.final):
            return self.path.open("rb+", buffering=0)

    def publish(self, *, durable: bool = True) -> None:
        """Give the file its final name; a second call does nothing.

        `durable`: only after its bytes are on the disk. `OutputError`: it cannot be renamed; the temporary
        file stays, for `discard` or `let_go`.
        """
        if not self._is_ours:
            return
        with os_errors_translated(self.final):
            if durable and self._handle is not None:
                os.fsync(self._handle)
            if not CAN_LOCK:
                self._close()
            self._rename()
        self.let_go()

    def _rename(self) -> None:
        for wait_s in () if CAN_LOCK else _PATIENCE_S:
            try:
                self.path.replace(self.final)
            except PermissionError:
                time.sleep(wait_s)
            else:
                return
        self.path.replace(self.final)

    def discard(self) -> None:
        """Delete the temporary file; after `publish` this does nothing."""
        if not self._is_ours:
            return
        with os_errors_translated(self.final):
            if not CAN_LOCK:
                self._close()
            try:
                self.path.unlink(missing_ok=True)
            except PermissionError:  # a library still has it open after an error: the next run deletes it
                if CAN_LOCK:
                    raise
        self.let_go()

    def let_go(self) -> None:
        """Leave the temporary file to the next run."""
        self._is_ours = False
        self._close()

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _made_alone(path: Path) -> int:
    """Create a file that did not exist and lock it; return its handle."""
    for _ in range(_ATTEMPTS):
        try:
            handle = os.open(path, _NEW_FILE, 0o666)
        except FileExistsError:
            _take_away(path)
            continue
        with contextlib.suppress(FileNotFoundError):  # deleted as a leftover before it was locked
            if not CAN_LOCK or (try_lock(handle) and os.path.samestat(os.fstat(handle), path.lstat())):
                return handle
        os.close(handle)
    raise OutputError(_BUSY, where=path, hint=_BUSY_HINT)


def _take_away(path: Path) -> None:
    """Delete the leftover of a finished run at a temporary name, or anything else that is there."""
    try:
        if stat.S_ISDIR(path.lstat().st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not (CAN_LOCK and stat.S_ISREG(path.lstat().st_mode)):
            path.unlink()
            return
        handle = os.open(path, _LOOK)
    except FileNotFoundError:
        return
    except PermissionError:
        if CAN_LOCK:
            raise
        raise OutputError(_BUSY, where=path, hint=_BUSY_HINT) from None
    try:
        if not try_lock(handle):
            raise OutputError(_BUSY, where=path, hint=_BUSY_HINT)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.lstat()):  # else another process was quicker
                path.unlink()
    finally:
        os.close(handle)


def part_path(path: Path) -> Path:
    """Return the temporary name of `path`: hidden, in the same folder, so that a rename is atomic."""
    return path.with_name(f".{path.name}.part")


def prepare_folder(folder: Path, names: Iterable[str] = (), *, overwrite: bool = False) -> Path:
    """Make `folder` if need be, and check that `names` can be written there, before any work is done.

    Missing parents are made, too. With `overwrite` results of these names may exist; they stay until the new
    ones are complete. Returns `folder`. `OutputError`: a result exists, or the folder cannot be made or
    written to.
    """
    make_folder(folder)
    for name in names:
        _refuse_existing(folder / name, overwrite=overwrite)
    probe = folder / f".dmtrack-{os.getpid()}-{threading.get_ident()}.part"
    with os_errors_translated(folder):
        handle = os.open(probe, _NEW_FILE, 0o600)
        try:
            os.write(handle, b"\n")
        finally:
            os.close(handle)
            probe.unlink(missing_ok=True)
    return folder


def make_folder(folder: Path) -> Path:
    """Make a folder and its parents if they are missing, and return it; `OutputError` if that fails."""
    with os_errors_translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Make a new folder for the block, and delete it at the end; `OutputError` if it cannot be made."""
    try:
        with os_errors_translated(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reserve(path: Path, *, overwrite: bool = False) -> Path:
    """Check that `path` can be written, and return it; errors as in `prepare_folder`."""
    prepare_folder(path.parent, [path.name], overwrite=overwrite)
    return path


def _refuse_existing(path: Path, *, overwrite: bool) -> None:
    for name in (path, part_path(path)):
        refuse_input(name)
    with os_errors_translated(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        exists = path.exists() or path.is_symlink()
        if exists and overwrite and not CAN_LOCK:
            path.rename(path)  # Windows refuses this while another program has the file open
    if exists and not overwrite:
        raise OutputError("this result exists already", where=path, hint="give --overwrite or another output")


@contextlib.contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Replace `path` in one step by what is written in the block: readers see the old file or the new one.

    `durable`: the new one gets its name only after its bytes are on the disk. `OutputError`: the file cannot
    be written; an old one stays as it was, as after any exception.
    """
    part = PartFile(path)
    try:
        with os_errors_translated(path), part.file() as file:
            yield file
        part.publish(durable=durable)
    finally:
        part.discard()


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write `data` as `whole_file` does, with its errors."""
    with whole_file(path, durable=durable) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest) :]


class LineFile:
    """A text file that grows line by line under a temporary name.

    Lines are buffered for at most `FLUSH_SECONDS` or `FLUSH_BYTES`. If the disk is full, the file is cut back
    to its last complete line and can still be committed.

    `header` is the first line, with its line end; with `overwrite` an existing file is replaced on `commit`.
    `OutputError`: the result exists, or its folder cannot be made or written to.
    """

    def __init__(self, path: Path, *, header: str = "", overwrite: bool = False) -> None:
        self._path = reserve(path, overwrite=overwrite)
        self._part = PartFile(path)
        self._file = self._part.file()
        self._written_bytes = self._whole_bytes = 0  # the latter up to the last line end
        self._pending = bytearray(utf8(header))
        self._last_flush = time.monotonic()
        self._failed = False

    def append(self, lines: str) -> None:
        """Add complete lines, each with its line end.

        `OutputError`: they cannot be written; the file then accepts no more and keeps what it has.
        """
        if self._failed:
            raise OutputError("writing failed before", where=self._path)
        self._pending += utf8(lines)
        if len(self._pending) >= FLUSH_BYTES or time.monotonic() - self._last_flush >= FLUSH_SECONDS:
            self._flush()

    def commit(self) -> None:
        """Write the buffered lines and give the file its final name; a second call does nothing.

        `OutputError`: the last lines or the name could not be written. Complete lines are kept.
        """
        if self._file.closed:
            return
        try:
            if not self._failed:
                self._flush()
        finally:
            self._rename()

    def discard(self) -> None:
        """Close the file and delete it; after `commit` this does nothing."""
        if self._file.closed:
            return
        self._file.close()
        self._part.discard()

    def _flush(self) -> None:
        try:
            # Always from the last known end, so that an interrupt between two writes repeats them, not tears.
            self._file.seek(self._written_bytes)
            while self._pending:
                written = self._file.write(self._pending)
                if line_end := self._pending.rfind(b"\n", 0, written) + 1:
                    self._whole_bytes = self._written_bytes + line_end
                self._written_bytes += written
                del self._pending[:written]
        except OSError as error:
            self._failed = True
            with contextlib.suppress(OSError):
                self._file.truncate(self._whole_bytes)
            raise output_error(error, self._path) from error
        self._last_flush = time.monotonic()

    def _rename(self) -> None:
        self._file.close()
        if self._failed and self._whole_bytes == 0:
            self._part.discard()
        else:
            try:
                self._part.publish()
            finally:
                self._part.let_go()
