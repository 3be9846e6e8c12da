"""Results of `dmtrack track` as training data: which frames count, and that they are what the tracker saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from program import csv_rows, write_csv

from dmtrack.errors import DatasetError, DmtrackError
from dmtrack.geometry.box import Box
from dmtrack.run.corrections import EarlierRun
from dmtrack.run.inputs import open_inputs
from dmtrack.run.request import NetworkOptions, OutputOptions, TrackRequest, TwoWay
from dmtrack.run.session import track_to_folder
from dmtrack.tracking.start import TargetStart
from dmtrack.training import results_data
from dmtrack.training.results_data import sequences_of_results
from dmtrack.training.sequences import SequenceConfig, SequenceSource, Streams
from dmtrack.video.frame import Modality
from dmtrack.video.position import Position

FRAMES = 40
GIVEN, SURE, DOUBTED = {0, 35}, range(1, 28), range(28, 34)


@pytest.fixture(scope="module")
def videos(make_video, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("long")
    return make_video(folder / "rgb.mp4", FRAMES), make_video(folder / "thermal.mp4", FRAMES, grey=True)


def tracked(
    videos: tuple[Path, Path], weights: Path, modality: Modality = Modality.THERMAL, end: int = FRAMES
) -> Path:
    """Results with a corrected frame; every score and state is then written as this module says."""
    box = Box(20, 16, 16, 16)
    request = TrackRequest(
        *videos,
        boxes=(TargetStart(box, 1, 0), TargetStart(box, 1, 35)) if end > 35 else (TargetStart(box, 1, 0),),
        modality=modality,
        two_way=TwoWay.OFF,
        end=Position(end),
        network=NetworkOptions(str(weights)),
        output=OutputOptions(folder=Path(f"out-{modality}"), no_video=True),
    )
    folder = track_to_folder(request).folder
    rows = csv_rows(folder / "boxes.csv")
    for row in rows:
        frame = int(row["frame"])
        if frame not in GIVEN:
            row["score"] = "0.2" if frame in DOUBTED else "0.9"
            row["state"] = "tracked" if frame in SURE else "uncertain" if frame in DOUBTED else "lost"
            row.update(x=str(20 + frame), y="16", w="16", h="16")
    write_csv(folder / "boxes.csv", rows)
    return folder


def test_given_boxes_count_tracked_ones_by_their_score_others_never(videos, weights):
    (sequence,) = sequences_of_results(tracked(videos, weights), Path("pictures"))
    frames = {
        int(path.stem) for path, shown in zip(sequence.rgb_paths, sequence.visible, strict=True) if shown
    }
    assert frames >= GIVEN
    assert frames <= GIVEN | set(SURE)
    assert 20 <= len(frames & set(SURE)) < 27, "nine of ten"
    assert sequence.box(sequence.start_frame) == Box(20, 16, 16, 16)


def test_of_many_frames_some_are_written_and_the_given_ones_always(videos, weights, monkeypatch):
    monkeypatch.setattr(results_data, "MOST_FRAMES", 6)
    (sequence,) = sequences_of_results(tracked(videos, weights), Path("pictures"))
    frames = [int(path.stem) for path in sequence.rgb_paths]
    assert len(frames) == 6
    assert set(frames) >= GIVEN


@pytest.mark.parametrize("modality", list(Modality))
def test_pictures_are_what_the_tracker_saw(videos, weights, modality):
    folder = tracked(videos, weights, modality, end=12)
    config = SequenceConfig(32, 64, 2, modality)
    source = SequenceSource.open(folder, config, pictures=Path("pictures"))
    (entry,) = source.sequences
    sampler = source(0)
    with open_inputs(EarlierRun.read(folder).request) as pairs:
        seen = {pair.rgb.index: pair.image for pair in pairs}
    for place, path in enumerate(entry.sequence.rgb_paths):
        shown = sampler._read(0, place, Streams.BOTH)
        assert np.array_equal(shown, seen[int(path.stem)])
    assert sampler.sample().templates.shape == (2, 32, 32, 6)


@pytest.mark.usefixtures("windows")
def test_adapters_are_trained_from_results_as_they_are(videos, weights, run_cli):
    """The modality and the adapters to go on from need not be said."""
    folder = tracked(videos, weights)
    small = ("--template-size", "32", "--search-size", "64", "--batch-size", "2", "--workers", "0")
    words = ("train", "-o", "run", "--stage", "adapters", "--init", "tiny", "--data", folder, "--steps", "1")
    outcome = run_cli(*words, *small)
    assert outcome.code == 0, outcome.err
    config = json.loads(Path("run/config.json").read_text())
    assert (config["modality"], config["init_adapters"]) == ("thermal", "tiny")
    assert Path("run/weights.safetensors").is_file()
    assert "1 results" in " ".join(outcome.err.split())
    before = {path: path.stat().st_mtime_ns for path in Path("run/pictures").rglob("*.png")}
    assert before
    sequences_of_results(folder, Path("run/pictures"))
    assert {path: path.stat().st_mtime_ns for path in Path("run/pictures").rglob("*.png")} == before


def test_results_without_a_box_to_trust_are_said(videos, weights):
    folder = tracked(videos, weights)
    text = (folder / "boxes.csv").read_text().replace("init", "lost").replace("tracked", "lost")
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(DatasetError, match="it has no trusted box"):
        sequences_of_results(folder, Path("pictures"))


def test_a_recording_that_is_gone_is_said(videos, weights):
    folder = tracked(videos, weights)
    record = json.loads((folder / "run.json").read_text())
    record["command"] = [word.replace(str(videos[0]), "gone.mp4") for word in record["command"]]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(DmtrackError, match=r"gone\.mp4 is not there; .* where it is now"):
        sequences_of_results(folder, Path("pictures"))
