"""Published state dicts become our weights, or an error that says what does not fit."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from dmtrack.config import BASE, ModelConfig
from dmtrack.errors import CheckpointError, ConfigError
from dmtrack.network.weights.checkpoint import build_model, expected_shapes
from dmtrack.network.weights.published import IGNORED, convert, key_table
from dmtrack.video.frame import Modality

#: A published network in small. Every width differs, so that none can be read from the wrong tensor.
SMALL = dataclasses.replace(
    BASE, width=64, depth=2, heads=1, mlp_ratio=2.0, template_size=32, search_size=64, head_width=24,
    temporal_width=16, shallow_width=5, deep_width=7,
)  # fmt: skip


def published(config: ModelConfig = SMALL, *, with_adapters: bool = True) -> dict[str, torch.Tensor]:
    """Make a state dict under published names; every tensor holds other numbers."""
    generator = torch.Generator().manual_seed(5)
    shapes = expected_shapes(config, "full" if with_adapters else "foundation")
    table = key_table(config.depth, with_adapters=with_adapters)
    state = {name: torch.rand(shapes[ours], generator=generator) for name, ours in table.items()}
    return {
        name: torch.tensor(9) if name.endswith("num_batches_tracked") else tensor
        for name, tensor in state.items()
    } | {name: torch.zeros(1) for name in IGNORED}


@pytest.mark.parametrize(("modality", "memory"), [("thermal", 3), ("event", 3), ("depth", 2)])
def test_a_dmtrack_state_dict_becomes_full_weights(modality, memory):
    state = published()
    weights = convert(state, modality=Modality(modality), source_name="x.pth.tar", source_sha256="ab")
    assert weights.meta.config == dataclasses.replace(SMALL, memory_frames=memory)
    assert (weights.meta.kind, weights.meta.modality) == ("full", modality)
    assert (weights.meta.source_name, weights.meta.source_sha256) == ("x.pth.tar", "ab")
    model = build_model(weights)
    assert not model.training
    for theirs, ours in key_table(2, with_adapters=True).items():
        assert torch.equal(model.state_dict()[ours], state[theirs]), theirs


def test_the_paper_width_is_read_from_the_shapes():
    config = dataclasses.replace(SMALL, temporal_width=16)
    weights = convert(published(config), modality=Modality.THERMAL, source_name="x")
    assert weights.meta.config.temporal_width == 16


def test_an_ostrack_state_dict_becomes_a_foundation():
    weights = convert(published(with_adapters=False), modality=None, source_name="x")
    assert weights.meta.kind == "foundation"
    model = build_model(weights)
    assert model.adapters is None
    with torch.no_grad():
        output = model(torch.zeros(1, 1, 3, 32, 32), torch.zeros(1, 3, 64, 64))
    assert output.score_map.shape == (1, 1, 4, 4)


def test_half_precision_is_widened():
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in published().items()
    }
    weights = convert(state, modality=Modality.DEPTH, source_name="x")
    floats = [tensor for tensor in weights.tensors.values() if tensor.is_floating_point()]
    assert {tensor.dtype for tensor in floats} == {torch.float32}


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "net.module."])
def test_a_file_of_several_gpus_or_a_trainer_has_a_prefix_before_every_name(before):
    state = {f"{before}{name}": tensor for name, tensor in published().items()}
    found, expected = (convert(s, modality=Modality.DEPTH, source_name="x") for s in (state, published()))
    assert found.meta == expected.meta
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items())


def test_the_modality_must_be_said_for_dmtrack_and_not_for_ostrack():
    with pytest.raises(ConfigError, match=r"--modality thermal\|depth\|event"):
        convert(published(), modality=None, source_name="x")
    with pytest.raises(ConfigError, match="leave --modality out"):
        convert(published(with_adapters=False), modality=Modality.THERMAL, source_name="x")


def test_missing_unexpected_and_misshaped_keys_are_listed_and_counted():
    state = published()
    for block in range(2):
        for leaf in ("k_noise.weight", "v_noise.weight", "adapter_up.bias"):
            del state[f"backbone.blocks.{block}.adap2_t.{leaf}"]
    state["module.backbone.norm.weight"] = torch.zeros(64)
    state["backbone.norm.bias"] = torch.zeros(63)
    with pytest.raises(CheckpointError) as caught:
        convert(state, modality=Modality.THERMAL, source_name="x.pth")
    message = str(caught.value)
    assert "x.pth: does not fit the network" in message
    assert "6 missing: backbone.blocks.0.adap2_t.adapter_up.bias" in message
    assert "and 1 more" in message
    assert "1 unexpected: module.backbone.norm.weight" in message
    assert "1 misshaped: backbone.norm.bias [63] for [64]" in message


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("backbone.patch_embed.proj.weight", (64, 3, 14, 14), "misshaped"),
        ("backbone.patch_embed.proj.weight", (60, 3, 16, 16), "not a multiple of 64"),
        ("backbone.patch_embed.proj.weight", (64,), "has the shape"),
        ("backbone.pos_embed_z", (1, 5, 64), "no square"),
        ("box_head.conv1_ctr.0.weight", (20, 64, 3, 3), "halved three times"),
        ("backbone.blocks.1.adap_tem2.adapter_mid.weight", (12, 1, 3), "misshaped"),
        ("backbone.blocks.999999999.norm1.weight", (64,), "counts 1000000000 blocks"),
    ],
)
def test_other_shapes_are_an_error(name, shape, message):
    with pytest.raises(CheckpointError, match=message):
        convert(published() | {name: torch.zeros(shape)}, modality=Modality.THERMAL, source_name="x")


def test_another_network_is_an_error():
    with pytest.raises(CheckpointError, match="not a DMTrack or OSTrack checkpoint"):
        convert({"fc.weight": torch.zeros(3)}, modality=None, source_name="x")


def test_numbers_that_are_not_finite_are_an_error():
    state = published()
    state["backbone.norm.bias"][3] = float("nan")
    with pytest.raises(CheckpointError, match=r"1 tensors .* not finite: backbone\.norm\.bias"):
        convert(state, modality=Modality.THERMAL, source_name="x")
