"""`data_frame`: boxes as a pandas table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dmtrack.errors import ConfigError
from dmtrack.tracking.result import TrackedBox
from dmtrack.video.gauge import MEASURE_COLUMNS, measure_cells

if TYPE_CHECKING:
    import pandas as pd


def data_frame(boxes: Iterable[TrackedBox]) -> pd.DataFrame:
    """Return a table with a row a box: frame, id, x, y, w, h (px), score, state, time_s, measure.

    Args:
        boxes: What `track` yields, or `read_rows` returns.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise ConfigError("a table needs pandas, which is not installed", hint="pip install pandas") from None
    rows = [
        {
            "frame": box.frame_index,
            "id": box.target_id,
            **dict(zip("xywh", box.box.xywh, strict=True)),
            "score": box.score,
            "state": None if box.state is None else str(box.state),
            "time_s": None if box.time_s is None else float(box.time_s),
            **measure_cells(box.measure),
        }
        for box in boxes
    ]
    columns = ["frame", "id", "x", "y", "w", "h", "score", "state", "time_s", *MEASURE_COLUMNS]
    return pd.DataFrame(rows, columns=columns)
