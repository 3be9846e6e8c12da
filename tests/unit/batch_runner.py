"""A runner without a network, for tests of the batch: what it does is in the item's id.

It is imported by worker processes too, from this folder (see the fixtures `runner` in the tests).
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dmtrack.batch.work import Report, Task, WorkerSlot
from dmtrack.boxes.formats.table import COLUMNS
from dmtrack.errors import DecodeError, VideoError
from dmtrack.output.record import RunCounts, RunRecord, RunSpeed, RunStatus, Versions

FRAMES = 6


@dataclass(frozen=True)
class FakeRunner:
    """Writes results that depend on nothing but the item and `option`."""

    option: str = "a"
    frame_s: float = 0.0

    def options(self, modality: Any) -> object:
        return self.option

    def __call__(self, task: Task, folder: Path, slot: WorkerSlot, report: Report) -> None:
        name = task.item.id
        with (folder.parent / f"{name}.begun").open("a") as file:
            file.write("x")
        attempt = (folder.parent / f"{name}.begun").stat().st_size
        if name.startswith("dies") or (name.startswith("crashes") and attempt == 1):
            (folder / "half").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("fails"):
            raise VideoError("cannot be opened", where=folder / "x.mp4")
        if name.startswith("defect"):
            raise ZeroDivisionError("oops")
        record = RunRecord([], Versions.collect(), [], batch=task.mark, outputs=["boxes.csv"])
        record = replace(record, counts=RunCounts(FRAMES, 1), speed=RunSpeed(1.0, None, 5.0))
        (folder / "run.json").write_text(json.dumps(record.to_json()))
        with (folder / "boxes.csv").open("w") as table:
            table.write(",".join(COLUMNS) + "\n")
            for frame in range(FRAMES):
                state = "init" if frame == 0 else "lost" if frame == 1 else "tracked"
                table.write(f"{frame},0.5,,,1,1.0,2.0,3.0,4.0,0.{frame + 1},{state},0,1.0\n")
                table.flush()
                report(frame + 1, FRAMES)
                time.sleep(self.frame_s)
        if name.startswith("partial"):
            failed = replace(record, status=RunStatus.FAILED)
            (folder / "run.json").write_text(json.dumps(failed.to_json()))
            raise DecodeError("damaged beyond use")
        whole = replace(record, status=RunStatus.COMPLETE)
        (folder / "run.json").write_text(json.dumps(whole.to_json()))
