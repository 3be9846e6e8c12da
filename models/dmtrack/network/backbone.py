"""The frozen part: patch embedding and plain ViT blocks, shared by both streams.

Attention and MLP have timm's parameter names, shapes and arithmetic. They are written out because importing
`timm.layers` brings torchvision and sympy and takes longer than importing torch, which would delay every
start of `dmtrack track`.

Source: specification 1.1, 1.2 (OSTrack's one-stream ViT, arXiv 2203.11991).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig
from dmtrack.network.adapters import BlockAdapters

NORM_EPS = 1e-6

#: ImageNet's, for values in [0, 1], the same for each stream (specification 3.3).
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ConvStem(nn.Sequential):
    """Four stride-2 convolutions: 16 px a token, as the patch stem, but quicker to train from scratch.

    Source: Xiao et al., "Early Convolutions Help Transformers See Better", arXiv 2106.14881.
    """

    def __init__(self, width: int) -> None:
        widths = (3, width // 8, width // 4, width // 2)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers.append(nn.Conv2d(widths[-1], width, 3, stride=2, padding=1))
        super().__init__(*layers)


def build_stem(config: ModelConfig) -> nn.Module:
    """Return the module that maps `(B, 3, S, S)` to `(B, C, S / 16, S / 16)`."""
    if config.stem == "conv":
        return ConvStem(config.width)
    return nn.Conv2d(3, config.width, kernel_size=config.STRIDE, stride=config.STRIDE)


class Attention(nn.Module):
    """Multi-head self-attention with a fused projection laid out as (q, k, v) x heads x head width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, N, C)` to `(B, N, C)`."""
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.training and tokens.device.type == "cpu":
            # The backward pass of the fused kernel dominates a training step on a CPU; written out, the step
            # is a quarter faster at 216 tokens.
            weights = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), dim=-1)
            out = weights @ v
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(batch, count, width))
        return projected


class Mlp(nn.Module):
    """Two linear layers with an exact (erf) GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(..., C)` to `(..., C)`."""
        out: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return out


def drop_path(branch: Tensor, rate: float, *, training: bool) -> Tensor:
    """Stochastic depth: zero a whole sample's branch with probability `rate`, rescale the others.

    `branch` is `(B, ...)`, `rate` in [0, 1); without `training` it is returned unchanged.
    """
    if rate == 0.0 or not training:
        return branch
    shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
    return branch * branch.new_empty(shape).bernoulli_(1 - rate).div_(1 - rate)


class Block(nn.Module):
    """One pre-norm transformer block, run plain on one stream or with adapters on two."""

    def __init__(self, config: ModelConfig, drop_path_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio))
        self.drop_path_rate = drop_path_rate
        self.template_tokens = config.template_grid**2

    def forward(self, tokens: Tensor) -> Tensor:
        """Run one stream `(B, N, C)` through the block."""
        tokens = tokens + self._drop(self.attn(self.norm1(tokens)).to(tokens.dtype))
        return tokens + self._drop(self.mlp(self.norm2(tokens)).to(tokens.dtype))

    def forward_pair(self, tokens: Tensor, adapters: BlockAdapters, templates: int) -> Tensor:
        """Run two streams `(2, B, N, C)` through the block, coupled by `adapters`.

        The shared weights see both streams as one batch; only the adapters tell them apart. Branches
        are cast to the residual stream's type: under autocast a mixed-type sum is slow.
        """
        temporal = [
            adapter(stream, templates, self.template_tokens)
            for adapter, stream in zip(adapters.temporal, tokens, strict=True)
        ]
        tokens = tokens + torch.stack(temporal).to(tokens.dtype)

        normed = self.norm1(tokens)
        attended = self.attn(normed.flatten(0, 1)).to(tokens.dtype)
        crossed = adapters.shallow(normed.flip(0)).to(tokens.dtype)
        tokens = tokens + self._drop(attended).view_as(tokens) + self._drop_pair(crossed)

        normed = self.norm2(tokens)
        widened = self.mlp(normed.flatten(0, 1)).to(tokens.dtype)
        exchanged = torch.stack(adapters.deep(normed[0], normed[1])).to(tokens.dtype)
        return tokens + self._drop(widened).view_as(tokens) + self._drop_pair(exchanged)

    def _drop(self, branch: Tensor) -> Tensor:
        return drop_path(branch, self.drop_path_rate, training=self.training)

    def _drop_pair(self, branch: Tensor) -> Tensor:
        return self._drop(branch.flatten(0, 1)).view_as(branch)
