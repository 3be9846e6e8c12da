"""`dmtrack evaluate --run` with a table: clips made worse, clips with an occlusion, recovery on and off."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from dmtrack.evaluation.occlusion import LEAST_FRAMES


@pytest.fixture
def pair_clip(make_video: Any) -> Path:
    """A folder with one annotated clip of two streams, just long enough to hide its target."""
    return make_clip(make_video, LEAST_FRAMES)


def make_clip(make_video: Any, frames: int) -> Path:
    folder = Path("clips/walk")
    folder.mkdir(parents=True)
    make_video(folder / "rgb.mp4", frames)
    make_video(folder / "thermal.mp4", frames, grey=True)
    boxes = (f"{20 + number % 40},16,16,16\n" for number in range(frames))
    (folder / "groundtruth.txt").write_text("".join(boxes))
    return folder.parent


def test_robustness_shows_every_degradation_with_every_choice_of_streams(
    run_cli: Any, make_video: Any, weights: Path
) -> None:
    clips = make_clip(make_video, 6)
    outcome = run_cli("evaluate", "--run", clips, "--weights", weights, "--robustness", "--csv", "cells.csv")
    assert outcome.code == 0, outcome.err
    with Path("cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["degrade"], row["streams"]) for row in rows} == {
        (kind, streams)
        for kind in ("clean", "dark", "blurred", "lost")
        for streams in ("both", "blank", "rgb", "aux")
    }
    for kind in ("clean", "dark", "blurred", "lost"):
        assert kind in outcome.out
    aux = {row["mean_iou"] for row in rows if row["streams"] == "aux"}
    assert len(aux) == 1, "what is done to RGB does not change what thermal alone gives"
    rgb = {row["mean_iou"] for row in rows if row["streams"] == "rgb"}
    assert len(rgb) > 1, "and it does change what RGB alone gives"


def test_robustness_needs_clips_of_two_streams(run_cli: Any, pair_clip: Path, weights: Path) -> None:
    (pair_clip / "walk" / "thermal.mp4").unlink()
    outcome = run_cli("evaluate", "--run", pair_clip, "--weights", weights, "--robustness")
    assert outcome.code == 3
    assert "two streams" in outcome.err


def test_occlusion_is_shown_without_and_with_recovery(run_cli: Any, pair_clip: Path, weights: Path) -> None:
    short = pair_clip / "short"
    shutil.copytree(pair_clip / "walk", short)
    truth = (short / "groundtruth.txt").read_text().splitlines(keepends=True)
    (short / "groundtruth.txt").write_text("nan,nan,nan,nan\n" * 9 + "".join(truth[9:]))
    outcome = run_cli("evaluate", "--run", pair_clip, "--weights", weights, "--occlude")
    assert outcome.code == 0, outcome.err
    assert "walk recovery off" in outcome.err
    assert "walk recovery on" in outcome.err
    assert f"short left out: fewer than {LEAST_FRAMES} frames" in outcome.err
    assert "off" in outcome.out
    assert "on" in outcome.out


@pytest.mark.slow
def test_recovery_is_off_unless_asked_for(run_cli: Any, make_video: Any) -> None:
    """The bundled weights would search; a benchmark is run as published."""
    words = ("evaluate", "--run", make_clip(make_video, 3), "--weights", "tiny", "-o")
    assert run_cli(*words, "plain").code == 0
    assert run_cli(*words, "searched", "--recovery", "auto").code == 0
    records = {name: next(Path(name).rglob("run.json")).read_text() for name in ("plain", "searched")}
    assert '"recovery": false' in records["plain"]
    assert '"recovery": true' in records["searched"]
