"""`LiteStem`: the convolutional stem with the first stages of an ImageNet network beside it.

The stages are those of EfficientNet-Lite0 up to stride 16 (Apache-2.0; trained on ImageNet), and are never
trained here. Two linear maps turn their features into tokens, which are added to those of the convolutions.

Source: Tan and Le, "EfficientNet", arXiv 1905.11946; the Lite variant of tensorflow/tpu, laid out as timm's
`tf_efficientnet_lite0`.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dmtrack.network.backbone import MEAN, STD, ConvStem

_NORM_EPS: Final = 1e-3  # TensorFlow's batch norm


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_FIRST_CHANNELS: Final = 32
_EARLY: Final = (_Stage(1, 3, 1, 1, 16), _Stage(2, 3, 2, 6, 24), _Stage(2, 5, 2, 6, 40))  # up to stride 8
_LATE: Final = (_Stage(3, 3, 2, 6, 80), _Stage(3, 5, 1, 6, 112))  # stride 16


class LiteConvolution(nn.Sequential):
    """A convolution with TensorFlow's padding, batch norm, and ReLU6 if `relu`.

    With `depthwise` each channel is filtered on its own. The stride is 1 or 2; at 2 the extra padding is on
    the right and at the bottom.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
        *,
        depthwise: bool = False,
        relu: bool = True,
    ) -> None:
        groups = before if depthwise else 1
        super().__init__(
            nn.Conv2d(before, after, kernel, stride, bias=False, groups=groups),
            nn.BatchNorm2d(after, eps=_NORM_EPS),
        )
        self.relu = relu
        total = kernel - stride
        self.pads = (total // 2, total - total // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` with even sides to `(B, out, H / stride, W / stride)`."""
        if self.pads[0] == self.pads[1]:
            convolution = cast(nn.Conv2d, self[0])
            out = F.conv2d(
                x, convolution.weight, None, convolution.stride, self.pads[0], 1, convolution.groups
            )
        else:
            out = self[0](F.pad(x, self.pads))
        out = self[1](out)
        return F.relu6(out) if self.relu else out


class LiteBlock(nn.Module):
    """Widen, filter each channel on its own, narrow; with a residual if the shape stays the same."""

    def __init__(self, before: int, after: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = before * stage.expansion
        layers = [LiteConvolution(before, wide, 1)] if stage.expansion > 1 else []
        layers.append(LiteConvolution(wide, wide, stage.kernel, stride, depthwise=True))
        layers.append(LiteConvolution(wide, after, 1, relu=False))
        self.layers = nn.Sequential(*layers)
        self.residual = before == after and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H / stride, W / stride)`."""
        out: Tensor = self.layers(x)
        return out + x if self.residual else out


def _stages(before: int, stages: tuple[_Stage, ...]) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for stage in stages:
        for number in range(stage.blocks):
            blocks.append(LiteBlock(before, stage.channels, stage, stage.stride if number == 0 else 1))
            before = stage.channels
    return nn.Sequential(*blocks)


def lite_range() -> tuple[Tensor, Tensor]:
    """Return `(3,)` factor and `(3,)` shift from the output of `normalize` to the input of Lite0."""
    return torch.tensor(STD) * 255 / 128, (torch.tensor(MEAN) * 255 - 127) / 128


class LiteStem(nn.Module):
    """16 px a token: `ConvStem` plus the features of EfficientNet-Lite0 at strides 8 and 16.

    `first` is Lite0's first convolution, of stride 2; `early` are its blocks up to stride 8, `late` those of
    stride 16; `fine` makes tokens of stride 8, `project` of stride 16.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvStem(width)
        self.first = LiteConvolution(3, _FIRST_CHANNELS, 3, stride=2)
        self.early = _stages(_FIRST_CHANNELS, _EARLY)
        self.late = _stages(_EARLY[-1].channels, _LATE)
        self.fine = nn.Conv2d(_EARLY[-1].channels, width, 4, stride=2, padding=1, bias=False)
        self.project = nn.Conv2d(_LATE[-1].channels, width, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised `(B, 3, S, S)` to `(B, C, S / 16, S / 16)`."""
        with torch.no_grad():
            tokens: Tensor = self.conv(images)
            fine, coarse = self.features(images)
        seen: Tensor = tokens + self.fine(fine) + self.project(coarse)
        return seen

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of Lite0: `(B, 40, S / 8, S / 8)` and `(B, 112, S / 16, S / 16)`."""
        # From ImageNet's mean and deviation to (value - 127) / 128, which Lite0 was trained with.
        scale, shift = lite_range()
        lite = images * scale.to(images)[:, None, None] + shift.to(images)[:, None, None]
        fine = self.early(self.first(lite.contiguous(memory_format=torch.channels_last)))
        return fine, self.late(fine)

    def train(self, mode: bool = True) -> Self:
        """Keep the batch norm statistics: only the two linear maps are trained."""
        super().train(mode)
        for part in (self.conv, self.first, self.early, self.late):
            part.eval()
        return self

    def maps(self) -> list[nn.Parameter]:
        """Return the trained parameters."""
        return [*self.fine.parameters(), *self.project.parameters()]
