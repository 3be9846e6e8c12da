"""Every error the library raises on purpose, and the exit code each one maps to.

    DmtrackError                1  a defect, or an error with no better home
    |-- InputError              3  what the person handed us cannot be used
    |   |-- VideoError             a video, image folder or stream cannot be opened
    |   |-- DecodeError            it opened, but its frames cannot be decoded
    |   |-- PairingError           the two streams cannot be paired in time
    |   |-- AlignmentError         how two cameras go together cannot be found out
    |   |-- BoxError               a target box is malformed or outside the frame
    |   |-- FormatError            a text or binary file is not in the stated format
    |   `-- DatasetError           a data-set folder is incomplete or unknown
    |-- ConfigError             4  an option or configuration value is invalid
    |-- CheckpointError         4  a weights file is missing, damaged or does not fit
    `-- OutputError             5  a result exists already or cannot be written

Foreign exceptions (PyAV, OpenCV, the operating system) are translated once, at the
boundary module, with file, frame and time.
"""

from __future__ import annotations

from typing import ClassVar


class DmtrackError(Exception):
    """Base of every deliberate error: one line saying what, where and what to do.

    Args:
        what: What went wrong, without a trailing full stop.
        where: The file, frame, option or row concerned.
        hint: What the person can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: object = None, hint: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the message as one line: ``where: what; hint``."""
        head = self.what if self.where is None else f"{self.where}: {self.what}"
        line = head if self.hint is None else f"{head}; {self.hint}"
        return " ".join(line.split())


class InputError(DmtrackError):
    """What the person handed us cannot be used."""

    exit_code = 3


class VideoError(InputError):
    """A video, image folder or stream cannot be opened."""


class DecodeError(InputError):
    """A stream opened, but its frames cannot be decoded."""


class PairingError(InputError):
    """The two streams cannot be paired in time."""


class AlignmentError(InputError):
    """How two cameras go together, in space or in time, cannot be found out."""


class BoxError(InputError):
    """A target box is malformed, empty or outside the frame."""


class FormatError(InputError):
    """A text or binary file is not in the stated format."""


class DatasetError(InputError):
    """A data-set folder is incomplete or of no known layout."""


class ConfigError(DmtrackError):
    """An option or a configuration value is invalid."""

    exit_code = 4


class CheckpointError(DmtrackError):
    """A weights file is missing, damaged, unsafe or does not fit the network."""

    exit_code = 4


class OutputError(DmtrackError):
    """A result exists already or cannot be written."""

    exit_code = 5
