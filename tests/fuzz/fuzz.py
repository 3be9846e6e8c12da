"""Feeds every reader damaged files, and says what came out: `python tests/fuzz/fuzz.py --count 1000`.

Nothing but errors of `dmtrack.errors` may come out of a reader, within `LONGEST_S` and `MOST_MIB`, whatever a
file says. Inputs are tried in a process of their own, many one after the other; one that crashes it or does
not end is counted, and the next process goes on behind it. `--keep FOLDER` keeps the inputs that failed.
"""

from __future__ import annotations

import argparse
import collections
import json
import logging
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LONGEST_S: Final = 10.0
MOST_MIB: Final = 1024.0
_GRACE_S: Final = 110.0
"""Seconds are those of the processor; one that says nothing for so much longer is counted as endless."""
_ADDRESS_SPACE: Final = 4 << 30
"""More than is in use at the start: who asks for more meets a `MemoryError`, and is counted as well."""
_TOO_MUCH: Final = "more memory than there is"
_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1]


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one reader."""

    reader: str
    inputs: int = 0
    read: int = 0
    own_errors: int = 0
    foreign: list[str] = field(default_factory=list)
    worst_s: float = 0.0
    worst_mib: float = 0.0

    def count(self, number: int, outcome: dict[str, Any]) -> None:
        """Add an input."""
        self.inputs += 1
        kind, said = outcome["kind"], outcome.get("said", "")
        self.worst_s = max(self.worst_s, outcome.get("seconds", 0.0))
        self.worst_mib = max(self.worst_mib, outcome.get("mib", 0.0))
        self.read += kind == "read"
        self.own_errors += kind == "own"
        if kind not in ("read", "own"):
            self.foreign.append(f"{self.reader} {number}: {kind}: {said}")
        elif _TOO_MUCH in said:
            self.foreign.append(f"{self.reader} {number}: asks for too much memory: {said}")
        elif outcome["seconds"] > LONGEST_S or outcome["mib"] > MOST_MIB:
            self.foreign.append(
                f"{self.reader} {number}: {outcome['seconds']:.1f} s, {outcome['mib']:.0f} MiB: {said}"
            )


def fuzzed(
    readers: Sequence[str], count: int, *, first: int = 0, keep: Path | None = None
) -> Iterator[Tally]:
    """Try `count` inputs of each reader from number `first` on, and yield what became of them."""
    left, begin, end = list(readers), first, first + count
    tallies = {name: Tally(name) for name in left}
    while left:
        finished, failed = yield from _one_process(left, range(begin, end), first, tallies, keep)
        left, begin = left[finished:], first if failed is None else failed + 1
        if left and begin >= end:
            yield tallies[left.pop(0)]
            begin = first


def _one_process(
    readers: Sequence[str], numbers: range, first: int, tallies: dict[str, Tally], keep: Path | None
) -> Generator[Tally, None, tuple[int, int | None]]:
    """Run a child until it is done or fails, and yield the readers that are done.

    Returns:
        How many these are, and the input it failed on.
    """
    words = ["--child", "--readers", ",".join(readers), "--first", str(first), "--keep", str(keep or "")]
    words += ["--begin", str(numbers.start), "--end", str(numbers.stop)]
    paths = os.pathsep.join((str(_ROOT), str(_ROOT / "models"), str(_ROOT / "tests" / "support"), str(_HERE)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, __file__, *words], stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as child,
    ):
        reader, finished = readers[0], 0
        number: int | None = None
        for line in _lines(child):
            said = json.loads(line)
            if "making" in said:
                reader, number = said["making"], None
            elif "done" in said:
                finished += 1
                yield tallies[said["done"]]
            elif "begin" in said:
                reader, number = said["reader"], said["begin"]
            else:
                tallies[reader].count(number or 0, said)
        if finished == len(readers):
            return finished, None
        why = "does not end" if child.poll() is None else f"ends the process ({child.returncode})"
        child.kill()
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        if child.returncode == 1 or number is None:
            raise RuntimeError(f"{reader} {number}: the test itself fails: {last}")
        tallies[reader].count(number, {"kind": why, "said": str(last)})
        return finished, number


def _lines(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield what a child says, until it ends or says nothing for too long."""
    assert child.stdout is not None
    handle, rest = child.stdout.fileno(), b""
    while select.select([handle], [], [], LONGEST_S + _GRACE_S)[0]:
        data = os.read(handle, 1 << 16)
        if not data:
            child.wait()
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def _child(readers: Sequence[str], begin: int, first: int, end: int, keep: Path | None) -> None:
    """Try inputs, and say of each what became of it; one reader after the other."""
    from mutation import mutated
    from seeds import READERS

    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print what they like
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        for name in readers:
            print(json.dumps({"making": name}), file=out)
            reader, folder = READERS[name], Path(scratch) / "in"
            trees = reader.trees(Path(scratch) / "seeds")
            for tree in trees:  # what is whole must be read, or the test tests nothing
                _written(tree, folder)
                reader.read(folder)
            _limit_memory()
            for number in range(begin, end):
                print(json.dumps({"begin": number, "reader": name}), file=out)
                draw = random.Random(f"{name} {number}")
                tree = mutated(trees[number % len(trees)], draw)
                _written(tree, folder)
                outcome = _outcome(reader.read, folder)
                if keep is not None and outcome["kind"] not in ("read", "own"):
                    _written(tree, keep / f"{name}_{number}")
                print(json.dumps(outcome), file=out)
            print(json.dumps({"done": name}), file=out)
            begin = first


def _outcome(read: Any, folder: Path) -> dict[str, Any]:
    from dmtrack.errors import DmtrackError

    before = _peak_mib(reset=True)
    begin = _spent_s()
    kind, said = "read", ""
    try:
        read(folder)
    except DmtrackError as error:
        kind, said = "own", str(error)
        if not said.isprintable() or len(said) > 1000:
            kind = "unprintable"
    except BaseException as error:  # noqa: BLE001 - that is the question
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = "" if place is None else f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
        kind, said = type(error).__name__, f"{str(error)[:200]} ({where})"
    return {
        "kind": kind,
        "said": said.encode("ascii", "backslashreplace").decode(),
        "seconds": _spent_s() - begin,
        "mib": max(0.0, _peak_mib() - before),
    }


def _written(tree: Any, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _limit_memory() -> None:
    status = Path("/proc/self/status").read_text()
    in_use = int(status.split("VmSize:")[1].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _ADDRESS_SPACE, resource.RLIM_INFINITY))


def _spent_s() -> float:
    """Return the processor time of this process and of those that it started and waited for."""
    return sum(os.times()[:4])


def _peak_mib(*, reset: bool = False) -> float:
    """Return the most memory that was resident, since the last time it was reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def table(tallies: Sequence[Tally]) -> str:
    """Return the figures as a table in Markdown."""
    head = "| reader | inputs | read | own errors | foreign, endless, too large | worst s | worst MiB |"
    rows = [
        f"| {t.reader} | {t.inputs} | {t.read} | {t.own_errors} | {len(t.foreign)} "
        f"| {t.worst_s:.2f} | {t.worst_mib:.0f} |"
        for t in tallies
    ]
    return "\n".join((head, "|---" + "|---:" * 6 + "|", *rows))


def main() -> None:
    """Run from a command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--readers", help="names, separated by commas; all of them if left out")
    parser.add_argument("--keep", type=Path, help="folder for inputs that failed")
    parser.add_argument("--begin", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--end", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        keep = given.keep if given.keep.name else None
        return _child(given.readers.split(","), given.begin, given.first, given.end, keep)
    sys.path[:0] = [str(_ROOT / "models"), str(_ROOT / "tests" / "support"), str(_HERE)]
    from seeds import READERS

    names = given.readers.split(",") if given.readers else list(READERS)
    tallies = []
    for tally in fuzzed(names, given.count, first=given.first, keep=given.keep):
        tallies.append(tally)
        sys.stderr.write(f"{tally.reader}: {tally.inputs} inputs, {len(tally.foreign)} failed\n")
        kinds = collections.Counter(line.partition(": ")[2] for line in tally.foreign)
        sys.stderr.writelines(f"    {times} x {line}\n" for line, times in kinds.most_common(12))
        sys.stderr.flush()
    sys.stdout.write(table(tallies) + "\n")
    return None


if __name__ == "__main__":
    main()
