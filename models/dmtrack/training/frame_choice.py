"""Which frames of a sequence make a sample: templates that came before what is searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Frames of one sample, 0-based.

    Attributes:
        templates: T frames, oldest first; the last is the base frame.
        search: A frame after all of them.
    """

    templates: tuple[int, ...]
    search: int


def choose_causal(
    visible: npt.NDArray[np.integer], templates: int, *, window: int, growth: int, rng: np.random.Generator
) -> FrameChoice:
    """Choose a base frame, templates from the window before it and a search frame from the one after.

    Args:
        visible: Frames that show the target, in order: at least 2 for one template, 3 for more.
        templates: Number T.
        window: Frames before the base that templates are drawn from, with replacement. The search frame
            is one of the `window - 1` after it.
        growth: Both windows grow by so many frames until each holds one.
        rng: What is drawn with.

    Raises:
        ValueError: There are too few frames.

    Source: specification 4, "causal" sampling. A base frame without any visible one before or after it
    can never make a sample, so it is not drawn.
    """
    first = 0 if templates == 1 else 1
    if len(visible) < first + 2:
        raise ValueError(f"{len(visible)} visible frames are too few for {templates} templates")
    place = int(rng.integers(first, len(visible) - 1))
    base = int(visible[place])
    while True:
        begin = int(np.searchsorted(visible, base - window))
        end = int(np.searchsorted(visible, base + window))
        if begin <= place - first and end > place + 1:
            break
        window += growth
    earlier = visible[rng.integers(begin, place, templates - 1)] if templates > 1 else ()
    search = visible[rng.integers(place + 1, end)]
    return FrameChoice((*sorted(int(frame) for frame in earlier), base), int(search))
