"""Algebra on trained weights: the same function with fewer operations, computed once at load time.

Everything is worked out in float64 and rounded once. The network that was trained is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.network.adapters import DeepAdapter, PixelAttention, ShallowAdapter, SpatioTemporalAdapter
from dmtrack.network.head import Tower

#: Inner widths of small products are padded to a multiple of this.
LANES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`x -> x W^T + b`.

    Attributes:
        weight: `(out, in)` float64.
        bias: `(out,)` float64.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, module: nn.Linear | nn.Conv2d) -> Affine:
        """Take the weights of a module; those of a convolution keep their shape."""
        bias = module.bias
        if bias is None:
            bias = module.weight.new_zeros(module.weight.shape[0])
        return cls(module.weight.detach().double(), bias.detach().double())

    def then(self, after: Affine) -> Affine:
        """Return `after(self(x))` as one map."""
        return Affine(after.weight @ self.weight, after.weight @ self.bias + after.bias)

    def rows(self, first: int, last: int) -> Affine:
        """Return outputs `first` up to and without `last`."""
        return Affine(self.weight[first:last], self.bias[first:last])

    def scaled(self, factor: float) -> Affine:
        """Return `factor * self(x)` as one map."""
        return Affine(self.weight * factor, self.bias * factor)


def stacked(*maps: Affine) -> Affine:
    """Return the map whose outputs are those of all `maps`, one after the other."""
    return Affine(torch.cat([m.weight for m in maps]), torch.cat([m.bias for m in maps]))


def folded_convolution(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Affine:
    """Return convolution and batch norm (in eval mode) as one convolution `(O, I, k, k)`."""
    plain = Affine.of(convolution)
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = (plain.bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
    return Affine(plain.weight * scale[:, None, None, None], bias)


def tower_convolutions(tower: Tower) -> list[Affine]:
    """Return the four folded 3x3 convolutions of a head tower and its 1x1 convolution."""
    *layers, last = tower
    folded = [
        folded_convolution(cast(nn.Conv2d, layer[0]), cast(nn.BatchNorm2d, layer[1]))
        for layer in cast(list[nn.Sequential], layers)
    ]
    return [*folded, Affine.of(cast(nn.Conv2d, last))]


def stem_convolutions(stem: nn.Sequential) -> list[Affine]:
    """Return the convolutions of a `ConvStem`, batch norms folded in."""
    modules = [module for module in stem if not isinstance(module, nn.ReLU)]
    folded = [
        folded_convolution(module, after)
        for module, after in pairwise(modules)
        if isinstance(module, nn.Conv2d) and isinstance(after, nn.BatchNorm2d)
    ]
    return [*folded, Affine.of(cast(nn.Conv2d, modules[-1]))]


@dataclass(frozen=True, slots=True, eq=False)
class FoldedTemporal:
    """STMA of one stream: `up(mix(down(x)))`, and a constant that the tokens still lack.

    The inner channels are followed by one that is always 1, which carries the bias of `up`, and by zeros up
    to a multiple of `LANES`: small products of other widths are up to twice as slow.

    Attributes:
        down: C -> t.
        taps: `(3, t)` factors of the older, the same and the newer template; the tokens' own value is
            part of the middle one.
        offset: `(t,)` added to every template token.
        up: `(C, t)`.
    """

    down: Affine
    taps: Tensor
    offset: Tensor
    up: Tensor

    @classmethod
    def of(cls, adapter: SpatioTemporalAdapter, owed: Tensor) -> FoldedTemporal:
        """Fold the residual around the convolution into its middle tap.

        Args:
            adapter: Of one stream.
            owed: `(C,)` float64 what earlier parts left to be added to every token.
        """
        down, up = Affine.of(adapter.down), Affine.of(adapter.up)
        taps = adapter.temporal.weight.detach().double()[:, 0].t().clone()
        taps[1] += 1
        offset = cast(Tensor, adapter.temporal.bias).detach().double()
        constant = taps.new_tensor([[0.0], [1.0], [0.0]])
        down_bias = torch.cat((down.bias + down.weight @ owed, taps.new_ones(1)))
        extra = -len(down_bias) % LANES
        return cls(
            down=Affine(F.pad(down.weight, (0, 0, 0, 1 + extra)), F.pad(down_bias, (0, extra))),
            taps=F.pad(torch.cat((taps, constant), dim=1), (0, extra)),
            offset=F.pad(offset, (0, 1 + extra)),
            up=F.pad(torch.cat((up.weight, (up.bias + owed)[:, None]), dim=1), (0, extra)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class FoldedShallow:
    """Shallow PMCA: its three linear maps are two, C -> s and s -> C."""

    down: Affine
    up: Affine

    @classmethod
    def of(cls, adapter: ShallowAdapter) -> FoldedShallow:
        """Merge down and mid."""
        return cls(Affine.of(adapter.down).then(Affine.of(adapter.mid)), Affine.of(adapter.up))


@dataclass(frozen=True, slots=True, eq=False)
class FoldedDeep:
    """Deep PMCA, inner width d. Stream i looks from `own` (its own low tokens) to `other`.

    With `from_pair([own, other])` split into four parts of d channels, judged, query, v1 and v0 - v1, the
    two-key attention of head size 1 is::

        r = softmax(judge(gelu(judged)))
        y = v1 + sigmoid(query * key(own * (1 - r))) * (v0 - v1)

    since the difference of the keys `Wk (own + noise) - Wk (own * r)` is linear in `own * (1 - r)`.

    Attributes:
        down: C -> d, shared by the streams.
        from_pair: For each stream, 2 d -> 4 d.
        judge: d -> d, shared.
        key: For each stream, d -> d.
        up: For each stream, d -> C: output projection and up projection in one.
    """

    down: Affine
    from_pair: tuple[Affine, Affine]
    judge: Affine
    key: tuple[Affine, Affine]
    up: tuple[Affine, Affine]

    @classmethod
    def of(cls, adapter: DeepAdapter) -> FoldedDeep:
        """Collect what is linear in the low tokens of both streams."""
        rgb, aux = (_FoldedDirection.of(adapter, stream) for stream in (0, 1))
        return cls(
            down=Affine.of(adapter.down),
            from_pair=(rgb.from_pair, aux.from_pair),
            judge=Affine.of(adapter.judger.fc2),
            key=(rgb.key, aux.key),
            up=(rgb.up, aux.up),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _FoldedDirection:
    """What of a `FoldedDeep` belongs to one stream."""

    from_pair: Affine
    key: Affine
    up: Affine

    @classmethod
    def of(cls, adapter: DeepAdapter, stream: int) -> _FoldedDirection:
        attention = cast(PixelAttention, adapter.attention[stream])
        w_query, w_key, w_value = attention.in_proj_weight.detach().double().chunk(3)
        b_query, _, b_value = attention.in_proj_bias.detach().double().chunk(3)
        key_noise = adapter.key_noise[stream].detach().double()
        value_noise = adapter.value_noise[stream].detach().double()
        none = torch.zeros_like(w_query)
        return cls(
            from_pair=stacked(
                Affine.of(adapter.judger.fc1),
                Affine(torch.cat((w_query, none), dim=1), b_query),
                Affine(torch.cat((none, w_value), dim=1), b_value),
                Affine(torch.cat((w_value, -w_value), dim=1), w_value @ value_noise),
            ),
            key=Affine(w_key, w_key @ key_noise),
            up=Affine.of(attention.out_proj).then(Affine.of(adapter.up)),
        )
