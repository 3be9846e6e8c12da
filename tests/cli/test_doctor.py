"""`dmtrack doctor`: what this machine can do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bundled(weights, tmp_path, monkeypatch) -> Path:
    """Stand-ins for the weights in the box."""
    folder = tmp_path / "box"
    folder.mkdir()
    for path in weights.iterdir():
        shutil.copy(path, folder / f"tiny-{path.name}")
    monkeypatch.setattr("dmtrack.network.weights.store.bundled_folder", lambda: folder)
    return folder


def findings(outcome: Any) -> dict[str, dict[str, str]]:
    return {finding["topic"]: finding for finding in json.loads(outcome.out)["findings"]}


def test_a_machine_that_can_track(run_cli, bundled):
    outcome = run_cli("doctor", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["can_track"] is True
    found = findings(outcome)
    assert "torch 2." in found["packages"]["detail"]
    assert found["reading"]["state"] == "ok"
    assert found["display"]["state"] == "note"
    for name in ("tiny, one stream", "tiny, thermal", "tiny, depth", "tiny, event"):
        assert found[name]["state"] == "ok"


def test_the_table_fits_a_terminal(run_cli, bundled):
    outcome = run_cli("doctor")
    assert outcome.code == 0
    assert "This machine can track." in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines())


def test_damaged_weights_are_found(run_cli, bundled):
    path = bundled / "tiny-depth.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    outcome = run_cli("doctor", "--json")
    assert outcome.code == 4
    found = findings(outcome)
    assert found["tiny, depth"]["state"] == "fail"
    assert json.loads(outcome.out)["can_track"] is False


def test_missing_h264_is_a_failure(run_cli, bundled, monkeypatch):
    monkeypatch.setattr("dmtrack.doctor._has_codec", lambda name, _mode: name not in ("h264", "libx264"))
    outcome = run_cli("doctor", "--json")
    assert outcome.code == 4
    assert findings(outcome)["reading"]["state"] == "fail"
    assert findings(outcome)["writing"]["state"] == "note"
