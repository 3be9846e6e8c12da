"""Standard output and standard error, whose loss ends no work.

A reader that goes (`| head`), a terminal that is closed, a full disk behind `> file`: the command does what
it was asked to do. What could not be said on standard output is told at the end, but for a reader that went.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final

from dmtrack.atomic import output_error
from dmtrack.errors import OutputError

_STREAMS: Final = ("stdin", "stdout", "stderr")


class _Tolerant(io.RawIOBase):
    """A stream that takes everything, also when what is behind it takes no more; `failure` says why."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - raw streams have no common type
        self.failure: OSError | None = None
        self._inner = inner

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Return the number of the stream behind it."""
        return int(self._inner.fileno())

    def isatty(self) -> bool:
        """Tell whether a terminal is behind it."""
        return bool(self._inner.isatty())

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write what can be written, and say that it was all."""
        try:
            while self.failure is None:
                written = self._inner.write(data)
                if written is not None:
                    return int(written)
                select.select([], [self], [])  # somebody has told the terminal not to wait
        except OSError as error:
            self.failure = error
        return len(data)


def keep_streams() -> None:
    """Let the program outlive its standard streams; those that are closed become empty ones.

    A closed one would else be the number of the next file that is opened, and what a library prints would go
    into a result. Streams that somebody has put in their place, as tests do, stay.
    """
    for number in range(len(_STREAMS)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue
        buffer = io.FileIO(os.devnull, "w") if stream is None else stream.buffer
        raw = _Tolerant(getattr(buffer, "raw", buffer))
        encoding = "utf-8" if stream is None else stream.encoding
        at_once = name == "stderr" or raw.isatty()
        kept = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=at_once)
        setattr(sys, name, kept)


def lost_output() -> OutputError | None:
    """Return why standard output did not take everything; None if it did, or if its reader just went."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Tolerant) else None
    of_a_reader_that_went = (errno.EPIPE, errno.EINVAL) if sys.platform == "win32" else (errno.EPIPE,)
    if failure is None or failure.errno in of_a_reader_that_went:
        return None
    return output_error(failure, "standard output")
