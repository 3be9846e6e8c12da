"""The stem with ImageNet stages: where it starts, what is trained, and that the packed form is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dmtrack.config import TINY
from dmtrack.network.inference import inference_network
from dmtrack.network.lite_stem import LiteStem, lite_range
from dmtrack.network.model import DMTrack
from dmtrack.network.preprocess import normalize
from dmtrack.training.config import TINY_FOUNDATION
from dmtrack.training.muon import Muon
from dmtrack.training.trainable import build_optimizers, select_trainable, set_train_mode

CONFIG = replace(TINY, stem="lite", depth=1, template_size=32, search_size=64)


def network() -> DMTrack:
    torch.manual_seed(0)
    return DMTrack(CONFIG, with_adapters=False).eval()


def test_it_starts_as_the_convolutions_alone() -> None:
    stem = network().foundation.stem
    images = torch.randn(2, 3, 64, 64)
    assert isinstance(stem, LiteStem)
    assert torch.equal(stem(images), stem.conv(images))


def test_lite0_sees_what_it_was_trained_on() -> None:
    crop = torch.randint(0, 256, (1, 8, 8, 3), dtype=torch.uint8)
    scale, shift = lite_range()
    seen = normalize(crop) * scale[:, None, None] + shift[:, None, None]
    assert torch.allclose(seen, (crop.float().permute(0, 3, 1, 2) - 127) / 128, atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    stem = network().foundation.stem
    assert isinstance(stem, LiteStem)
    with pytest.raises(ValueError, match="tensor"):
        stem.load_imagenet({"a": torch.zeros(3)})


def test_early_stages_are_frozen_late_ones_slow() -> None:
    model = network()
    config = replace(TINY_FOUNDATION, pretrained_rate=0.25)
    select_trainable(model, config)
    set_train_mode(model, config)
    stem = model.foundation.stem
    assert isinstance(stem, LiteStem)
    assert not any(p.requires_grad for part in (stem.first, stem.early) for p in part.parameters())
    assert not any(module.training for module in (*stem.early.modules(), *stem.late.modules()))
    (slow,) = (g for o in build_optimizers(model, config) for g in o.param_groups if "share" in g)
    assert slow["share"] == 0.25
    assert {id(p) for p in slow["params"]} == {id(p) for p in stem.late.parameters()}


def test_packed_is_the_same() -> None:
    model = network()
    stem = model.foundation.stem
    assert isinstance(stem, LiteStem)
    torch.nn.init.normal_(stem.fine.weight, std=0.02)
    torch.nn.init.normal_(stem.project.weight, std=0.02)
    template = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    search = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    box = torch.tensor([[0.5, 0.5, 0.4, 0.4]])
    with torch.inference_mode():
        packed, plain = (
            n.step(n.embed_template(template, box), search)
            for n in (inference_network(model), inference_network(model, packed=False))
        )
    for a, b in zip(packed, plain, strict=True):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="an older PyTorch")
@pytest.mark.parametrize("shape", [(12, 30), (30, 12)])
def test_muon_steps_as_pytorchs(shape: tuple[int, int]) -> None:
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
