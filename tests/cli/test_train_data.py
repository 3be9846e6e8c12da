"""`dmtrack train` on annotated folders and published weights, and `dmtrack synthetic`."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
from clips import square_clip, written
from program import exit_code, new_process

from dmtrack.config import BASE
from dmtrack.errors import ConfigError, InputError
from dmtrack.network.model import DMTrack
from dmtrack.network.weights.checkpoint import load_weights, save_weights
from dmtrack.network.weights.data_folder import add_published
from dmtrack.network.weights.file import WeightsMeta
from dmtrack.network.weights.published import key_table
from dmtrack.training.train_config import DataPart

SMALL = ["--template-size", "32", "--search-size", "64", "--batch-size", "2", "--workers", "0", "--no-bf16"]
#: A published network in small: one stream, as an OSTrack checkpoint holds it.
OSTRACK = replace(BASE, width=64, depth=1, heads=1, head_width=16, template_size=32, search_size=64)


def train(output: Path, *words: str | Path, stage: str = "foundation", steps: int = 1) -> int:
    return exit_code("train", "-o", output, "--stage", stage, "--steps", str(steps), *SMALL, *words)


@pytest.fixture
def lasher(tmp_path) -> Path:
    """A folder of two clips as LasHeR distributes them; one has lost a thermal picture."""
    for clip in ("whole", "holed"):
        square_clip(tmp_path / "LasHeR" / clip, ("visible", "infrared"), truth="visible.txt")
    (tmp_path / "LasHeR" / "holed" / "infrared" / "000005.png").unlink()
    return tmp_path / "LasHeR"


@pytest.fixture
def foundation(tmp_path) -> Path:
    """A random foundation of another network than the presets."""
    config = replace(OSTRACK, name="random", stem="conv")
    path = tmp_path / "random.safetensors"
    save_weights(
        path, DMTrack(config, with_adapters=False).state_dict(), WeightsMeta(config=config, kind="foundation")
    )
    return path


@pytest.mark.slow
def test_a_foundation_is_trained_on_a_folder_and_synthesis(tmp_path, lasher, capsys):
    output = tmp_path / "run"
    numbers = written(tmp_path / "numbers.toml", "log_interval = 1\n")
    words = ["--data", f"{lasher}=2", "--data", "synthetic=0.5", "--collage-share", "1"]
    assert train(output, *words, "--config", numbers, steps=2) == 0
    err = capsys.readouterr().err
    assert "1 sequences (1 lasher), 0 do not suit, 1 with bad data; first: " in err
    assert "20 pictures in visible, but 19 in infrared" in err
    meta = load_weights(output / "weights.safetensors").meta
    assert meta.trained_on == "synthetic sequences, 1 lasher sequences"
    config = json.loads((output / "config.json").read_text())
    assert config["data"] == [{"folder": str(lasher), "weight": 2.0}, {"folder": None, "weight": 0.5}]
    assert (output / "curve.png").exists() == (importlib.util.find_spec("matplotlib") is not None)


def test_adapters_are_trained_on_pairs_of_a_folder_alone(tmp_path, lasher, foundation):
    words = ("--data", lasher, "--modality", "thermal", "--init", foundation, "--store", "fp16")
    assert train(tmp_path / "run", *words, stage="adapters") == 0
    meta = load_weights(tmp_path / "run" / "weights.safetensors").meta
    assert (meta.kind, meta.modality, meta.trained_on) == ("adapters", "thermal", "1 lasher sequences")


def test_base_adapters_start_from_an_ostrack_checkpoint_in_the_data_folder(tmp_path, lasher):
    """The published stage, on what `weights add` made of the checkpoint."""
    state = DMTrack(OSTRACK, with_adapters=False).state_dict()
    table = key_table(OSTRACK.depth, with_adapters=False)
    torch.save({"net": {theirs: state[ours] for theirs, ours in table.items()}}, tmp_path / "OSTrack.pth.tar")
    added = add_published(tmp_path / "OSTrack.pth.tar")
    output = tmp_path / "run"
    words = ("--preset", "base", "--modality", "thermal", "--init", "base", "--data", lasher)
    assert train(output, *words, stage="adapters") == 0
    meta = load_weights(output / "weights.safetensors").meta
    assert meta.foundation_sha256 == added.sha256
    assert (meta.config.name, meta.config.stream_merge, meta.config.width) == ("base", "sum", 64)
    numbers = json.loads((output / "config.json").read_text())["train"]
    assert (numbers["learning_rate"], numbers["grad_clip"], numbers["templates"]) == (4e-4, 0.1, 3)


@pytest.mark.slow
@pytest.mark.alone
def test_base_at_its_real_width_is_trained_from_random_weights(tmp_path, lasher):
    """Twenty steps of the published stage on all twelve blocks, at small crops."""
    torch.manual_seed(0)
    path = tmp_path / "base.safetensors"
    tensors = DMTrack(BASE, with_adapters=False).state_dict()
    save_weights(path, tensors, WeightsMeta(config=BASE, kind="foundation"), dtype=torch.float16)
    numbers = tmp_path / "numbers.toml"
    numbers.write_text("log_interval = 10\ncheckpoint_interval = 20\nema_decay = 0.9\n")
    words = (
        "--preset",
        "base",
        "--modality",
        "thermal",
        "--init",
        path,
        "--data",
        lasher,
        "--config",
        numbers,
    )
    assert train(tmp_path / "run", *words, stage="adapters", steps=20) == 0
    curve = (tmp_path / "run" / "curve.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in curve] == ["step", "10", "20"]
    weights = load_weights(tmp_path / "run" / "weights.safetensors")
    assert sum(tensor.numel() for tensor in weights.tensors.values()) == 786_432
    ups = [tensor for name, tensor in weights.tensors.items() if name.endswith("up.weight")]
    assert ups
    assert all(bool(torch.isfinite(tensor).all()) and bool(tensor.any()) for tensor in ups)


def test_adapters_go_on_from_others(tmp_path, lasher, foundation, capsys):
    """The share of the second stream stays; others than adapters of this modality are refused."""
    words = ("--data", lasher, "--init", foundation)
    thermal = ("--modality", "thermal", "--init-adapters")
    assert train(tmp_path / "run", *words, *thermal[:2], stage="adapters") == 0
    made = load_weights(tmp_path / "run" / "weights.safetensors")
    meta = replace(made.meta, config=replace(made.meta.config, aux_share=0.2))
    first = tmp_path / "first.safetensors"
    save_weights(first, {name: tensor + 0.5 for name, tensor in made.tensors.items()}, meta)
    assert train(tmp_path / "second", *words, *thermal, first, stage="adapters") == 0
    before, after = load_weights(first), load_weights(tmp_path / "second" / "weights.safetensors")
    assert after.meta.config.aux_share == 0.2
    # One step of AdamW at the published rate moves no number by more than about that rate.
    moved = [float((tensor - before.tensors[name]).abs().max()) for name, tensor in after.tensors.items()]
    assert 0 < max(moved) < 0.01
    assert train(tmp_path / "third", *words, *thermal, foundation, stage="adapters") == 4
    assert "these are no adapters for thermal" in capsys.readouterr().err
    assert train(tmp_path / "third", *words, *thermal, "tiny", stage="adapters") == 4
    assert "of another network" in capsys.readouterr().err
    assert train(tmp_path / "third", "--init-adapters", first) == 4
    assert "--stage adapters" in capsys.readouterr().err


def test_depth_takes_two_templates_as_published():
    from dmtrack.training.train_config import train_numbers

    assert train_numbers("adapters", "base", "depth").templates == 2
    assert train_numbers("adapters", "base", "thermal").templates == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--data", "nowhere"], 3, "nowhere: no such folder"),
        (["--data", "synthetic=0"], 4, "not a number above 0"),
        (["--data", "synthetic=much"], 4, "the weight 'much' of 'synthetic' is not a number above 0"),
        (["--data", "LasHeR=nan"], 4, "not a number above 0"),
        (["--data", "LasHeR", "--bad-data", "fatal"], 3, "20 pictures in visible, but 19 in infrared"),
        (["--data", "LasHeR", "--photographs", "LasHeR"], 4, "--data synthetic"),
        (["--data", "empty"], 3, "empty: no sequence to draw samples from: 0 found"),
        (["--init", "best"], 4, "best: there are no such weights"),
        (["--init", "base"], 4, "OSTrack_ep0300.pth.tar"),
    ],
)
def test_wrong_data_gets_one_line(words, code, said, tmp_path, lasher, capsys):
    (tmp_path / "empty").mkdir()
    assert train(tmp_path / "run", *words) == code
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error


def test_a_foundation_of_another_preset_is_refused(tmp_path, capsys):
    path = tmp_path / "big.safetensors"
    tensors = DMTrack(OSTRACK, with_adapters=False).state_dict()
    save_weights(path, tensors, WeightsMeta(config=OSTRACK, kind="foundation"))
    assert train(tmp_path / "run", "--init", path) == 4
    assert "give --preset base" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("synthetic", DataPart(None)),
        ("synthetic=0.25", DataPart(None, 0.25)),
        ("set", DataPart(Path("set"))),
        ("set=3", DataPart(Path("set"), 3)),
        ("a=b", DataPart(Path("a=b"))),
        ("a=b=2", DataPart(Path("a=b"), 2)),
    ],
)
def test_what_data_may_say(text, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("set", "a=b"):
        Path(name).mkdir()
    assert DataPart.parse(text) == part


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a=b", ConfigError),
        ("c", InputError),
        ("=1", InputError),
        ("set=", ConfigError),
        ("set=-1", ConfigError),
    ],
)
def test_what_data_may_not_say(text, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    with pytest.raises(error):
        DataPart.parse(text)


@pytest.mark.slow
def test_torchrun_trains_in_two_processes(tmp_path, lasher):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    words = ["--standalone", "--nproc-per-node", "2", "-m", "dmtrack_cli", "train", "--data", lasher]
    words += ["-o", tmp_path / "run", "--stage", "foundation", "--steps", "2", *SMALL]
    done = new_process("-m", "torch.distributed.run", *words, env=environment, timeout_s=600)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained parameters") == 1
    assert load_weights(tmp_path / "run" / "weights.safetensors").meta.kind == "foundation"


# --- dmtrack synthetic ---------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["--modality", "thermal"]], ids=["one stream", "pairs"])
def test_the_contact_sheet_shows_samples(words, tmp_path):
    sheet = tmp_path / "new" / "sheet.png"
    sizes = ["--count", "3", "--columns", "2", "--template-size", "32", "--search-size", "64"]
    assert exit_code("synthetic", "-o", sheet, *sizes, *words) == 0
    picture = cv2.imread(str(sheet))
    assert picture is not None
    # Two rows; two samples a row, each a column of templates and a search crop a stream; gaps.
    assert picture.shape == (2 * (64 + 3), 2 * ((32 + 64) * (2 if words else 1) + 3), 3)
    assert picture[:, -40:].std() > 5


def test_the_same_seed_gives_the_same_sheet(tmp_path):
    sizes = ["--count", "2", "--template-size", "32", "--search-size", "64"]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert exit_code("synthetic", "-o", tmp_path / f"{name}.png", "--seed", seed, *sizes) == 0
    first, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_sheet_that_exists_is_kept(tmp_path, capsys):
    sheet = written(tmp_path / "sheet.png", b"mine")
    assert exit_code("synthetic", "-o", sheet, "--count", "1") == 5
    assert sheet.read_bytes() == b"mine"
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "sheet.jpg"], 5, "sheet.jpg"),
        (["-o", "sheet.png", "--photographs", "nowhere"], 3, "nowhere"),
        (["-o", "sheet.png", "--count", "0"], 2, "count"),
    ],
)
def test_wrong_sheets_get_one_line(words, code, said, capsys):
    assert exit_code("synthetic", *words) == code
    assert said in capsys.readouterr().err
