"""The main job, as a person would do it: bundled weights, the clips of `sample_data`, default options.

The README's own command, on one of the clips, is in `tests/project/test_readme.py`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from program import times_of

from dmtrack.boxes.reading import read_rows
from dmtrack.datasets.ground_truth import read_boxes
from dmtrack.evaluation.overlap import iou_per_frame
from dmtrack.output.record import read_run_json

SAMPLES = Path(__file__).parents[2] / "sample_data"
LEAST_MEAN_IOU = 0.6


@pytest.mark.parametrize(
    ("clip", "aux", "modality"),
    [
        pytest.param("night_street", "thermal.mkv", "thermal", id="night-street-thermal"),
        pytest.param("desk_depth", "depth", "depth", id="desk-depth"),
        pytest.param("road_event", "event.mp4", "event", id="road-event"),
    ],
)
@pytest.mark.slow
@pytest.mark.usefixtures("usual_backend")
def test_the_box_stays_on_the_target(run_cli, clip, aux, modality):
    folder = SAMPLES / clip
    assert run_cli("track", folder / "rgb.mp4", folder / aux).code == 0
    results = Path("dmtrack-results", clip)
    rows = read_rows(results / "boxes.csv")
    truth = read_boxes(folder / "groundtruth.txt").boxes
    assert [row.frame_index for row in rows] == list(range(len(truth)))
    ious = iou_per_frame(np.array([row.box.xywh for row in rows]), truth)
    mean = float(np.nanmean(ious[1:]))
    assert mean >= LEAST_MEAN_IOU, f"mean IoU {mean:.3f} on {clip}"
    record = read_run_json(results / "run.json")
    assert record["configuration"]["modality"] == modality
    assert record["counts"]["pairing"]["rgb_damaged"] == record["counts"]["pairing"]["aux_damaged"] == 0
    assert len(times_of(results / "annotated.mp4")) == len(truth)


@pytest.mark.parametrize(
    ("clip", "aux"), [("night_street", "thermal.mkv"), ("desk_depth", "depth"), ("road_event", "event.mp4")]
)
def test_inspect_finds_a_partner_for_every_frame(run_cli, clip, aux):
    outcome = run_cli("inspect", SAMPLES / clip / "rgb.mp4", SAMPLES / clip / aux)
    assert outcome.code == 0
    assert "100 of the first 100 RGB frames have a partner" in " ".join(outcome.out.split())
