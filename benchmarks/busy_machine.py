"""Frames a second of `dmtrack track` beside other work: how much of the idle speed is left.

    python benchmarks/busy_machine.py [--busy 0,1,2,4] [--rounds 3] [-- WORDS OF track]

For each number of busy processes (loops without an end, in sessions of their own, as another person's work
would be), in turn: the default, and the default with `--threads 1`. The clip is the first of `sample_data/`,
without a video; frames a second are those of the median step, so that compiling does not count. Medians of
rounds.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CLIP = Path(__file__).resolve().parents[1] / "sample_data" / "night_street"
STREAMS = (CLIP / "rgb.mp4", CLIP / "thermal.mkv")
LOOP = "while True: pass"


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many processes busy."""
    started = [subprocess.Popen([sys.executable, "-c", LOOP], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def frames_a_second(words: Sequence[str]) -> float:
    """Track the clip and return the network's frames a second."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "dmtrack_cli",
            "track",
            str(CLIP / "rgb.mp4"),
            str(CLIP / "thermal.mkv"),
        ]
        subprocess.run(
            [*command, "--no-video", "--quiet", "--overwrite", "-o", folder, *words],
            check=True,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        with (Path(folder) / "boxes.csv").open(newline="") as file:
            times = [float(row["infer_ms"]) for row in csv.DictReader(file) if float(row["infer_ms"] or 0)]
        return 1e3 / statistics.median(times)


def main() -> None:
    """Print a row for each number of busy processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--busy", default="0,1,2,4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("words", nargs="*", help="for track, behind --")
    asked = parser.parse_args()
    ways = {"default": [], "one thread": ["--threads", "1"]}
    frames_a_second(asked.words)  # what is converted once
    idle = None
    print(f"{'busy':>4s}  {'default':>8s}  {'one thread':>10s}  of idle")
    for count in map(int, asked.busy.split(",")):
        found: dict[str, list[float]] = {name: [] for name in ways}
        with busy(count):
            for _ in range(asked.rounds):
                for name, words in ways.items():
                    found[name].append(frames_a_second([*asked.words, *words]))
        many, one = (statistics.median(found[name]) for name in ways)
        idle = idle or many
        print(f"{count:4d}  {many:8.1f}  {one:10.1f}  {many / idle:7.2f}", flush=True)


if __name__ == "__main__":
    main()
