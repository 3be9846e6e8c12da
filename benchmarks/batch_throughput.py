"""Thirty pairs through `dmtrack batch` with one job and with two, in turn; then killed and resumed.

The pairs are stretches of `sample_data/` and, where a folder of annotated clips is given, of its clips
with two streams; one more file is broken. Printed are frames a second of whole batches (median over
the rounds), and whether a batch that was killed and resumed has the same boxes as one that was not.

    python benchmarks/batch_throughput.py WORK_FOLDER [CLIPS] [--busy 2] [--rounds 2]

With `--busy` so many other processes are busy meanwhile, and nothing is killed.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from busy_machine import busy

from dmtrack.datasets.opening import find_sequences

ROOT: Final = Path(__file__).parents[1]
PAIRS, FRAMES = 30, 20


def write_manifest(path: Path, folders: Sequence[Path]) -> int:
    """Write the list of pairs and return how many frames they have together."""
    found = [one for folder in folders for one in find_sequences(folder)]
    pairs = [one for one in found if one.modality is not None and len(one) >= 2 * FRAMES]
    broken = path.parent / "broken.mp4"
    broken.write_bytes(b"no video")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "rgb", "aux", "modality", "box", "start", "end"])
        for number in range(PAIRS - 1):
            one = pairs[number % len(pairs)]
            start = one.start_frame + FRAMES * (number // len(pairs)) % (len(one) - FRAMES)
            box = ",".join(f"{value:g}" for value in one.boxes[start])
            row = (*one.sources(), one.modality, box, start, start + FRAMES)
            writer.writerow([f"{number:02d}_{one.name.replace('/', '_')}", *row])
        writer.writerow(["broken", broken, "", "", "1,1,20,20", "", ""])
    return (PAIRS - 1) * FRAMES


def batch(manifest: Path, output: Path, *words: str) -> list[str]:
    """Return the command line of one batch."""
    command = [sys.executable, "-m", "dmtrack_cli", "batch", str(manifest), "-o", str(output)]
    return [*command, "--quiet", *words]


def seconds(command: list[str]) -> float:
    """Run a batch to its end; one broken item makes it exit with 6."""
    begin = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    if code != 6:
        raise SystemExit(f"exit code {code} instead of 6")
    return time.perf_counter() - begin


def killed_and_resumed(manifest: Path, output: Path, after_s: Sequence[float]) -> None:
    """Kill a batch again and again after so many seconds, then let it end."""
    for wait_s in after_s:
        process = subprocess.Popen(batch(manifest, output, "--resume"), start_new_session=True)
        time.sleep(wait_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        print(f"killed after {wait_s:.0f} s: {len(list(output.glob('*/run.json')))} of {PAIRS - 1} were done")
    seconds(batch(manifest, output, "--resume"))


def boxes(output: Path) -> dict[str, bytes]:
    """Return the MOT file of every item."""
    return {path.parent.name: path.read_bytes() for path in sorted(output.glob("*/boxes.txt"))}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    work: Path = asked.work
    work.mkdir(parents=True)
    manifest = work / "pairs.csv"
    frames = write_manifest(manifest, [ROOT / "sample_data", *asked.clips])
    took: dict[str, list[float]] = {"1": [], "2": []}
    with busy(asked.busy):
        for number in range(asked.rounds):
            for jobs, times in took.items():
                times.append(seconds(batch(manifest, work / f"jobs{jobs}_{number}", "--jobs", jobs)))
    medians = {jobs: statistics.median(times) for jobs, times in took.items()}
    for jobs, median in medians.items():
        print(f"{jobs} jobs: {frames / median:6.2f} frames a second, {medians['1'] / median:.2f} x")
    if asked.busy:
        return
    killed_and_resumed(manifest, work / "killed", [0.25 * medians["1"], 0.4 * medians["1"]])
    same = boxes(work / "killed") == boxes(work / "jobs1_0") == boxes(work / "jobs2_0")
    print(f"the same boxes with 1 and 2 jobs, and killed twice: {same}")


if __name__ == "__main__":
    main()
