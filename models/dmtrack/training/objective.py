"""Focal loss on the score map, GIoU and L1 on the box, cross-entropy on the quality map if there is one.

Source: specification 4 (CenterNet's focal loss, CornerNet's radius). The quality loss is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dmtrack.network.head import HeadOutput
from dmtrack.training.train_config import TrainConfig

MIN_OVERLAP = 0.7  # IoU with the truth that a box shifted by the Gaussian's radius keeps (CornerNet)


class Losses(NamedTuple):
    """Scalar tensors; `iou` is the mean overlap of the predicted box with the truth, for the log."""

    total: Tensor
    focal: Tensor
    giou: Tensor
    l1: Tensor
    quality: Tensor
    iou: Tensor


def gaussian_radius(width: Tensor, height: Tensor) -> Tensor:
    """Return CornerNet's radius in cells for boxes of `width` x `height` cells, each `(B,)`.

    It is the smallest shift of two corners that lowers the IoU to `MIN_OVERLAP`, over the three cases of both
    corners inside, both outside, and one each.
    """

    def root(a: float, b: Tensor, c: Tensor) -> Tensor:
        return (b + (b * b - 4 * a * c).clamp_min(0).sqrt()) / 2

    total, area, overlap = width + height, width * height, MIN_OVERLAP
    one_each = root(1, total, area * (1 - overlap) / (1 + overlap))
    inside = root(4, 2 * total, (1 - overlap) * area)
    outside = root(4 * overlap, -2 * overlap * total, (overlap - 1) * area)
    return torch.minimum(one_each, torch.minimum(inside, outside)).floor().clamp_min(0)


def gaussian_map(boxes: Tensor, side: int) -> Tensor:
    """Return the score target `(B, F, F)`: 1 in the centre's cell, falling off around it.

    `boxes` are `(B, 4)` cx, cy, w, h in fractions of the crop side; F is `side`.
    """
    cells = boxes * side
    radius = gaussian_radius(cells[:, 2].ceil(), cells[:, 3].ceil())
    sigma = (2 * radius + 1) / 6
    col = cells[:, 0].floor().clamp(0, side - 1)
    row = cells[:, 1].floor().clamp(0, side - 1)
    axis = torch.arange(side, device=boxes.device, dtype=boxes.dtype)
    dx2 = (axis[None, :] - col[:, None]) ** 2
    dy2 = (axis[None, :] - row[:, None]) ** 2
    return torch.exp(-(dy2[:, :, None] + dx2[:, None, :]) / (2 * sigma[:, None, None] ** 2))


def focal_loss(score: Tensor, target: Tensor) -> Tensor:
    """Return CenterNet's focal loss with exponents 2 and 4, divided by the number of positive cells.

    `score` is `(B, F, F)` in (0, 1). In `target`, `(B, F, F)`, exactly 1 marks a positive cell; a map without
    one is all negative.
    """
    positive = target.eq(1).float()
    hit = positive * (1 - score) ** 2 * score.log()
    miss = (1 - positive) * (1 - target) ** 4 * score**2 * (1 - score).log()
    return -(hit.sum() + miss.sum()) / positive.sum().clamp_min(1)


def box_overlap(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and GIoU of boxes `(B, 4)` given as x1, y1, x2, y2; each `(B,)`."""
    low = torch.maximum(predicted[:, :2], truth[:, :2])
    high = torch.minimum(predicted[:, 2:], truth[:, 2:])
    inter = (high - low).clamp_min(0).prod(1)
    area = (predicted[:, 2:] - predicted[:, :2]).prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1)
    union = (area - inter).clamp_min(1e-9)
    iou = inter / union
    hull_low = torch.minimum(predicted[:, :2], truth[:, :2])
    hull_high = torch.maximum(predicted[:, 2:], truth[:, 2:])
    hull = (hull_high - hull_low).prod(1).clamp_min(1e-9)
    return iou, iou - (hull - union) / hull


def corners(boxes: Tensor) -> Tensor:
    """Convert cx, cy, w, h `(B, 4)` to x1, y1, x2, y2."""
    half = boxes[:, 2:] / 2
    return torch.cat((boxes[:, :2] - half, boxes[:, :2] + half), dim=1)


def _box_at_cell(output: HeadOutput, boxes: Tensor) -> Tensor:
    """Return the box that the cell of the true centre predicts: `(B, 4)` as cx, cy, w, h."""
    side = output.score_map.shape[-1]
    cell = (boxes[:, :2] * side).floor().clamp(0, side - 1).long()
    return output.boxes_at(cell[:, 1] * side + cell[:, 0])


def quality_loss(output: HeadOutput, truth: Tensor, visible: Tensor) -> Tensor:
    """Return the cross-entropy of predicted and true IoU of each cell's box; 0 without a quality tower.

    Cells are weighted by their score, so that those which could be chosen count, also on look-alikes. A
    hidden target has IoU 0 with every box.

    `truth` are `(B, 4)` true x1, y1, x2, y2 in fractions of the crop side, `visible` is `(B,)` 1.0 or 0.0.
    """
    if output.quality_map is None:
        return output.score_map.new_zeros(())
    with torch.no_grad():
        boxes = output.boxes_cxcywh_norm().flatten(2).transpose(1, 2)
        cells = boxes.shape[1]
        iou, _ = box_overlap(corners(boxes.flatten(0, 1)), truth.repeat_interleave(cells, 0))
        overlap = iou.view(-1, cells) * visible[:, None]
        weight = output.score_map.flatten(1)
        weight = weight / weight.sum(1, keepdim=True)
    # Not binary_cross_entropy, which autocast forbids.
    quality = output.quality_map.flatten(1)
    entropy = overlap * quality.log() + (1 - overlap) * (1 - quality).log()
    return -(weight * entropy).sum(1).mean()


def tracking_losses(
    output: HeadOutput, boxes: Tensor, visible: Tensor, config: TrainConfig, *, at_peak: bool
) -> Losses:
    """Return the weighted sum of the losses, and each of them.

    `boxes` are `(B, 4)` true cx, cy, w, h in fractions of the crop side, `visible` is `(B,)` bool; a hidden
    target has no box loss and an all-zero score target. With `at_peak` (published) the box losses use the box
    at the score's peak; without it the one at the true cell, which teaches size and offset while the peak is
    still anywhere.
    """
    side = output.score_map.shape[-1]
    shown = visible.to(boxes.dtype)
    target = gaussian_map(boxes, side) * shown[:, None, None]
    focal = focal_loss(output.score_map[:, 0], target)
    peak, _ = output.peak_box()
    used = corners(peak if at_peak else _box_at_cell(output, boxes))
    # The published training clips the truth to the crop, although a clipped box has a wrong size.
    truth = corners(boxes).clamp(0, 1)
    count = shown.sum().clamp_min(1)
    _, giou = box_overlap(used, truth)
    giou_loss = ((1 - giou) * shown).sum() / count
    l1_loss = ((used - truth).abs().mean(1) * shown).sum() / count
    with torch.no_grad():
        iou, _ = box_overlap(corners(peak), truth)
        mean_iou = (iou * shown).sum() / count
    # Skipped without a weight: its backward pass takes a tenth of the step.
    quality = quality_loss(output, truth, shown) if config.quality_weight else focal.new_zeros(())
    total = config.giou_weight * giou_loss + config.l1_weight * l1_loss + config.focal_weight * focal
    total = total + config.quality_weight * quality
    return Losses(total, focal, giou_loss, l1_loss, quality, mean_iou)
