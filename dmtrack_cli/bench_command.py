"""The whole `dmtrack track`, run as a person runs it: start-up, frames a second, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dmtrack.errors import DmtrackError
from dmtrack.network.weights.data_folder import DATA_DIR_VARIABLE
from dmtrack.output.record import RECORD, read_run_json


class BenchError(DmtrackError):
    """The measured program failed."""


@dataclass(frozen=True, slots=True)
class CommandSpeed:
    """One run of the command.

    Attributes:
        start_up_s: From the start of the process until tracking begins.
        fps: Frames a second from then on, annotated video included.
        peak_mb: Most memory the process had, in MiB; None where the system does not say.
    """

    start_up_s: float
    fps: float
    peak_mb: float | None


def run_track(words: Sequence[str], data_folder: Path | None = None) -> CommandSpeed:
    """Run `dmtrack track` with these words in a process of its own.

    Args:
        words: Streams and options; the output is added.
        data_folder: Used instead of the user's.

    Raises:
        BenchError: It failed; the message is its own.
    """
    with TemporaryDirectory() as scratch:
        folder, said = Path(scratch) / "out", Path(scratch) / "said.txt"
        command = [sys.executable, "-m", "dmtrack_cli", "track", *words, "-o", str(folder)]
        environment = os.environ | ({} if data_folder is None else {DATA_DIR_VARIABLE: str(data_folder)})
        with said.open("w", encoding="utf-8") as complaints:
            begin = time.perf_counter()
            process = subprocess.Popen(  # noqa: S603 - this program itself
                [*command, "--progress", "json"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
            )
            start_up_s, peak_mb = _watched(process, begin)
        if process.returncode:
            lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
                "it says nothing"
            ]
            raise BenchError(f"dmtrack track failed: {lines[-1]}")
        speed = read_run_json(folder / RECORD)["speed"]
        return CommandSpeed(start_up_s, float(speed["whole_fps"]), peak_mb)


def _watched(process: subprocess.Popen[str], begin: float) -> tuple[float, float | None]:
    """Wait for the end; return seconds until the first line, and the largest memory in MiB."""
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with process.stdout as lines:
        lines.readline()
        start_up_s = time.perf_counter() - begin
        for _ in lines:
            pass
    if not hasattr(os, "wait4"):
        process.wait()
        return start_up_s, None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return start_up_s, usage.ru_maxrss * unit / (1 << 20)
