"""What becomes of every command that writes: twice at once, onto its input, on a full disk, hung up.

    python benchmarks/unbreakable.py --clip sample_data/night_street

A full disk is a limit on the size of files, which every system has. Prints a table in Markdown: exit codes
with the reasons, whether an input kept its bytes, and temporary files that are left.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--template-size=32", "--search-size=64", "--batch-size=2", "--workers=0", "--threads=1"]
PLAIN = ["--backend=torch", "--precision=fp32"]
WAITS_S = 20
"""A review serves its page until it is stopped: it is hung up after so long."""
LIMIT_S = 300
LEAST_BYTES = 40_000


class Bench:
    """A folder with the inputs of every command."""

    def __init__(self, folder: Path, clip: Path, end: int) -> None:
        self.folder = folder
        streams = sorted(path for path in clip.iterdir() if path.suffix in (".mp4", ".mkv"))
        self.rgb, self.aux = (
            Path(shutil.copy(path, folder / f"in{number}{path.suffix}"))
            for number, path in enumerate(streams[:2])
        )
        truth = next(clip.glob("groundtruth*.txt")).read_text().splitlines()
        self.box = truth[0].replace("\t", ",")
        (folder / "boxes.csv").write_text(f"frame,id,x,y,w,h\n0,1,{self.box}\n")
        (folder / "events.txt").write_text(
            "".join(f"{n / 1000:.6f} {n % 90} {n % 70} {n % 2}\n" for n in range(5000))
        )
        (folder / "points.json").write_text("[[0,0,0,0],[90,0,90,0],[90,90,90,90],[0,90,0,90]]")
        (folder / "list.csv").write_text(f'id,rgb,box,end\na,{self.rgb},"{self.box}",{end}\n')
        (folder / "truth" / "s1").mkdir(parents=True)
        (folder / "truth" / "s1" / "groundtruth.txt").write_text("1,2,30,40\n" * 3)
        (folder / "ours").mkdir()
        (folder / "ours" / "s1.txt").write_text("1,2,30,40\n" * 3)
        _published(folder / "w.pth")
        self.commands = {
            "track": ["track", str(self.rgb), f"--box={self.box}", f"--end={end}", "-o", "o"],
            "render": ["render", str(self.rgb), "--boxes", "boxes.csv", f"--end={end}", "-o", "o/r.mp4"],
            "export": ["export", "boxes.csv", "--format", "mot", "-o", "o/b.txt"],
            "export --merge": ["export", "boxes.csv", "--merge", "-o", "o/all.csv"],
            "events": ["events", "events.txt", "--columns", "txyp", "-o", "o/e.mkv"],
            "align": ["align", str(self.rgb), str(self.aux), "--points", "points.json", "-o", "o/a.json"],
            "inspect --sheet": ["inspect", str(self.rgb), "--sheet", "o/s.png"],
            "batch": ["batch", "list.csv", "-o", "o"],
            "evaluate": ["evaluate", "ours", "--dataset", "truth", "-o", "o"],
            "synthetic": ["synthetic", "-o", "o/s.png", "--count", "2"],
            "train": ["train", "--modality", "thermal", "--init", "tiny", "-o", "o", "--steps", "2", *SMALL],
            "export-model": ["export-model", "-o", "o/m.onnx"],
            "weights add": ["weights", "add", "w.pth", "--name", "w"],
            "review": ["review", str(self.rgb), f"--end={end}", "-o", "o", "--no-open"],
            "bench": ["bench", "--preset=tiny", "--modality=thermal", "--frames=2", "--targets=1", *PLAIN],
            "doctor": ["doctor"],
        }
        self.on_input = {
            "track": (
                self.rgb,
                "annotated.mp4",
                ["track", "o/annotated.mp4", f"--box={self.box}", f"--end={end}", "-o", "o"],
            ),
            "render": (self.rgb, "x.mp4", ["render", "o/x.mp4", "--boxes", "boxes.csv", "-o", "o/x.mp4"]),
            "export": (folder / "boxes.csv", "b.csv", ["export", "o/b.csv", "-o", "o/b.csv"]),
            "export --merge": (
                folder / "boxes.csv",
                "b.csv",
                ["export", "o/b.csv", "--merge", "-o", "o/b.csv"],
            ),
            "events": (
                self.aux,
                "x.mkv",
                ["events", "events.txt", "--columns", "txyp", "--like", "o/x.mkv", "-o", "o/x.mkv"],
            ),
            "align": (
                folder / "points.json",
                "p.json",
                ["align", str(self.rgb), str(self.aux), "--points", "o/p.json", "-o", "o/p.json"],
            ),
            "batch": (folder / "list.csv", "summary.csv", ["batch", "o/summary.csv", "-o", "o"]),
        }

    def clean(self) -> Path:
        """Empty the folder of results."""
        shutil.rmtree(self.folder / "o", ignore_errors=True)
        (self.folder / "o").mkdir()
        return self.folder / "o"

    def start(self, words: list[str], before: Callable[[], object] | None = None) -> subprocess.Popen[str]:
        """Start a command."""
        path = os.pathsep.join((str(ROOT), str(ROOT / "models")))
        process = subprocess.Popen(
            [sys.executable, "-m", "dmtrack_cli", *words],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": path,
                "OMP_NUM_THREADS": "1",
                "DMTRACK_DATA_DIR": str(self.folder / "o" / "data"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,  # noqa: PLW1509 - what the other thread does there is to wait
        )
        if words[0] == "review":
            waiting = threading.Timer(WAITS_S, process.send_signal, [signal.SIGHUP])
            waiting.daemon = True
            waiting.start()
        return process


def _published(path: Path) -> None:
    """Write a small checkpoint as the published ones are."""
    import torch

    from dmtrack.config import model_preset
    from dmtrack.network.weights.checkpoint import expected_shapes
    from dmtrack.network.weights.published import key_table

    config = dataclasses.replace(model_preset("base"), width=64, depth=2, heads=1, head_width=32)
    shapes = expected_shapes(config, "foundation")
    names = key_table(2, with_adapters=False).items()
    kinds = {theirs: torch.int64 if "num_batches" in ours else torch.float32 for theirs, ours in names}
    torch.save({"net": {key: torch.zeros(shapes[ours], dtype=kinds[key]) for key, ours in names}}, path)


def told(process: subprocess.Popen[str]) -> str:
    """Wait for a command; return its exit code, and what its last line says if it failed."""
    try:
        _, err = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return f"not done in {LIMIT_S} s"
    lines = [line for line in err.splitlines() if line.startswith(("error", "stopped"))]
    if "Traceback" in err or "unexpected" in err:
        lines = ["DEFECT"]
    why = lines[-1].partition(": ")[2].split("; ")[0].rpartition(": ")[2][:40] if lines else ""
    return f"{process.returncode} {why}".strip()


def state(folder: Path) -> str:
    """Return whether temporary files are left."""
    left = [path.name for path in folder.rglob(".*") if path.name.endswith(".part")]
    return f", left: {' '.join(left)}" if left else ""


def wait_for_output(process: subprocess.Popen[str], folder: Path) -> None:
    """Return as soon as a command has put something into its folder, or is over."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and process.poll() is None and not any(folder.iterdir()):
        time.sleep(0.01)


def full_disk() -> None:
    """Let no file grow beyond a little."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LEAST_BYTES, LEAST_BYTES))


def tiny_disk() -> None:
    """Let no file grow at all."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))


def row(bench: Bench, name: str, words: list[str]) -> list[str]:
    """Try one command in every way."""
    cells = [name]
    bench.clean()
    pair = [bench.start(words), bench.start(words)]
    cells.append(" / ".join(map(told, pair)) + state(bench.folder / "o"))
    if name in bench.on_input:
        victim, called, own = bench.on_input[name]
        copy = Path(shutil.copy(victim, bench.clean() / called))
        digest = hashlib.sha256(copy.read_bytes()).digest()
        said = told(bench.start([*own, "--overwrite"]))
        kept = "kept" if hashlib.sha256(copy.read_bytes()).digest() == digest else "DESTROYED"
        cells.append(f"{said}, {kept}")
    else:
        cells.append("-")
    bench.clean()
    limit = (
        full_disk
        if name in ("track", "render", "train", "export-model", "batch", "weights add")
        else tiny_disk
    )
    cells.append(told(bench.start(words, limit)) + state(bench.folder / "o"))
    bench.clean()
    cells.append(told(bench.start(words, lambda: os.close(2))))
    bench.clean()
    process = bench.start(words)
    wait_for_output(process, bench.folder / "o")
    process.send_signal(signal.SIGHUP)
    cells.append(told(process) + state(bench.folder / "o"))
    return cells


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=ROOT / "sample_data" / "night_street")
    parser.add_argument("--end", type=int, default=6)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), given.clip, given.end)
        print(
            "| command | twice at once | onto its input | full disk | stderr closed "
            "| SIGHUP at its first file |\n" + "| --- " * 6 + "|"
        )
        for name, words in bench.commands.items():
            if not given.only or name in given.only:
                print("| " + " | ".join(row(bench, name, words)) + " |", flush=True)


if __name__ == "__main__":
    main()
