"""What a score can say at best: the smaller a box, the less it overlaps another one of the same thing."""

from __future__ import annotations

from dmtrack.geometry.box import Box


def overlap_bound(box: Box, edge_error_px: float) -> float:
    """Return the overlap to expect of two boxes of one thing, both drawn to `edge_error_px`.

    Nobody marks an edge better than to about a pixel. Of a bus that costs nothing, of a drone twelve
    pixels wide a fifth of the overlap, which no network can see once the crop has been enlarged.

    Args:
        box: One of the two.
        edge_error_px: Typical distance of their edges; 0 is none.

    Returns:
        In (0, 1]: the IoU of the box with itself moved by that distance on both axes.
    """
    if edge_error_px <= 0:
        return 1.0
    common = max(0.0, box.w - edge_error_px) * max(0.0, box.h - edge_error_px)
    return max(common / (2 * box.area - common), 1e-3)
