"""`TrainingSample`: what every sampler draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """T templates, one search crop, and where the target is in it.

    Attributes:
        templates: `(T, z, z, C)` uint8, oldest first; C is 3 for one stream, 6 for a pair (RGB first).
        template_boxes: `(T, 4)` float32 centre and size of the box that each template was cut around, as
            fractions of the template's side: given for the first, believed for the others.
        search: `(x, x, C)` uint8.
        box_cxcywh: `(4,)` float32 centre and size of the target as fractions of the search crop's side.
        visible: False when the target is hidden or gone; then the box says where it would be.
    """

    templates: npt.NDArray[np.uint8]
    template_boxes: npt.NDArray[np.float32]
    search: npt.NDArray[np.uint8]
    box_cxcywh: npt.NDArray[np.float32]
    visible: bool
