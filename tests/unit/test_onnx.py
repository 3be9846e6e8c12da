"""The ONNX files give what PyTorch gives, and what cannot be run is said in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from dmtrack.config import TINY
from dmtrack.errors import CheckpointError, ConfigError
from dmtrack.network import backend
from dmtrack.network.backend import inference_network
from dmtrack.network.fast.onnx_export import export_onnx, largest_difference
from dmtrack.network.fast.onnx_network import OnnxFiles, OnnxNetwork
from dmtrack.network.model import DMTrack

CONFIG = replace(TINY, depth=1, width=64, heads=1, template_size=32, search_size=64, head_width=32)


@pytest.fixture(scope="module")
def model() -> DMTrack:
    torch.manual_seed(0)
    made = DMTrack(CONFIG)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
    return made.eval()


@pytest.fixture(scope="module")
def step(model: DMTrack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    export_onnx(model, path)
    return path


def test_a_loaded_network_gives_what_pytorch_gives(model: DMTrack, step: Path) -> None:
    assert largest_difference(OnnxNetwork.load(step), inference_network(model)) < 1e-5


@pytest.mark.parametrize(("targets", "templates"), [(1, 1), (3, 2), (2, 3)])
def test_the_number_of_targets_and_templates_is_free(
    model: DMTrack, step: Path, targets: int, templates: int
) -> None:
    crops = torch.randint(0, 256, (targets, 32, 32, 6), dtype=torch.uint8)
    search = torch.randint(0, 256, (targets, 64, 64, 6), dtype=torch.uint8)
    boxes = torch.full((targets, 4), 0.5)
    scores = []
    for network in (OnnxNetwork.load(step), inference_network(model)):
        with torch.inference_mode():
            memory = torch.cat([network.embed_template(crops, boxes)] * templates, dim=2)
            scores.append(network.step(memory, search).score_map)
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=1e-5)


def test_the_files_say_what_they_are(step: Path) -> None:
    network = OnnxNetwork.load(step)
    assert network.config == CONFIG
    assert network.streams == 2
    graph = onnx.load(step).graph
    assert [value.name for value in graph.input] == ["memory", "search"]
    assert [value.name for value in graph.output] == ["score", "size", "offset", "quality"]


@pytest.mark.slow
def test_int8_is_near_and_smaller(model: DMTrack, step: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    written = export_onnx(model, path, precision="int8")
    assert 0 < written.difference < 0.05
    assert path.stat().st_size < step.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("with_adapters", [True, False], ids=["two-streams", "one-stream"])
def test_a_network_without_boxes_in_its_templates_is_exported_too(
    tmp_path: Path, *, with_adapters: bool
) -> None:
    """As `base` is."""
    config = replace(CONFIG, template_prompt=False, quality_head=False)
    torch.manual_seed(0)
    plain = DMTrack(config, with_adapters=with_adapters).eval()
    assert export_onnx(plain, tmp_path / "plain.onnx").difference < 1e-5
    network = OnnxNetwork.load(tmp_path / "plain.onnx")
    assert (network.config, network.streams) == (config, 1 + with_adapters)


def test_one_stream_needs_a_network_that_can(model: DMTrack, step: Path) -> None:
    network = OnnxNetwork.load(step)
    crops = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    with pytest.raises(ConfigError, match="two streams"):
        network.embed_template(crops, torch.full((1, 4), 0.5))
    network.alone = lambda: inference_network(model)
    assert network.embed_template(crops, torch.full((1, 4), 0.5)).shape == (1, 1, 4, 64)


def test_a_half_that_is_missing_is_named(step: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.onnx"
    lonely.write_bytes(step.read_bytes())
    with pytest.raises(CheckpointError, match=r"lonely\.template\.onnx"):
        OnnxNetwork.load(lonely)


def test_other_files_are_refused(step: Path, tmp_path: Path) -> None:
    broken = OnnxFiles.at(tmp_path / "broken.onnx")
    broken.step.write_bytes(b"no")
    broken.template.write_bytes(b"no")
    with pytest.raises(CheckpointError, match="ONNX Runtime"):
        OnnxNetwork.load(broken.step)
    foreign = OnnxFiles.at(tmp_path / "foreign.onnx")
    graph = onnx.load(step)
    del graph.metadata_props[:]
    onnx.save(graph, foreign.step)
    foreign.template.write_bytes(OnnxFiles.at(step).template.read_bytes())
    with pytest.raises(CheckpointError, match="not one of dmtrack's"):
        OnnxNetwork.load(foreign.step)


class _Weights:
    """What `network_for` asks of weights."""

    def __init__(self, model: DMTrack) -> None:
        self.model, self.name, self.sha256 = model, "small", {"small.safetensors": "0" * 64}


def test_an_export_is_made_once(
    model: DMTrack, step: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def copied(_: DMTrack, path: Path, *, precision: str) -> None:
        assert precision == "fp32"
        path.parent.mkdir()
        made, wanted = OnnxFiles.at(step), OnnxFiles.at(path)
        wanted.step.write_bytes(made.step.read_bytes())
        wanted.template.write_bytes(made.template.read_bytes())

    monkeypatch.setenv("DMTRACK_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("dmtrack.network.fast.onnx_export.export_onnx", copied)
    network = backend.network_for(_Weights(model), "fp32", torch.device("cpu"), "onnxruntime")  # type: ignore[arg-type]
    assert isinstance(network, OnnxNetwork)
    (made,) = (path for path in (tmp_path / "onnx").iterdir() if ".template" not in path.name)
    monkeypatch.setattr("dmtrack.network.fast.onnx_export.export_onnx", None)
    assert backend.exported(_Weights(model), "fp32") == made  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("precision", "device", "says"), [("bf16", "cpu", "bf16"), ("fp32", "cuda:0", "on the CPU")]
)
def test_what_onnxruntime_does_not_do_is_refused(model: DMTrack, precision, device: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        backend.network_for(_Weights(model), precision, torch.device(device), "onnxruntime")  # type: ignore[arg-type]
