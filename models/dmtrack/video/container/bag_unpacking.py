"""Bounds on the memory that a bag can claim: unpacked chunks have a limit, and so has each read.

`rosbags` itself unpacks a chunk whole (20 kB can become gigabytes of zeros), and asks for as many bytes as a
damaged length field says.
"""

from __future__ import annotations

import bz2
import importlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader, FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

from dmtrack.errors import FormatError

MOST_CHUNK_BYTES: Final = 256 << 20
"""Recorders close a chunk with the message that takes it beyond 0.8 to 5 MB."""
_MOST_FILE_RATIO: Final = 64
_TOO_LARGE: Final = "a part of the bag unpacks to more than a recorder writes"


class BagPath(type(Path())):  # type: ignore[misc]  # only from Python 3.12 on may it be `Path` itself
    """The path of a bag; files opened through it never read more bytes than they have."""

    def open(self, mode: str = "r", *more: Any, **named: Any) -> Any:  # noqa: ANN401 - as a path does
        """Open the file; in mode `rb` with bounded reads."""
        return _BoundedReader(FileIO(self)) if mode == "rb" else super().open(mode, *more, **named)


class _BoundedReader(BufferedReader):
    """A file that limits each read to its own size."""

    def __init__(self, raw: FileIO) -> None:
        super().__init__(raw)
        self._most = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, or all."""
        return super().read(size if size is None else min(size, self._most))


def bound_unpacking() -> None:
    """Limit what `rosbags`, if installed, unpacks. Doing so twice is harmless."""
    with suppress(ImportError):
        import lz4.frame

        lz4_bounded = _bounded(lz4.frame.LZ4FrameDecompressor)
        first = importlib.import_module("rosbags.rosbag1.reader")
        first.decompressors.update(bz2=_bounded(bz2.BZ2Decompressor), lz4=lz4_bounded)
        chunks = importlib.import_module("rosbags.rosbag2.storage_mcap")
        second: Any = importlib.import_module("rosbags.rosbag2.reader")
        zstd = second.zstd
        if not isinstance(zstd, SimpleNamespace):
            zstd_bounded = _bounded(zstd.ZstdDecompressor)
            chunks.DECOMPRESSORS.update(lz4=lz4_bounded, zstd=zstd_bounded)
            second.zstd = SimpleNamespace(
                decompress=zstd_bounded, open=lambda file, mode: _BoundedFile(zstd.open(file, mode), file)
            )


def _bounded(decompressor: Callable[[], Any]) -> Callable[..., bytes]:
    """Return a bounded function that unpacks all frames of its data, called as `rosbags` does."""

    def unpacked(data: bytes, _claimed: int = 0) -> bytes:
        parts, room = [], MOST_CHUNK_BYTES
        while data:
            frame = decompressor()
            parts.append(frame.decompress(data, max_length=room))
            room -= len(parts[-1])
            if not frame.eof:
                raise FormatError(_TOO_LARGE if room <= 0 else "a compressed part of the bag is cut off")
            data = frame.unused_data
        return b"".join(parts)

    return unpacked


class _BoundedFile:
    """A compressed file whose unpacked length is limited to a multiple of its size."""

    def __init__(self, unpacked: Any, packed: Any) -> None:  # noqa: ANN401 - untyped
        self._unpacked = unpacked
        packed.seek(0, 2)
        self._room = max(MOST_CHUNK_BYTES, packed.tell() * _MOST_FILE_RATIO)
        packed.seek(0)

    def read(self, size: int) -> bytes:
        data: bytes = self._unpacked.read(size)
        self._room -= len(data)
        if self._room < 0:
            raise FormatError(_TOO_LARGE)
        return data

    def __enter__(self) -> Self:
        self._unpacked.__enter__()
        return self

    def __exit__(self, *about: object) -> None:
        self._unpacked.__exit__(*about)
