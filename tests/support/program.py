"""Runs the program, stops it in the middle, and reads what it leaves."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import pytest

from dmtrack.boxes.formats.table import COLUMNS
from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json
from dmtrack_cli.app import main
from dmtrack_cli.progress import Reporter


def exit_code(*words: object) -> int:
    """Run the program in this process."""
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    return int(leaving.value.code or 0)


def new_process(*words: object, timeout_s: float = 300, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own; what it says is kept unless `options` send it elsewhere."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, text=True, check=False, timeout=timeout_s, **options)


class _AtFrame(Reporter):
    def __init__(self, frame: int, act: Callable[[], object]) -> None:
        self._left = frame
        self._act = act

    def advance(self, score: float | None) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


def at_frame(monkeypatch: pytest.MonkeyPatch, frame: int, act: Callable[[], object]) -> None:
    """Let `track` do something when its frame of this number, from 1 on, is done."""
    monkeypatch.setattr("dmtrack_cli.commands.track.make_reporter", lambda *_: _AtFrame(frame, act))


def assert_results(frames: int, status: str) -> dict[str, Any]:
    """Check that `out` holds whole results of a target that is in each of these frames; return the record."""
    record = read_run_json(Path("out/run.json"))
    assert (record["status"], record["counts"]["frames"]) == (status, frames)
    assert [row.frame_index for row in read_rows(Path("out/boxes.csv"))] == list(range(frames))
    assert len(read_rows(Path("out/boxes.txt"))) == frames
    assert len(times_of("out/annotated.mp4")) == frames
    assert not list(Path("out").glob(".*"))
    return record


def times_of(video: Path | str) -> list[float]:
    """Return the seconds at which the pictures of a video are shown."""
    with av.open(str(video)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def csv_rows(path: Path | str) -> list[dict[str, str]]:
    """Return the rows of a CSV file by the names of their columns."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def csv_by_id(path: Path | str) -> dict[str, dict[str, str]]:
    """Return the rows of a CSV file by what stands in their column `id`."""
    return {row["id"]: row for row in csv_rows(path)}


def write_csv(path: Path | str, rows: Sequence[dict[str, str]]) -> None:
    """Write rows that all have the columns of the first one."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def boxes_of(folder: Path | str = "out") -> list[list[str]]:
    """Return the rows of `boxes.csv`, the header too, without the milliseconds that the frames took."""
    with Path(folder, "boxes.csv").open() as file:
        cut = COLUMNS.index("infer_ms")
        return [row[:cut] + row[cut + 1 :] for row in csv.reader(file)]
