"""How much the memory of `dmtrack track` grows with the length of a video: between two frames far apart.

A small video of two streams is generated and tracked, annotated video included; the memory of the process is
read from `/proc` (Linux) whenever the command reports progress. It should grow by less than 20 MB.

    python benchmarks/track_memory.py [--frames 20000] [--from 1000]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from dmtrack.bench import stages


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def main() -> None:
    """Track, and print the memory at the first report after each of ten even steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--from", dest="first", type=int, default=1000)
    options = parser.parse_args()
    stages.WIDTH, stages.HEIGHT = 160, 120
    with tempfile.TemporaryDirectory() as scratch:
        clip = stages.make_clip(Path(scratch), options.frames, 1)
        box = ",".join(map(str, clip.boxes(1)[0].xywh))
        words = [str(clip.rgb), str(clip.aux), "--modality", "thermal", "--box", box, "--progress", "json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "dmtrack_cli", "track", *words, "-o", str(Path(scratch) / "out")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        seen: list[tuple[int, float]] = []
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] != "progress" or event["frames"] < options.first:
                continue
            latest = event["frames"], resident_mb(process.pid)
            if not seen or latest[0] >= seen[-1][0] + (options.frames - options.first) // 10:
                seen.append(latest)
                print(f"frame {seen[-1][0]:6d}  {seen[-1][1]:7.1f} MB", flush=True)
        if process.wait() != 0:
            sys.exit(process.returncode)
    print(f"growth {latest[1] - seen[0][1]:+.1f} MB from frame {seen[0][0]} to {latest[0]}")


if __name__ == "__main__":
    main()
