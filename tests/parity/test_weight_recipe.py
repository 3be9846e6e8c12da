"""The made-up weights are the recorded ones, and the key table covers the published network."""

from __future__ import annotations

import hashlib
import zlib

import pytest

from dmtrack.config import BASE
from dmtrack.network.weights.published import IGNORED, key_table

CHECKS = {
    "backbone.pos_embed_z": "5549cc5e",
    "backbone.blocks.0.attn.qkv.weight": "3c693a3d",
    "backbone.blocks.3.adap_t.adapter_mid.weight": "ab42d52a",
    "backbone.blocks.0.adap2_t.k_noise.weight": "749afdfb",
    "backbone.blocks.0.norm1.weight": "38f153c3",
    "box_head.conv5_size.bias": "b83d8f3a",
    "box_head.conv5_offset.bias": "32bfc019",
    "box_head.conv1_ctr.1.running_var": "bc1c93a2",
    "box_head.conv1_ctr.1.running_mean": "46d89661",
    "backbone.blocks.11.adap_tem2.adapter_mid.weight": "19f2262a",
}
WHOLE = "333914f642e544d9514ba7e66ca433159828562caaa8d8b74f45adfc2056dfa3"


@pytest.mark.parametrize("name", CHECKS)
def test_a_tensor_has_the_recorded_crc(published_state, name):
    assert f"{zlib.crc32(published_state[name].numpy().tobytes()):08x}" == CHECKS[name]


def test_all_tensors_have_the_recorded_digest(published_state):
    digest = hashlib.sha256()
    for name in sorted(published_state):
        if not name.endswith("num_batches_tracked"):
            digest.update(published_state[name].numpy().data)
    assert digest.hexdigest() == WHOLE


def test_the_key_table_names_exactly_the_published_tensors(published_shapes):
    assert len(published_shapes) == 674
    assert set(key_table(12, with_adapters=True)) == set(published_shapes) - IGNORED


def test_without_adapters_the_key_table_names_what_is_left(published_shapes):
    expected = {name for name in published_shapes if "adap" not in name} - IGNORED
    assert set(key_table(12, with_adapters=False)) == expected


def test_no_two_published_tensors_become_the_same_one():
    ours = list(key_table(12, with_adapters=True).values())
    assert len(set(ours)) == len(ours)


def test_the_converted_weights_are_the_base_network(weights, model):
    assert weights.meta.config == BASE
    assert weights.meta.kind == "full"
    assert set(weights.tensors) == set(model.state_dict())
    assert model.adapters is not None
    assert sum(p.numel() for p in model.adapters.parameters()) == 786_432
    # 93,304,965 published parameters, less the class token and the embedding that nothing uses.
    assert sum(p.numel() for p in model.parameters()) == 93_304_965 - 152_064
