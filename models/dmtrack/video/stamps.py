"""`stamps_of`: when the frames of a source are shown, without decoding them."""

from __future__ import annotations

from collections.abc import Sequence

from dmtrack.video.folder import DEFAULT_FRAME_RATE
from dmtrack.video.source import FrameSource, KnowsStamps
from dmtrack.video.stamped import StampedSource


def stamps_of(source: FrameSource) -> Sequence[int]:
    """Return the stamps of all frames, rising, in units of the source's time base.

    Where a source has none of its own, they are counted from its rate.

    Raises:
        DecodeError: The file cannot be read to its end.
    """
    info = source.info
    if isinstance(source, StampedSource):
        return [int(time_s / info.time_base) for time_s in source.times.times_s]
    stamps = source.frame_stamps() if isinstance(source, KnowsStamps) else None
    if stamps is not None:
        return [stamp for stamp in stamps if stamp >= info.start_pts]
    step = max(1, round(1 / ((info.frame_rate or DEFAULT_FRAME_RATE) * info.time_base)))
    return range(info.start_pts, info.start_pts + step * (info.frame_count or 0), step)
