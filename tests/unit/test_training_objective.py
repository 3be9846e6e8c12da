"""The losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dmtrack.network.head import HeadOutput
from dmtrack.training.objective import (
    box_overlap,
    corners,
    focal_loss,
    gaussian_map,
    gaussian_radius,
    quality_loss,
    tracking_losses,
)
from dmtrack.training.train_config import TrainConfig


def test_overlap_of_boxes_that_share_a_quarter():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    iou, giou = box_overlap(a, b)
    assert iou.item() == pytest.approx(1 / 7)
    assert giou.item() == pytest.approx(1 / 7 - 2 / 9)


def test_giou_of_separate_boxes_is_negative():
    iou, giou = box_overlap(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]]))
    assert iou.item() == 0
    assert giou.item() == pytest.approx(-0.5)


def test_score_target_is_one_in_the_centre_cell_only():
    target = gaussian_map(torch.tensor([[0.53, 0.28, 0.4, 0.4]]), side=10)
    assert target[0, 2, 5].item() == 1.0
    assert (target == 1).sum().item() == 1
    assert 0 < target[0, 2, 4].item() < 1


def test_score_target_of_a_centre_on_the_far_edge_stays_in_the_map():
    assert gaussian_map(torch.tensor([[1.0, 1.0, 0.2, 0.2]]), side=8)[0, 7, 7].item() == 1.0


def test_radius_grows_with_the_box():
    sides = torch.tensor([1.0, 4.0, 16.0])
    small, middle, large = gaussian_radius(sides, sides).tolist()
    assert small == 0
    assert small <= middle < large


def test_focal_loss_by_hand():
    score = torch.tensor([[[0.5, 0.25]]])
    target = torch.tensor([[[1.0, 0.5]]])
    expected = -(0.25 * math.log(0.5)) - (0.5**4 * 0.25**2 * math.log(0.75))
    assert focal_loss(score, target).item() == pytest.approx(expected)


def test_focal_loss_without_a_positive_cell_still_pushes_down():
    score = torch.full((1, 2, 2), 0.5, requires_grad=True)
    focal_loss(score, torch.zeros(1, 2, 2)).backward()
    assert score.grad is not None
    assert (score.grad > 0).all()


def _perfect(boxes: torch.Tensor, side: int) -> HeadOutput:
    count = boxes.shape[0]
    score = torch.full((count, 1, side, side), 1e-4)
    size = torch.full((count, 2, side, side), 0.5)
    offset = torch.zeros(count, 2, side, side)
    for i, (cx, cy, w, h) in enumerate(boxes.tolist()):
        col, row = int(cx * side), int(cy * side)
        score[i, 0, row, col] = 1 - 1e-4
        size[i, :, row, col] = torch.tensor([w, h])
        offset[i, :, row, col] = torch.tensor([cx * side - col, cy * side - row])
    return HeadOutput(score, size, offset)


@pytest.mark.parametrize("at_peak", [True, False], ids=["box at the peak", "box at the true cell"])
def test_a_perfect_prediction_costs_nothing(at_peak):
    boxes = torch.tensor([[0.4, 0.6, 0.25, 0.3], [0.71, 0.2, 0.1, 0.2]])
    losses = tracking_losses(
        _perfect(boxes, 12), boxes, torch.tensor([True, True]), TrainConfig(), at_peak=at_peak
    )
    assert losses.total.item() == pytest.approx(0, abs=1e-3)
    assert losses.iou.item() == pytest.approx(1, abs=1e-4)


def test_a_hidden_target_has_no_box_loss():
    boxes = torch.tensor([[0.4, 0.6, 0.25, 0.3]])
    losses = tracking_losses(_perfect(boxes, 12), boxes, torch.tensor([False]), TrainConfig(), at_peak=True)
    assert losses.giou.item() == 0
    assert losses.l1.item() == 0
    assert losses.focal.item() > 1, "a confident score where there is nothing must cost"


def test_corners():
    assert corners(torch.tensor([[0.5, 0.5, 0.2, 0.4]]))[0].tolist() == pytest.approx([0.4, 0.3, 0.6, 0.7])


def test_quality_is_asked_of_the_cells_that_could_be_chosen():
    """Right boxes in one cell, wrong ones elsewhere: the loss is least where quality says just that."""
    truth = torch.tensor([[0.25, 0.25, 0.5, 0.5]])
    score = torch.full((1, 1, 4, 4), 1e-4)
    score[..., 1, 1] = 0.9
    size, offset = torch.full((1, 2, 4, 4), 0.25), torch.full((1, 2, 4, 4), 0.5)
    shown, hidden = torch.ones(1), torch.zeros(1)
    good = torch.full((1, 1, 4, 4), 1e-4)
    good[..., 1, 1] = 1 - 1e-4
    bad = torch.full_like(good, 1e-4)

    def loss(quality: torch.Tensor, visible: torch.Tensor) -> float:
        return float(quality_loss(HeadOutput(score, size, offset, quality), truth, visible))

    assert loss(good, shown) < 0.05 < 1.0 < loss(bad, shown)
    assert loss(bad, hidden) < 0.05 < 1.0 < loss(good, hidden)
    assert float(quality_loss(HeadOutput(score, size, offset), truth, shown)) == 0.0
