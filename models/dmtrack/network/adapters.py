"""The trained part: spatio-temporal adapter (STMA) and the two halves of PMCA.

All three are bottlenecks whose outputs are added to a frozen block. Shapes are in the docstring of each
`forward`: B batch, N tokens, C width, T templates, P tokens a template.

Source: specification 1.3-1.5 (DMTrack, arXiv 2508.01592).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig


class SpatioTemporalAdapter(nn.Module):
    """STMA: mixes the templates over time, patch by patch, in a narrow space."""

    def __init__(self, width: int, inner: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.temporal = nn.Conv1d(inner, inner, kernel_size=3, padding=1, groups=inner)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(inner, width)

    def forward(self, tokens: Tensor, templates: int, template_tokens: int) -> Tensor:
        """Return the addition to the residual stream, of the shape of `tokens`.

        `tokens` are `(B, T P + search, C)`: those of T templates of P tokens, oldest first, then the search
        region's.
        """
        inner = self.down(tokens)
        memory, search = inner.tensor_split((templates * template_tokens,), dim=1)
        batch, _, width = memory.shape
        series = memory.reshape(batch, templates, template_tokens, width)
        series = series.permute(0, 2, 3, 1).reshape(-1, width, templates)
        series = series + self.temporal(series)
        memory = series.reshape(batch, template_tokens, width, templates).permute(0, 3, 1, 2)
        memory = memory.reshape(batch, templates * template_tokens, width)
        mixed: Tensor = self.up(self.dropout(torch.cat((memory, search), dim=1)))
        return mixed


class ShallowAdapter(nn.Module):
    """Shallow PMCA: a linear bottleneck that carries one stream's tokens to the other."""

    def __init__(self, width: int, inner: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.mid = nn.Linear(inner, inner)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(..., C)` to `(..., C)`."""
        out: Tensor = self.up(self.dropout(self.mid(self.down(tokens))))
        return out


class PixelAttention(nn.Module):
    """Attention of one token to two keys, one head a channel.

    With head width 1 and two keys the softmax is a sigmoid of the difference of the two products,
    so no attention matrix is formed.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, keys: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor]) -> Tensor:
        """Attend from `query` `(..., D)` to two keys and values of the same shape."""
        w_query, w_key, w_value = self.in_proj_weight.chunk(3)
        b_query, b_key, b_value = self.in_proj_bias.chunk(3)
        q = F.linear(query, w_query, b_query)
        # The key bias cancels in the difference; it is kept in the weights for published checkpoints.
        first = torch.sigmoid(q * (F.linear(keys[0], w_key, b_key) - F.linear(keys[1], w_key, b_key)))
        v0 = F.linear(values[0], w_value, b_value)
        v1 = F.linear(values[1], w_value, b_value)
        out: Tensor = self.out_proj(v1 + first * (v0 - v1))
        return out


class RelationJudger(nn.Module):
    """Weights of the own stream's channels by the other stream's support: a softmax over channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2 * width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Map two `(..., D)` to weights `(..., D)` that sum to 1."""
        hidden = F.gelu(self.fc1(torch.cat((own, other), dim=-1)))
        return torch.softmax(self.fc2(hidden), dim=-1)


class DeepAdapter(nn.Module):
    """Deep PMCA: inner- and inter-modal pixel-wise attention in a narrow space.

    Token i of one stream meets only token i of the other. The inner-modal key and value are the own
    token plus a learned noise row; the inter-modal key is the own token weighted by the relation
    judger, and the inter-modal value is the other stream's token.
    """

    def __init__(self, width: int, inner: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.down = nn.Linear(width, inner)
        self.judger = RelationJudger(inner)
        self.attention = nn.ModuleList((PixelAttention(inner), PixelAttention(inner)))
        self.key_noise = nn.Parameter(_noise(2, inner))
        self.value_noise = nn.Parameter(_noise(2, inner))
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(inner, width)

    def forward(self, rgb: Tensor, aux: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(B, N, C)` of each stream to the addition to each stream."""
        low_rgb, low_aux = self.down(rgb), self.down(aux)
        return self._one_way(0, low_rgb, low_aux), self._one_way(1, low_aux, low_rgb)

    def _one_way(self, stream: int, own: Tensor, other: Tensor) -> Tensor:
        """Attend from `own` to itself and to `other`; `stream` picks the noise and the attention."""
        keys = (own + self.key_noise[stream], own * self.judger(own, other))
        values = (own + self.value_noise[stream], other)
        out: Tensor = self.up(self.dropout(self.attention[stream](own, keys, values)))
        return out


def _noise(rows: int, columns: int) -> Tensor:
    """Return normal random numbers; empty on the meta device, where torch would import sympy (0.5 s)."""
    noise = torch.empty(rows, columns)
    return noise if noise.is_meta else noise.normal_()


class BlockAdapters(nn.Module):
    """The adapters of one transformer block: one STMA a stream, and both halves of PMCA."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.temporal = nn.ModuleList(
            SpatioTemporalAdapter(config.width, config.temporal_width) for _ in ("rgb", "aux")
        )
        self.shallow = ShallowAdapter(config.width, config.shallow_width)
        self.deep = DeepAdapter(config.width, config.deep_width)


class AdapterSet(nn.ModuleList):
    """One `BlockAdapters` for each block: everything that is trained for one modality."""

    def __init__(self, config: ModelConfig) -> None:
        """Build the adapters with up projections of 0, so that before training they change nothing.

        The published ones start from a normal of 0.02. Source: specification 1.8 and 8.
        """
        super().__init__(BlockAdapters(config) for _ in range(config.depth))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv1d) and module.bias is not None:
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, SpatioTemporalAdapter | ShallowAdapter | DeepAdapter):
                nn.init.zeros_(module.up.weight)
        trained = sum(parameter.numel() for parameter in self.parameters())
        if trained != config.adapter_parameters:
            raise AssertionError(f"{trained} adapter parameters, expected {config.adapter_parameters}")
