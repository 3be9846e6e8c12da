"""`dmtrack train` end to end on a few steps, and what wrong options get."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import written
from program import csv_rows, exit_code

from dmtrack.network.weights.checkpoint import load_weights
from dmtrack.network.weights.file import sha256_of
from dmtrack.training.train_config import TrainRequest, train_numbers
from dmtrack.training.training_run import train as run_training
from dmtrack.video.frame import Modality

SMALL = ["--template-size", "32", "--search-size", "64", "--batch-size", "2", "--workers", "0", "--no-bf16"]


def train(output: Path, *words: str | Path) -> int:
    return exit_code("train", "-o", output, *words, *SMALL)


@pytest.fixture(scope="module")
def foundation(tmp_path_factory) -> Path:
    """A run folder of two steps of the foundation stage."""
    folder = tmp_path_factory.mktemp("runs") / "foundation"
    assert train(folder, "--stage", "foundation", "--steps", "2", "--collage-share", "1") == 0
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
    words = ["--stage", "adapters", "--modality", "thermal", "--init", init, "--steps", "2"]
    assert train(tmp_path / "run", *words, "--store", "fp16") == 0
    weights = load_weights(tmp_path / "run" / "weights.safetensors")
    assert weights.meta.kind == "adapters"
    assert weights.meta.modality is Modality.THERMAL
    assert weights.meta.foundation_sha256 == sha256_of(init)


def test_the_same_command_goes_on_where_it_stopped(foundation, capsys):
    words = ["--stage", "foundation", "--steps", "3", "--collage-share", "1"]
    config = written(foundation / "more.toml", "log_interval = 1\n")
    assert train(foundation, "--config", config, *words) == 0
    assert "resumed at step 2" in capsys.readouterr().err
    assert [row["step"] for row in csv_rows(foundation / "curve.csv")] == ["3"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["adapters", "--modality", "thermal"], 4, "--init tiny", id="no foundation"),
        pytest.param(["adapters", "--init", "tiny"], 4, "--modality", id="no modality"),
        pytest.param(["foundation", "--photographs", "nowhere"], 3, "nowhere", id="no such folder"),
        pytest.param(["foundation", "--preset", "huge"], 4, "huge", id="unknown preset"),
        pytest.param(["foundation", "--optimizer", "sgd"], 4, "sgd", id="unknown optimiser"),
        pytest.param(["foundation", "--device", "banana"], 4, "banana", id="no such device"),
        pytest.param(["foundation", "--config", "missing.toml"], 3, "missing.toml", id="no such file"),
        pytest.param(["foundation", "--config", "wrong.toml"], 4, "learning_rate", id="names the closest"),
    ],
)
def test_wrong_options_get_one_line(words, code, said, tmp_path, capsys):
    Path("wrong.toml").write_text("learning_rates = 1\n", encoding="utf-8")
    assert train(tmp_path / "run", "--stage", *words) == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1, err


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
