"""The ONNX files give what PyTorch gives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dmtrack.config import TINY, ModelConfig
from dmtrack.network.model import DMTrack
from dmtrack.network.onnx_export import METADATA_KEY, OnnxFiles, export_onnx, largest_difference
from dmtrack.network.torch_network import TorchNetwork

pytestmark = pytest.mark.slow  # PyTorch takes ten seconds to load what exports
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
def step(model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    export_onnx(model, path)
    return path


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_the_files_give_what_pytorch_gives(model, step):
    assert largest_difference(OnnxFiles.at(step), TorchNetwork(model)) < 1e-5


@pytest.mark.parametrize(("targets", "templates"), [(1, 1), (3, 2), (2, 3)])
def test_the_number_of_targets_and_templates_is_free(model, step, targets, templates):
    crops = torch.randint(0, 256, (targets, 32, 32, 6), dtype=torch.uint8)
    search = torch.randint(0, 256, (targets, 64, 64, 6), dtype=torch.uint8)
    boxes = torch.full((targets, 4), 0.5)
    (tokens,) = session(OnnxFiles.at(step).template).run(
        None, {"crops": crops.numpy(), "boxes": boxes.numpy()}
    )
    memory = np.tile(tokens, (1, 1, templates, 1))
    score, *_ = session(step).run(None, {"memory": memory, "search": search.numpy()})
    network = TorchNetwork(model)
    exact = network.step(network.embed_template(crops, boxes).repeat(1, 1, templates, 1), search)
    np.testing.assert_allclose(score, exact.score_map.numpy(), rtol=0, atol=1e-5)


def test_the_files_say_what_they_are(step):
    graph = onnx.load(step)
    (about,) = (json.loads(entry.value) for entry in graph.metadata_props if entry.key == METADATA_KEY)
    assert ModelConfig.from_dict(about["config"]) == CONFIG
    assert about["streams"] == 2
    assert [value.name for value in graph.graph.input] == ["memory", "search"]
    assert [value.name for value in graph.graph.output] == ["score", "size", "offset", "quality"]


def test_int8_is_near_and_smaller(model, step, tmp_path):
    path = tmp_path / "small.onnx"
    written = export_onnx(model, path, precision="int8")
    assert 0 < written.difference < 0.05
    assert path.stat().st_size < step.stat().st_size


@pytest.mark.parametrize("with_adapters", [True, False], ids=["two-streams", "one-stream"])
def test_a_network_without_boxes_in_its_templates_is_exported_too(tmp_path, *, with_adapters):
    """As `base` is."""
    config = replace(CONFIG, template_prompt=False, quality_head=False)
    torch.manual_seed(0)
    plain = DMTrack(config, with_adapters=with_adapters).eval()
    assert export_onnx(plain, tmp_path / "plain.onnx").difference < 1e-5
