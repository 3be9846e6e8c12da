"""Template tokens are told which part of them the target's box covers."""

from dataclasses import replace

import pytest
import torch

from dmtrack.config import TINY
from dmtrack.network.model import DMTrack, box_coverage

SMALL = replace(TINY, width=32, depth=1, heads=2, head_width=16, template_size=32, search_size=64)


def test_coverage_is_the_share_of_each_cell():
    covered = box_coverage(torch.tensor([[0.5, 0.5, 0.75, 0.25], [0.25, 0.25, 0.5, 0.5]]), 4)
    wide = torch.tensor([[0, 0, 0, 0], [0.25, 0.5, 0.5, 0.25], [0.25, 0.5, 0.5, 0.25], [0, 0, 0, 0]])
    corner = torch.zeros(4, 4)
    corner[:2, :2] = 1
    torch.testing.assert_close(covered, torch.stack((wide.flatten(), corner.flatten())))


def test_a_box_beyond_the_template_covers_it_whole_or_not_at_all():
    covered = box_coverage(torch.tensor([[0.5, 0.5, 3.0, 3.0], [5.0, 0.5, 1.0, 1.0]]), 3)
    assert covered[0].tolist() == [1.0] * 9
    assert covered[1].tolist() == [0.0] * 9


def test_the_box_s_shape_reaches_the_maps():
    torch.manual_seed(0)
    model = DMTrack(SMALL, with_adapters=False).eval()
    torch.nn.init.normal_(model.foundation.foreground)
    templates, search = torch.randn(1, 1, 3, 32, 32), torch.randn(1, 3, 64, 64)
    tall, wide = torch.tensor([[[0.5, 0.5, 0.3, 0.8]]]), torch.tensor([[[0.5, 0.5, 0.8, 0.3]]])
    with torch.no_grad():
        assert not torch.equal(
            model(templates, search, tall).size_map, model(templates, search, wide).size_map
        )
        with pytest.raises(ValueError, match="box in each template"):
            model(templates, search)


def test_a_network_without_the_prompt_ignores_boxes():
    torch.manual_seed(0)
    model = DMTrack(replace(SMALL, template_prompt=False), with_adapters=False).eval()
    templates, search = torch.randn(1, 1, 3, 32, 32), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        alone, told = model(templates, search), model(templates, search, torch.full((1, 1, 4), 0.5))
    assert torch.equal(alone.score_map, told.score_map)
