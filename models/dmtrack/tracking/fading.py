"""How much of the second stream the head is to read: more where RGB has faded.

Templates and search crops show a target at one scale, so that what is seen around it can be compared with its
first template: how much neighbouring pixels differ, which blur takes away, and how much all of them do, which
the dark takes away. Both are held against what the second stream has lost: a target that goes away gets
blurred in both.

Measured on the clips of `val`, `val_hard` and `sample_data`, as shares of the first template's, the lesser of
the two: 0.56 to 1.3 in RGB as recorded, 0.05 to 0.08 in the dark, 0.17 to 0.53 where it is blurred.
"""

from __future__ import annotations

from typing import Final

from dmtrack.network.inference import Array, arrays_of

MOST: Final = 0.5  # share of the second stream where RGB has faded
_FADED, _FRESH = 0.35, 0.55  # what is left of RGB: below the one all of `MOST`, above the other nothing


def detail(crops: Array, middle: float = 1.0) -> Array:
    """Return what there is to see in uint8 crops `(B, x, x, 3 S)`: `(B, S, 2)` grey levels, in their middle.

    The two are the mean difference of neighbours in a row, and the standard deviation.
    """
    arrays = arrays_of(crops)
    edge = round(crops.shape[1] * (1 - middle) / 2)
    inner = slice(edge, crops.shape[1] - edge)
    rows = slice(edge, crops.shape[1] - edge, 3)  # enough of them
    values = arrays.asarray(crops[:, rows, inner], dtype=arrays.float32)
    steps = abs(values[:, :, 1:] - values[:, :, :-1]).mean((1, 2))
    return arrays.stack((steps, values.std((1, 2))), -1).reshape(len(crops), -1, 3, 2).mean(2)


def aux_shares(seen: Array, known: Array, usual: float) -> Array:
    """Return the second stream's share of what the head is to read, `(B,)`.

    `seen` and `known` are the `detail` `(B, 2, 2)` of search crops and of first templates; `usual` is the
    share of the weights, and the least.
    """
    left = seen / known.clip(1e-3)  # nothing of a stream that shows nothing
    of_rgb = left[:, 0] / left[:, 1].clip(1e-3, 1)
    faded = ((_FRESH - arrays_of(seen).amin(of_rgb, 1)) / (_FRESH - _FADED)).clip(0, 1)
    return usual + (max(MOST, usual) - usual) * faded
