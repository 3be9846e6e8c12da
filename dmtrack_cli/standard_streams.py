"""Standard output and standard error, whose loss does not end the work.

If a reader goes (`| head`), a terminal is closed or the disk behind `> file` is full, the command still does
its work. Output lost on standard output is reported at the end, except for a reader that went.
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
    """A stream that accepts everything, even if the stream behind it fails; `failure` says why."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - raw streams have no common type
        self.failure: OSError | None = None
        self._inner = inner

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the number of the stream behind it."""
        return int(self._inner.fileno())

    def isatty(self) -> bool:
        """Return whether a terminal is behind it."""
        return bool(self._inner.isatty())

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write what can be written, and claim that it was all."""
        try:
            while self.failure is None:
                written = self._inner.write(data)
                if written is not None:
                    return int(written)
                select.select([], [self], [])  # another program has made the terminal non-blocking
        except OSError as error:
            self.failure = error
        return len(data)


def keep_streams() -> None:
    """Let the program outlive its standard streams; closed ones are replaced by empty ones.

    Otherwise the next file opened would get the number of a closed stream, and what a library prints would go
    into a result. Streams that were replaced, as tests do, stay.
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
    """Return why standard output lost something; None if it did not, or if its reader just went."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = raw.failure if isinstance(raw, _Tolerant) else None
    of_a_reader_that_went = (errno.EPIPE, errno.EINVAL) if sys.platform == "win32" else (errno.EPIPE,)
    if failure is None or failure.errno in of_a_reader_that_went:
        return None
    return output_error(failure, "standard output")
