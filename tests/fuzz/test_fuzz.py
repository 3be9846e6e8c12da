"""Damaged files, whatever they say, make readers raise our own errors: quickly, and in little memory.

`pytest` tries a few a reader; `pytest tests/fuzz --fuzz-count 1000` and `python tests/fuzz/fuzz.py` many.
"""

from __future__ import annotations

import sys

import pytest
from fuzz import fuzzed, table
from seeds import READERS

SLOW = frozenset({"weights", "checkpoint", "training_run"})
"""These load torch."""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc")
@pytest.mark.parametrize("readers", [sorted(set(READERS) - SLOW), sorted(SLOW)], ids=["files", "torch"])
def test_damaged_files(readers: list[str], request: pytest.FixtureRequest) -> None:
    count = request.config.getoption("--fuzz-count")
    tallies = list(fuzzed(readers, count))
    assert [tally.reader for tally in tallies] == readers
    assert [tally.inputs for tally in tallies] == [count] * len(readers)
    failed = [line for tally in tallies for line in tally.foreign]
    assert not failed, "\n".join((table(tallies), *failed))
    assert sum(tally.own_errors for tally in tallies) > count, "hardly anything was damaged"
