"""From the head's maps to one cell: Hann window, size penalty, peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dmtrack.config import TrackerConfig
from dmtrack.network.inference import Array, Maps, arrays_of

_VOTING_IOU = 0.3  # a cell votes if its box overlaps the chosen one by more than this


def hann_window(side: int) -> npt.NDArray[np.float32]:
    """Return the `(F, F)` window `0.5 (1 - cos(2 pi k / (F + 1)))`, k = 1..F, on both axes.

    Source: specification 3.4, step 4.
    """
    axis = 0.5 * (1 - np.cos((2 * np.pi / (side + 1)) * np.arange(1, side + 1)))
    return np.asarray(axis[:, None] * axis[None, :], np.float32)


@dataclass(frozen=True, slots=True)
class Peak:
    """The chosen cell of each target."""

    boxes_cxcywh_norm: Array  # `(B, 4)` as fractions of the crop side
    shown_cxcywh_norm: Array  # the boxes to report in the same units, see `TrackerConfig.voting`
    # `(B,)` confidence in [0, 1]: from the network's quality tower if it has one, else from the score map
    scores: Array


def _change(ratio: Array) -> Array:
    return arrays_of(ratio).maximum(ratio, 1 / ratio)


def size_penalty(output: Maps, previous_wh_norm: Array, strength: float) -> Array:
    """Return `exp(-k (scale change x aspect change - 1))` for every cell: `(B, 1, F, F)`.

    `previous_wh_norm` are `(B, 2)` previous width and height as fractions of the crop side, `strength` is k.

    Source: the penalty of SiamRPN (Li et al., CVPR 2018), on each cell's own predicted size.
    """
    arrays = arrays_of(output.size_map)
    width, height = output.size_map[:, :1], output.size_map[:, 1:]
    before_w = previous_wh_norm[:, 0, None, None, None]
    before_h = previous_wh_norm[:, 1, None, None, None]
    scale = _change(arrays.sqrt((width * height) / (before_w * before_h)))
    aspect = _change((width / height) / (before_w / before_h))
    return arrays.exp(-strength * (scale * aspect - 1))


def choose_peak(output: Maps, window: Array, previous_wh_norm: Array, config: TrackerConfig) -> Peak:
    """Choose the cell of each target and decode its box.

    With `multiply` (published) the confidence is the windowed maximum; with `add` it is the chosen
    cell's own score, so that it does not depend on how far the target moved.
    """
    score = output.score_map
    if config.window == "multiply":
        response = window * score
    else:
        if config.size_penalty > 0:
            score = score * size_penalty(output, previous_wh_norm, config.size_penalty)
        response = (1 - config.window_weight) * score + config.window_weight * window
    cells = response.reshape(len(response), -1)
    index = cells.argmax(1)
    if config.window == "multiply" and output.quality_map is None:
        scores = arrays_of(cells).amax(cells, 1)
    else:
        scores = output.quality_at(index)
    boxes = output.boxes_at(index)
    return Peak(boxes, voted(output, boxes) if config.voting else boxes, scores)


def voted(output: Maps, boxes_cxcywh_norm: Array) -> Array:
    """Return `(B, 4)` means of the cells' boxes that overlap the chosen ones, weighted by squared score.

    Source: box voting (Gidaris and Komodakis, ICCV 2015).
    """
    arrays, chosen = arrays_of(boxes_cxcywh_norm), boxes_cxcywh_norm[:, :, None, None]
    boxes = output.boxes_cxcywh_norm()
    (low, high), (chosen_low, chosen_high) = _corners(boxes), _corners(chosen)
    sides = (arrays.minimum(high, chosen_high) - arrays.maximum(low, chosen_low)).clip(0)
    shared, areas = sides.prod(1), boxes[:, 2:].prod(1) + chosen[:, 2:].prod(1)
    votes = output.score_map**2 * (shared > _VOTING_IOU * (areas - shared))[:, None]
    return (votes * boxes).sum((2, 3)) / votes.sum((2, 3))


def _corners(boxes: Array) -> tuple[Array, Array]:
    half = boxes[:, 2:] / 2
    return boxes[:, :2] - half, boxes[:, :2] + half
