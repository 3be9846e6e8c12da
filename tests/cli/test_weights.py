"""`dmtrack weights` as a person types it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
from program import exit_code

from dmtrack.config import BASE, TINY
from dmtrack.network.model import DMTrack
from dmtrack.network.weights import data_folder, store
from dmtrack.network.weights.checkpoint import expected_shapes, save_weights
from dmtrack.network.weights.file import WeightsMeta, sha256_of
from dmtrack.network.weights.published import key_table

PUBLISHED = dataclasses.replace(
    BASE, width=64, depth=1, heads=1, template_size=32, search_size=64, head_width=16
)


class Program:
    """Runs the program and keeps what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: object) -> int:
        code = exit_code("weights", *words)
        self.out, self.err = self._capsys.readouterr()
        return code


@pytest.fixture
def program(capsys, tmp_path, monkeypatch) -> Program:
    """The program with a data folder and a box of its own."""
    monkeypatch.setenv(data_folder.DATA_DIR_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(store, "bundled_folder", lambda: tmp_path / "box")
    config = dataclasses.replace(TINY, width=32, depth=1, heads=2, head_width=16)
    meta = WeightsMeta(config=config, kind="foundation", trained_on="squares")
    state = DMTrack(config, with_adapters=False).state_dict()
    save_weights(tmp_path / "box" / "tiny-foundation.safetensors", state, meta)
    return Program(capsys)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A small DMTrack checkpoint in the published format."""
    shapes = expected_shapes(PUBLISHED, "full")
    table = key_table(PUBLISHED.depth, with_adapters=True)
    path = tmp_path / "DMTrack_ep0060.pth.tar"
    torch.save(
        {"epoch": 60, "net": {theirs: torch.zeros(shapes[ours]) for theirs, ours in table.items()}}, path
    )
    return path


def test_add_list_show_verify(program, checkpoint, tmp_path):
    assert program("add", checkpoint, "--modality", "thermal") == 0
    assert "added base-thermal" in program.out
    assert "--weights base" in program.out
    stored = tmp_path / "data" / "weights" / "base-thermal.safetensors"
    assert sha256_of(stored) in program.out

    assert program("list") == 0
    rows = {line.split()[0]: line for line in program.out.splitlines() if line.strip()}
    assert "foundation" in rows["tiny-foundation"]
    assert "in the box" in rows["tiny-foundation"]
    assert "full" in rows["base-thermal"]
    assert "thermal" in rows["base-thermal"]

    assert program("show", "base-thermal") == 0
    unfolded = "".join(program.out.split())
    for fact in (str(stored), sha256_of(stored), checkpoint.name, sha256_of(checkpoint), "asPublished"):
        assert fact.lower() in unfolded.lower()
    assert "configtemporal_width12" in unfolded

    assert program("verify") == 0
    assert program.out.splitlines() == ["tiny-foundation: ok", "base-thermal: ok"]


def test_a_name_of_ones_own(program, checkpoint):
    assert program("add", checkpoint, "--modality", "depth", "--name", "mine") == 0
    assert "--weights mine" in program.out
    assert program("verify", "mine") == 0
    assert program("add", checkpoint, "--modality", "depth", "--name", "mine") == 5
    assert "already" in program.err
    assert program("add", checkpoint, "--modality", "depth", "--name", "mine", "--overwrite") == 0


def test_bundled_weights_can_be_shown(program):
    assert program("show", "tiny-foundation") == 0
    assert "squares" in program.out


def test_the_names_that_track_takes_mean_all_their_parts(program, checkpoint):
    assert program("verify", "tiny") == 0
    assert program.out.splitlines() == ["tiny-foundation: ok"]
    assert program("show", "tiny") == 0
    assert program.out.startswith("name                     tiny-foundation\n")
    assert program("show", "base") == 4
    assert "the published base weights for one stream are not here yet" in program.err
    assert program("add", checkpoint, "--modality", "thermal") == 0
    assert program("verify", "base") == 0
    assert program.out.splitlines() == ["base-thermal: ok"]


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.system, (f"touch {self.marker}",)


def test_a_hostile_checkpoint_is_one_line_and_runs_nothing(program, tmp_path):
    path, marker = tmp_path / "hostile.pth.tar", tmp_path / "marker"
    torch.save({"net": {}, "settings": _Hostile(marker)}, path)
    assert program("add", path, "--modality", "event") == 4
    assert not marker.exists()
    assert len(program.err.splitlines()) == 1
    assert f"names {os.system.__module__}.system" in program.err
    assert program("list") == 0
    assert "base-event" not in program.out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("add", "missing.pth"), 4, "cannot be read"),
        (("show", "nothing"), 4, "there are no weights 'nothing'"),
        (("verify", "nothing"), 4, "there are no weights 'nothing'"),
        (("add", "x.pth", "--modality", "sonar"), 2, "sonar"),
        (("add",), 2, "FILE"),
    ],
)
def test_what_cannot_be_done_is_said(program, words, code, message):
    assert program(*words) == code
    assert message in program.err
    assert "Traceback" not in program.err


def test_a_dmtrack_checkpoint_without_a_modality(program, checkpoint):
    assert program("add", checkpoint) == 4
    assert "say it with --modality thermal|depth|event" in program.err


def test_changed_weights_fail_verification_and_show_as_damaged(program, checkpoint):
    assert program("add", checkpoint, "--modality", "event") == 0
    path = data_folder.weights_folder() / "base-event.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert program("verify", "base-event") == 4
    assert "has changed since it was added" in program.err
    path.write_bytes(data[:-8])
    assert program("verify", "base-event") == 4
    assert "is damaged" in program.err
    assert program("list") == 0
    assert "damaged" in next(line for line in program.out.splitlines() if line.startswith("base-event"))
