"""Which parameters a stage trains, chosen by module type, and the optimisers that train them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from dmtrack.errors import ConfigError
from dmtrack.network.backbone import Block
from dmtrack.network.lite_stem import LiteStem
from dmtrack.network.model import DMTrack
from dmtrack.training.config import TrainConfig
from dmtrack.training.muon import Muon


def select_trainable(model: DMTrack, config: TrainConfig) -> int:
    """Freeze what the stage does not train; return the number of trained parameters.

    Raises:
        ConfigError: Adapters or a quality tower are to be trained, but the network has none.
        AssertionError: The count is not the one the adapter widths give.
    """
    if config.stage == "foundation":
        model.requires_grad_(True)
        if isinstance(model.foundation.stem, LiteStem):
            model.foundation.stem.first.requires_grad_(False)
            model.foundation.stem.early.requires_grad_(False)
            model.foundation.stem.late.requires_grad_(config.pretrained_rate > 0)
        return sum(p.numel() for p in model.foundation.parameters() if p.requires_grad)
    model.requires_grad_(False)
    if config.stage == "quality":
        quality = model.foundation.head.quality
        if quality is None:
            raise ConfigError("the quality stage needs a network with a quality tower")
        quality.requires_grad_(True)
        return sum(p.numel() for p in quality.parameters())
    if model.adapters is None:
        raise ConfigError("the adapter stage needs a network with adapters")
    model.adapters.requires_grad_(True)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if trained != model.config.adapter_parameters:
        raise AssertionError(f"{trained} trained parameters, expected {model.config.adapter_parameters}")
    return trained


def set_train_mode(model: DMTrack, config: TrainConfig) -> None:
    """Switch to training; batch norm of what is frozen keeps its statistics (specification 4)."""
    model.train()
    if config.stage == "foundation":
        stem = model.foundation.stem
        if isinstance(stem, LiteStem):
            # What ImageNet taught keeps its statistics: a crop's are far from a photograph's.
            for part in (stem.first, stem.early, stem.late):
                part.eval()
        return
    for module in model.foundation.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def build_optimizers(model: DMTrack, config: TrainConfig) -> Sequence[torch.optim.Optimizer]:
    """Return the optimisers of a run.

    With `muon`, the weight matrices of the transformer blocks take orthogonalised momentum, scaled to the
    size of an AdamW step so that one learning rate serves both.

    Source: Jordan et al., "Muon"; the scaling is that of Liu et al., arXiv 2502.16982.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    matrices: list[nn.Parameter] = []
    if config.optimizer == "muon":
        blocks = [m for m in model.modules() if isinstance(m, Block)]
        matrices = [p for block in blocks for p in block.parameters() if p.ndim == 2 and p.requires_grad]
    chosen = {id(p) for p in matrices}
    stem = model.foundation.stem
    slow = [p for p in stem.pretrained() if p.requires_grad] if isinstance(stem, LiteStem) else []
    chosen |= {id(p) for p in slow}
    rest = [p for p in trained.values() if id(p) not in chosen]
    decayed = [p for p in rest if p.ndim > 1]
    plain = [p for p in rest if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        # Published: one weight decay for everything. From nothing, norms and biases are better left alone.
        {"params": plain, "weight_decay": config.weight_decay if config.stage == "adapters" else 0.0},
    ]
    if slow:
        groups.append({"params": slow, "weight_decay": 0.0, "share": config.pretrained_rate})
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.learning_rate)]
    if matrices:
        optimizers.append(Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay))
    return optimizers
