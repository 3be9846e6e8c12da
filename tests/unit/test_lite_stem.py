"""The stem with ImageNet stages: what it sees, what is trained, and that the packed form is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dmtrack.config import TINY
from dmtrack.network.backend import inference_network
from dmtrack.network.lite_stem import LiteStem, lite_range
from dmtrack.network.model import DMTrack, normalize
from dmtrack.training.muon import Muon
from dmtrack.training.train_config import TINY_FOUNDATION
from dmtrack.training.trainer import build_optimizers, select_trainable, set_train_mode

CONFIG = replace(TINY, stem="lite", depth=1, template_size=32, search_size=64)


@pytest.fixture
def model() -> DMTrack:
    torch.manual_seed(0)
    return DMTrack(CONFIG, with_adapters=False).eval()


@pytest.fixture
def stem(model) -> LiteStem:
    stem = model.foundation.stem
    assert isinstance(stem, LiteStem)
    return stem


def test_lite0_sees_what_it_was_trained_on():
    crop = torch.randint(0, 256, (1, 8, 8, 3), dtype=torch.uint8)
    scale, shift = lite_range()
    seen = normalize(crop) * scale[:, None, None] + shift[:, None, None]
    assert torch.allclose(seen, (crop.float().permute(0, 3, 1, 2) - 127) / 128, atol=1e-5)


def test_nothing_but_the_maps_is_trained(model, stem):
    select_trainable(model, TINY_FOUNDATION)
    set_train_mode(model, TINY_FOUNDATION)
    trained = {name for name, p in stem.named_parameters() if p.requires_grad}
    assert trained == {"fine.weight", "project.weight", "project.bias"}
    assert not any(module.training for module in (*stem.conv.modules(), *stem.early.modules()))
    groups = [g for o in build_optimizers(model, TINY_FOUNDATION) for g in o.param_groups]
    (slow,) = (g for g in groups if "share" in g)
    assert {id(p) for p in slow["params"]} == {id(p) for p in stem.maps()}
    of_groups = [id(p) for g in groups for p in g["params"]]
    assert sorted(of_groups) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_packed_is_the_same(model):
    template = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    search = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    box = torch.tensor([[0.5, 0.5, 0.4, 0.4]])
    with torch.inference_mode():
        plain = model(normalize(template)[:, None], normalize(search), box[:, None])
        network = inference_network(model)
        packed = network.step(network.embed_template(template, box), search)
    for a, b in zip(packed, plain, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="an older PyTorch")
@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_muon_steps_as_pytorchs(shape):
    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    a = Muon([ours], lr=1e-2, weight_decay=0.01)
    b = torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn(shape)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    assert float((ours - theirs).detach().norm()) < 0.02 * float((ours - start).detach().norm())
