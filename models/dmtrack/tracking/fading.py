"""How much of the second stream the head reads: more where RGB has faded.

Templates and search crops show a target at one scale, so the crop around it can be compared with its first
template: by the difference of neighbouring pixels, which blur lowers, and by the spread of all pixels, which
darkness lowers. Both are relative to the second stream: a target that goes away gets blurred in both.

Measured on the clips of `val`, `val_hard` and `sample_data`, as shares of the first template's, the lower of
the two: 0.56 to 1.3 in RGB as recorded, 0.05 to 0.08 in the dark, 0.17 to 0.53 where it is blurred.
"""

from __future__ import annotations

from typing import Final

from dmtrack.network.inference import Array, arrays_of

MOST: Final = 0.5  # share of the second stream where RGB has faded
_FADED, _FRESH = 0.35, 0.55  # what is left of RGB: up to the first `MOST`, from the second the usual share


def detail(crops: Array, middle: float = 1.0) -> Array:
    """Return the detail in the middle of uint8 crops `(B, x, x, 3 S)`: `(B, S, 2)` grey levels.

    The two are the mean difference of horizontal neighbours, and the standard deviation. `middle` is the
    share of the side that is measured.
    """
    arrays = arrays_of(crops)
    edge = round(crops.shape[1] * (1 - middle) / 2)
    inner = slice(edge, crops.shape[1] - edge)
    rows = slice(edge, crops.shape[1] - edge, 3)  # every third is enough
    values = arrays.asarray(crops[:, rows, inner], dtype=arrays.float32)
    steps = abs(values[:, :, 1:] - values[:, :, :-1]).mean((1, 2))
    return arrays.stack((steps, values.std((1, 2))), -1).reshape(len(crops), -1, 3, 2).mean(2)


def aux_shares(seen: Array, known: Array, usual: float) -> Array:
    """Return the second stream's share of what the head reads, `(B,)`.

    `seen` and `known` are the `detail` `(B, 2, 2)` of search crops and of first templates; `usual` is the
    share stored with the weights, and the lowest returned.
    """
    left = seen / known.clip(1e-3)  # the clip: a stream without detail must not divide by 0
    of_rgb = left[:, 0] / left[:, 1].clip(1e-3, 1)
    faded = ((_FRESH - arrays_of(seen).amin(of_rgb, 1)) / (_FRESH - _FADED)).clip(0, 1)
    return usual + (max(MOST, usual) - usual) * faded
