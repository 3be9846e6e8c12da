"""The network evaluated in the plainest way, which every fast path must equal.

The two streams run one after the other, attention matrices are formed, the pixel-wise attention is a mapped
`nn.MultiheadAttention`, batch norms and adapters are what they are. Only tensors are taken from the product.

Source: specification 1.1-1.6.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.config import ModelConfig
from dmtrack.network.head import HeadOutput
from dmtrack.network.model import DMTrack

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Reference:
    """Takes uint8 crops, as the product does, and computes in the type of the weights."""

    def __init__(self, model: DMTrack) -> None:
        self.config: ModelConfig = model.config
        self.tensors: Mapping[str, Tensor] = model.state_dict()
        self.dtype = self.tensors["foundation.norm.weight"].dtype

    @torch.no_grad()
    def embed_template(self, crops: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Turn `(B, z, z, 3 S)` and boxes `(B, 4)` into tokens `(S, B, P, C)`."""
        tokens = self._embed(crops, "foundation.pos_template")
        if not self.config.template_prompt:
            return tokens
        covered = torch.stack([self._covered(box.to(self.dtype)) for box in boxes])
        return tokens + covered[..., None] * self.tensors["foundation.foreground"]

    @torch.no_grad()
    def step(self, memory: Tensor, crops: Tensor) -> HeadOutput:
        """Find in `(B, x, x, 3 S)` what the tokens `(S, B, T P, C)` show."""
        tokens = torch.cat((memory, self._embed(crops, "foundation.pos_search")), dim=2)
        streams = list(tokens)
        for index in range(self.config.depth):
            streams = self._block(index, streams)
        normed = [self._norm("foundation.norm", stream) for stream in streams]
        merged = torch.stack(normed).sum(0)
        if self.config.stream_merge != "sum":
            merged = merged / len(normed)
        side = self.config.search_grid
        grid = merged[:, -side * side :].transpose(1, 2).reshape(len(merged), -1, side, side)
        maps = [self._tower(name, grid) for name in ("score", "size", "offset")]
        quality = self._bounded(self._tower("quality", grid)) if self.config.quality_head else None
        return HeadOutput(self._bounded(maps[0]), self._bounded(maps[1]), maps[2], quality)

    def _covered(self, box: Tensor) -> Tensor:
        """Return which share of each template cell the box covers, cell by cell."""
        side = self.config.template_grid
        x, y, w, h = (value * side for value in box)

        def overlap(low: Tensor, high: Tensor, cell: int) -> Tensor:
            return (torch.clamp(high, max=cell + 1) - torch.clamp(low, min=cell)).clamp(0, 1)

        return torch.stack(
            [
                overlap(y - h / 2, y + h / 2, row) * overlap(x - w / 2, x + w / 2, column)
                for row in range(side)
                for column in range(side)
            ]
        )

    def _embed(self, crops: Tensor, position: str) -> Tensor:
        images = crops.movedim(-1, 1).to(self.dtype) / 255
        mean, std = (torch.tensor(values, dtype=self.dtype)[:, None, None] for values in (MEAN, STD))
        streams = []
        for image in images.split(3, dim=1):
            image = (image - mean) / std
            if self.config.stem == "patch":
                image = self._convolve("foundation.stem", image, stride=16)
            else:
                for layer in (0, 3, 6):
                    image = self._convolve(f"foundation.stem.{layer}", image, stride=2, padding=1)
                    image = F.relu(self._batch_norm(f"foundation.stem.{layer + 1}", image))
                image = self._convolve("foundation.stem.9", image, stride=2, padding=1)
            streams.append(image.flatten(2).transpose(1, 2) + self.tensors[position])
        return torch.stack(streams)

    def _block(self, index: int, streams: list[Tensor]) -> list[Tensor]:
        vit, own = f"foundation.blocks.{index}", f"adapters.{index}"
        if len(streams) == 1:
            (a,) = streams
            a = a + self._attention(f"{vit}.attn", self._norm(f"{vit}.norm1", a))
            return [a + self._mlp(f"{vit}.mlp", self._norm(f"{vit}.norm2", a))]
        a, b = (t + self._temporal(f"{own}.temporal.{i}", t) for i, t in enumerate(streams))
        na, nb = (self._norm(f"{vit}.norm1", t) for t in (a, b))
        a = a + self._attention(f"{vit}.attn", na) + self._shallow(f"{own}.shallow", nb)
        b = b + self._attention(f"{vit}.attn", nb) + self._shallow(f"{own}.shallow", na)
        ma, mb = (self._norm(f"{vit}.norm2", t) for t in (a, b))
        pa, pb = self._deep(f"{own}.deep", ma, mb)
        return [a + self._mlp(f"{vit}.mlp", ma) + pa, b + self._mlp(f"{vit}.mlp", mb) + pb]

    def _attention(self, name: str, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        qkv = self._linear(f"{name}.qkv", x).reshape(batch, count, 3, self.config.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1)
        return self._linear(f"{name}.proj", (weights @ v).transpose(1, 2).reshape(batch, count, width))

    def _mlp(self, name: str, x: Tensor) -> Tensor:
        return self._linear(f"{name}.fc2", F.gelu(self._linear(f"{name}.fc1", x)))

    def _temporal(self, name: str, x: Tensor) -> Tensor:
        low = self._linear(f"{name}.down", x)
        patches, search = self.config.template_grid**2, self.config.search_grid**2
        memory = low[:, :-search].reshape(len(x), -1, patches, low.shape[2])
        weight, bias = self.tensors[f"{name}.temporal.weight"], self.tensors[f"{name}.temporal.bias"]
        # One series over the templates for every patch.
        series = [
            patch + F.conv1d(patch.mT, weight, bias, padding=1, groups=len(weight)).mT
            for patch in memory.unbind(2)
        ]
        mixed = torch.stack(series, dim=2).flatten(1, 2)
        return self._linear(f"{name}.up", torch.cat((mixed, low[:, -search:]), dim=1))

    def _shallow(self, name: str, x: Tensor) -> Tensor:
        return self._linear(f"{name}.up", self._linear(f"{name}.mid", self._linear(f"{name}.down", x)))

    def _deep(self, name: str, ma: Tensor, mb: Tensor) -> tuple[Tensor, Tensor]:
        g, h = self._linear(f"{name}.down", ma), self._linear(f"{name}.down", mb)
        return self._one_way(name, 0, g, h), self._one_way(name, 1, h, g)

    def _one_way(self, name: str, stream: int, own: Tensor, other: Tensor) -> Tensor:
        hidden = F.gelu(self._linear(f"{name}.judger.fc1", torch.cat((own, other), dim=-1)))
        relation = torch.softmax(self._linear(f"{name}.judger.fc2", hidden), dim=-1)
        key_noise, value_noise = self.tensors[f"{name}.key_noise"], self.tensors[f"{name}.value_noise"]
        keys = torch.stack((own + key_noise[stream], own * relation), dim=1)
        values = torch.stack((own + value_noise[stream], other), dim=1)
        attention = self._pixel_attention(f"{name}.attention.{stream}", own.shape[-1])
        # (1, N, D) asks (2, N, D): to the layer, the tokens are a batch.
        found = torch.vmap(lambda q, k, v: attention(q, k, v, need_weights=True)[0])(
            own[:, None], keys, values
        )
        return self._linear(f"{name}.up", found[:, 0])

    def _pixel_attention(self, name: str, width: int) -> nn.MultiheadAttention:
        attention = nn.MultiheadAttention(width, width, dtype=self.dtype)
        attention.load_state_dict(
            {key.removeprefix(f"{name}."): t for key, t in self.tensors.items() if key.startswith(f"{name}.")}
        )
        return attention.train()  # its dropout is 0; in eval mode the layer takes a shortcut of its own

    def _tower(self, name: str, grid: Tensor) -> Tensor:
        for layer in range(4):
            grid = self._convolve(f"foundation.head.{name}.{layer}.0", grid, padding=1)
            grid = F.relu(self._batch_norm(f"foundation.head.{name}.{layer}.1", grid))
        return self._convolve(f"foundation.head.{name}.4", grid)

    @staticmethod
    def _bounded(logits: Tensor) -> Tensor:
        return torch.clamp(torch.sigmoid(logits), 1e-4, 1 - 1e-4)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight = self.tensors[f"{name}.weight"]
        return F.layer_norm(x, weight.shape, weight, self.tensors[f"{name}.bias"], 1e-6)

    def _convolve(self, name: str, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
        bias = self.tensors.get(f"{name}.bias")
        return F.conv2d(x, self.tensors[f"{name}.weight"], bias, stride, padding)

    def _batch_norm(self, name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (
            self.tensors[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)
