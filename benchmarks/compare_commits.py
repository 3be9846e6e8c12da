"""Whether two commits give the same boxes, byte for byte: `boxes.csv` of clips, tracked in float32 by each.

    python benchmarks/compare_commits.py 5321a66 HEAD --clips sample_data ../shared/data/val

Each commit is checked out into a folder of its own and runs its own code. The column `infer_ms` is a measured
time and is left out. One thread: sums of several depend on how many there are.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEASURED = "infer_ms"


def clips_of(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield name and arguments of `dmtrack track` of each clip of a folder."""
    for clip in sorted(path for path in folder.iterdir() if path.is_dir()):
        streams = sorted(path for path in clip.iterdir() if path.suffix in (".mp4", ".mkv"))
        rgb = [path for path in streams if path.stem == "rgb"]
        second = [path for path in (*streams, clip / "depth", clip / "events.npz") if path.exists()]
        second = [path for path in second if path not in rgb]
        if rgb:
            yield clip.name, [str(rgb[0]), *map(str, second)]
        elif (clip / "events.npz").exists():
            boxes = [f"--box-file={path}" for path in sorted(clip.glob("groundtruth*.txt"))]
            yield clip.name, [str(clip), str(clip / "events.npz"), *boxes]
        elif videos := sorted(clip.glob("*.avi")):
            boxes = [f"--box-file={path}" for path in sorted(clip.glob("*.txt"))]
            yield clip.name, [str(videos[0]), *boxes]
        elif (
            list(clip.glob("rgb"))
            or list(clip.glob("img"))
            or list(clip.glob("color"))
            or list(clip.glob("*.jpg"))
        ):
            yield clip.name, [str(clip)]


def checkout(commit: str, folder: Path) -> str:
    """Write the files of a commit into a folder, and return its full name."""
    full = subprocess.check_output(["git", "rev-parse", commit], cwd=ROOT, text=True).strip()
    archive = subprocess.run(["git", "archive", full], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return full


def track(tree: Path, arguments: list[str], output: Path, end: int | None) -> str:
    """Track with the code of `tree`; return what is in `boxes.csv`, or what went wrong."""
    command = [
        sys.executable,
        "-m",
        "dmtrack_cli",
        "track",
        *arguments,
        "-o",
        str(output),
        "--no-video",
        "-q",
    ]
    command += ["--precision=fp32", "--threads=1", "--device=cpu", *([] if end is None else [f"--end={end}"])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tree / "models", tree)))}
    done = subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"exit {done.returncode}: {done.stderr.strip()}"
    with (output / "boxes.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    kept = [(index, name) for index, name in enumerate(rows[0]) if name != MEASURED]
    return "\n".join(",".join(as_written(row[index], name) for index, name in kept) for row in rows)


def as_written(cell: str, name: str) -> str:
    """Return a cell with the digits that files have now: older commits wrote all that a float has."""
    try:
        return repr(round(float(cell), 3 if name.endswith("_ms") else 6))
    except ValueError:
        return cell


def main() -> None:
    """Track every clip with both commits and print a line each; exit 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs=2, help="what git calls them")
    parser.add_argument("--clips", nargs="+", type=Path, default=[ROOT / "sample_data"])
    parser.add_argument("--end", type=int, help="first frame not wanted any more")
    given = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory() as scratch:
        trees = [Path(scratch) / str(number) for number in range(2)]
        for commit, tree in zip(given.commits, trees, strict=True):
            print(commit, checkout(commit, tree))
        for name, arguments in (clip for folder in given.clips for clip in clips_of(folder.resolve())):
            texts = [
                track(tree, arguments, Path(scratch) / f"{name}{tree.name}", given.end) for tree in trees
            ]
            same = texts[0] == texts[1] and not texts[0].startswith("exit")
            differing += not same
            print(
                f"{name:24} {len(texts[0].splitlines()) - 1:5} rows  {'same' if same else 'DIFFERENT'}",
                flush=True,
            )
            if not same:
                print("\n".join(text.splitlines()[0] for text in texts if text))
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
