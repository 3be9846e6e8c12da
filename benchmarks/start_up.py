"""What starting costs: `dmtrack --help` beside a bare Python, and `dmtrack track` up to its first box.

Processes of their own, in turn (A B A B), with files in the cache; medians. The first box is the first
report of `--progress json` that counts frames, on a sample recording. Modules that no run needs are looked
for as well.

    python benchmarks/start_up.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

SAMPLE = Path(__file__).parents[1] / "sample_data" / "night_street"
FRAMES = 3
UNNEEDED = ("torchvision", "timm", "scipy", "sympy")
"""Installed beside torch, and slow to import."""
_TRACK = ("-m", "dmtrack_cli", "track")


def seconds(*words: str) -> float:
    """Return how long Python takes to run these words, its start included."""
    begin = perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - begin


def first_box_s(words: list[str]) -> float:
    """Return how long `dmtrack track` takes until it reports a frame."""
    begin = perf_counter()
    with subprocess.Popen(
        [sys.executable, *_TRACK, *words, "--progress", "json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        events = map(json.loads, process.stdout)
        next(event for event in events if event["event"] == "progress")
        taken = perf_counter() - begin
        for _ in events:
            pass
    return taken


def imported(words: list[str]) -> list[str]:
    """Return which of `UNNEEDED` a whole run imports."""
    said = subprocess.run(
        [sys.executable, "-X", "importtime", *_TRACK, *words], capture_output=True, text=True, check=True
    ).stderr
    names = {line.split("|")[-1].strip() for line in said.splitlines() if line.startswith("import time:")}
    return [name for name in UNNEEDED if name in names]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        words = [str(SAMPLE / "rgb.mp4"), str(SAMPLE / "thermal.mkv"), "--box-file"]
        words += [str(SAMPLE / "groundtruth.txt"), "--end", str(FRAMES), "--overwrite", "-o", scratch]
        unneeded = imported(words)  # and everything is in the cache now
        bare, usage, torch, first = [], [], [], []
        for _ in range(rounds):
            bare.append(seconds("-c", "pass"))
            usage.append(seconds("-m", "dmtrack_cli", "--help"))
            torch.append(seconds("-c", "import torch"))
            first.append(first_box_s(words))
    print(f"python -c pass                   {median(bare):.3f} s")
    print(f"dmtrack --help                   {median(usage):.3f} s ({median(usage) - median(bare):+.3f} s)")
    print(f"python -c 'import torch'         {median(torch):.3f} s")
    print(f"dmtrack track, to the first box  {median(first):.3f} s")
    print(f"imported by it without need: {', '.join(unneeded) or 'nothing'}")


if __name__ == "__main__":
    main()
