"""The weights in the box follow real targets: one pass, the first box given, no restarts."""

from __future__ import annotations

import numpy as np
import pytest

from dmtrack.evaluation.clips import one_pass
from dmtrack.run.pipeline import load_tracker

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.usefixtures("usual_backend")]


def test_mean_iou_over_real_recordings(val_sequences):
    """Every annotated target with every stream that its recording has, for at most 100 frames."""
    ious = {
        name: one_pass(lambda modality: load_tracker("tiny", modality), sequence, max_frames=100).mean_iou
        for name, sequence in val_sequences.items()
    }
    table = ", ".join(f"{name} {iou:.2f}" for name, iou in ious.items())
    assert len(ious) == 9
    assert np.mean(list(ious.values())) >= 0.75, table
