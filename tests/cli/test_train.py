"""`dmtrack train` end to end on a few steps, and what wrong options get."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dmtrack.network.weights.checkpoint import load_weights
from dmtrack.network.weights.file import sha256_of
from dmtrack.training.train_config import TrainRequest, train_numbers
from dmtrack.training.training_run import train as run_training
from dmtrack.video.frame import Modality
from dmtrack_cli.app import main

SMALL = ["--template-size", "32", "--search-size", "64", "--batch-size", "2", "--workers", "0", "--no-bf16"]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as leaving:
        main(["train", *words])
    code = leaving.value.code
    return 0 if code is None else int(code)


@pytest.fixture(scope="module")
def foundation(tmp_path_factory) -> Path:
    """A run folder of two steps of the foundation stage."""
    folder = tmp_path_factory.mktemp("runs") / "foundation"
    code = run("-o", str(folder), "--stage", "foundation", "--steps", "2", "--collage-share", "1", *SMALL)
    assert code == 0
    return folder


def test_the_foundation_stage_leaves_weights_that_load(foundation):
    weights = load_weights(foundation / "weights.safetensors")
    assert weights.meta.kind == "foundation"
    assert weights.meta.config.search_size == 64
    assert weights.meta.trained_on == "synthetic sequences"
    assert (foundation / "checkpoint.pt").exists()
    assert (foundation / "config.json").exists()


def test_adapters_are_trained_on_a_foundation_and_say_which(foundation, tmp_path):
    init = foundation / "weights.safetensors"
    words = ["--stage", "adapters", "--modality", "thermal", "--init", str(init), "--steps", "2"]
    assert run("-o", str(tmp_path / "run"), *words, "--store", "fp16", *SMALL) == 0
    weights = load_weights(tmp_path / "run" / "weights.safetensors")
    assert weights.meta.kind == "adapters"
    assert weights.meta.modality is Modality.THERMAL
    assert weights.meta.foundation_sha256 == sha256_of(init)


def test_the_same_command_goes_on_where_it_stopped(foundation, capsys):
    words = ["--stage", "foundation", "--steps", "3", "--collage-share", "1", *SMALL]
    config = foundation / "more.toml"
    config.write_text("log_interval = 1\n", encoding="utf-8")
    assert run("-o", str(foundation), "--config", str(config), *words) == 0
    assert "resumed at step 2" in capsys.readouterr().err
    with (foundation / "curve.csv").open(encoding="utf-8") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["3"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--stage", "adapters", "--modality", "thermal"], 4, "--init tiny"),
        (["--stage", "foundation", "--photographs", "nowhere"], 3, "nowhere"),
        (["--stage", "foundation", "--preset", "huge"], 4, "huge"),
        (["--stage", "foundation", "--optimizer", "sgd"], 4, "sgd"),
        (["--stage", "foundation", "--device", "banana"], 4, "banana"),
        (["--stage", "foundation", "--config", "missing.toml"], 3, "missing.toml"),
    ],
    ids=[
        "no foundation",
        "no such folder",
        "unknown preset",
        "unknown optimiser",
        "no such device",
        "no such file",
    ],
)
def test_wrong_options_get_one_line(words, code, said, tmp_path, capsys):
    assert run("-o", str(tmp_path / "run"), *words, *SMALL) == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1, err


def test_adapters_need_a_modality(foundation, tmp_path, capsys):
    init = str(foundation / "weights.safetensors")
    assert run("-o", str(tmp_path / "run"), "--stage", "adapters", "--init", init, *SMALL) == 4
    assert "--modality" in capsys.readouterr().err


def test_an_unknown_number_in_the_file_names_the_closest(tmp_path, capsys):
    config = tmp_path / "run.toml"
    config.write_text("learning_rates = 1\n", encoding="utf-8")
    assert run("-o", str(tmp_path / "run"), "--stage", "foundation", "--config", str(config), *SMALL) == 4
    assert "learning_rate" in capsys.readouterr().err


@pytest.mark.slow
def test_training_from_python_is_one_call(tmp_path):
    numbers = train_numbers("foundation", "tiny", steps=2, batch_size=2, log_interval=1)
    request = TrainRequest(tmp_path / "run", numbers, template_size=32, search_size=64, workers=0, bf16=False)
    told: list[str] = []
    assert [progress.step for progress in run_training(request, told.append)] == [1, 2]
    assert told[0].endswith("from step 0")
    weights = tmp_path / "run" / "weights.safetensors"
    assert told[-2].startswith(f"wrote {weights}")
    assert told[-1] == f"track with it: dmtrack track RGB --weights {weights}"
