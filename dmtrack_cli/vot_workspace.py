"""A workspace of vot-toolkit that holds our runs, so that `vot analysis` and `vot report` can be run on it.

Source: the documentation of vot-toolkit 0.9 (workspaces, `trackers.ini`); the program itself is not used.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

from dmtrack.errors import ConfigError, OutputError
from dmtrack.evaluation.benchmark.benchmarks import BenchmarkName
from dmtrack.output.atomic import os_errors_translated

STACKS: Final = {BenchmarkName.VOT_RGBD22: "vot2022/rgbd", BenchmarkName.DEPTHTRACK: "vot2021/rgbd"}
_CONFIG: Final = "config.yaml"
_TRACKERS: Final = "trackers.ini"


def require_stack(benchmark: BenchmarkName) -> str:
    """Return the toolkit's name of a benchmark.

    Raises:
        ConfigError: The toolkit does not evaluate it.
    """
    if benchmark not in STACKS:
        known = " and ".join(STACKS)
        raise ConfigError(f"vot-toolkit does not evaluate {benchmark}", hint=f"--export-vot is for {known}")
    return STACKS[benchmark]


def export_workspace(
    results: Path, workspace: Path, benchmark: BenchmarkName, dataset: Path, *, overwrite: bool
) -> None:
    """Copy the results of one tracker into a workspace; the workspace is made, or an existing one used.

    Args:
        results: The tracker's folder, in the toolkit's layout; its name is the tracker's.
        workspace: Gets `results/TRACKER/`, and `config.yaml` and `trackers.ini` where there are none.
        benchmark: Decides the stack of a new workspace.
        dataset: The sequences, for a new workspace.
        overwrite: Replace results that the tracker has there already.

    Raises:
        ConfigError: The toolkit does not evaluate this benchmark.
        OutputError: The tracker has results there, or something cannot be written.
    """
    stack = require_stack(benchmark)
    tracker = results.name
    target = workspace / "results" / tracker
    if target.exists() and not overwrite:
        raise OutputError("the workspace has results of this tracker", where=target, hint="--overwrite")
    with os_errors_translated(workspace):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(results, target)
        config, trackers = workspace / _CONFIG, workspace / _TRACKERS
        if not config.exists():
            sequences = json.dumps(str(dataset.absolute()), ensure_ascii=False)  # a string of YAML too
            text = f"registry:\n- ./{_TRACKERS}\nstack: {stack}\nsequences: {sequences}\n"
            config.write_text(text, encoding="utf-8")
        listed = trackers.read_text(encoding="utf-8") if trackers.exists() else ""
        if f"[{tracker}]" not in listed:
            entry = f"[{tracker}]\nlabel = {tracker}\nprotocol = none\ncommand = dmtrack\n"
            trackers.write_text(f"{listed}\n{entry}" if listed else entry, encoding="utf-8")
