"""`--detections`: a scene whose truth is known, and a detector with mistakes of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from clips import copies
from program import boxes_of

from dmtrack.boxes.keyframes import read_keyframes
from dmtrack.boxes.reading import read_rows
from dmtrack.geometry.box import Box
from dmtrack.output.record import read_run_json
from dmtrack.run.pipeline import track as track_in_python
from dmtrack.tracking.result import TrackedBox
from dmtrack.tracking.start import TargetStart

WIDTH, HEIGHT, FRAMES, SIZE = 240, 180, 28, (24, 28)
GONE, BACK, ENTERS = 8, 20, 4


def texture(seed: int, width: int, height: int, low: int, high: int, blur: float) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), blur)
    soft = (soft - soft.min()) / (soft.max() - soft.min())
    return (low + (high - low) * soft).astype(np.uint8)


def look(seed: int, colour: tuple[int, int, int]) -> np.ndarray:
    picture = texture(seed, *SIZE, 0, 70, 3) + 0.75 * np.array(colour)
    picture[8:14, 6:18] = 255 - picture[8:14, 6:18]
    return picture.clip(0, 255).astype(np.uint8)


GROUND = texture(1, WIDTH, HEIGHT, 60, 140, 6)
LOOKS = {"red": look(2, (230, 60, 40)), "blue": look(3, (40, 90, 230))}


def truth(name: str, frame: int) -> Box | None:
    """Red is hidden for a while and comes out where the tracker does not look yet; blue enters."""
    if name == "red":
        if frame < GONE:
            return Box(30 + frame, 40, *SIZE)
        return None if frame < BACK else Box(190 - frame + BACK, 136, *SIZE)
    left = WIDTH - 4 * (frame - ENTERS + 1)
    return None if frame < ENTERS else Box(left, 70, min(SIZE[0], WIDTH - left), SIZE[1])


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    (folder / "rgb").mkdir()
    for frame in range(FRAMES):
        picture = GROUND.copy()
        for name, sprite in LOOKS.items():
            box = truth(name, frame)
            if box is not None:
                x, y, w, h = (int(number) for number in box.xywh)
                picture[y : y + h, x : x + w] = sprite[:h, :w]
        cv2.imwrite(str(folder / "rgb" / f"{frame:04d}.png"), picture[..., ::-1])
    return folder


def detector(folder: Path, frames: range = range(FRAMES)) -> Path:
    """Boxes a pixel off, every fifth object missed, and every seventh frame something that is not there."""
    rng = np.random.default_rng(5)
    rows = []
    for frame in frames:
        there = [box for name in LOOKS if (box := truth(name, frame)) and (frame + len(name)) % 5]
        seen = [(*(np.array(box.xywh) + rng.normal(0, 0.7, 4)).round(2), 0.8) for box in there]
        if frame % 7 == 3:
            seen.append((*rng.uniform(0, 140, 2).round(1), *SIZE, 0.97))
        rows += [",".join(map(str, (frame + 1, -1, *values, -1, -1, -1))) for values in seen]
    path = folder / "det.txt"
    path.write_text("\n".join(rows))
    return path


def test_objects_that_enter_are_followed_mistakes_are_not_and_a_lost_target_is_taken_up(scene, run_cli):
    det, words = detector(scene), ("--lost-after", "4", "--no-video", "--precision", "fp32")
    outcome = run_cli("track", scene / "rgb", "--detections", det, "-o", "out", *words)
    assert outcome.code == 0, outcome.err
    assert "targets as they enter" in outcome.err
    found = read_rows(Path("out/boxes.csv"))
    assert {row.target_id for row in found} == {1, 2}, "no mistake of one frame became a target"
    keyframes = [key for key in read_keyframes(Path("out/keyframes.csv")) if isinstance(key, TargetStart)]
    again = [key for key in keyframes if key.target_id == 1]
    assert len(again) == 2, "red was started once, and taken up again once"
    assert again[1].frame_index == BACK
    for name, target_id in (("red", 1), ("blue", 2)):
        ious = [
            overlap(name, row) for row in found if row.target_id == target_id and truth(name, row.frame_index)
        ]
        assert np.mean(ious) > 0.7
    record = read_run_json(Path("out/run.json"))
    assert len(record["configuration"]["targets"]) == len(keyframes)
    assert record["configuration"]["detections"]["file"] == str(det)

    run_cli("track", scene / "rgb", "--box-file", "out/keyframes.csv", "-o", "again", *words)
    again_rows = read_rows(Path("again/boxes.csv"))
    assert [(row.frame_index, row.target_id, row.state) for row in again_rows] == [
        (row.frame_index, row.target_id, row.state) for row in found
    ], "made again without the detector"
    # Not to the byte: how many targets share a step decides in which order its numbers are added.
    for one, other in zip(again_rows, found, strict=True):
        assert one.box.xywh == pytest.approx(other.box.xywh, abs=1e-3)
    assert Path("again/keyframes.csv").read_bytes() == Path("out/keyframes.csv").read_bytes()


def overlap(name: str, row: TrackedBox) -> float:
    box = truth(name, row.frame_index)
    return 0.0 if box is None else row.box.iou(box)


SQUARE = "\n".join(f"{frame},-1,{19 + frame},16,16,16,0.9,-1,-1,-1" for frame in range(1, 13))


@pytest.fixture
def square() -> Path:
    """What a detector says of the moving square of the recording."""
    Path("det.txt").write_text(SQUARE)
    return Path("det.txt")


def test_results_with_detections_are_gone_on_with(track, run_cli, square):
    """The detections stand in the keyframes by then, and are not looked at again."""
    assert track("--detections", square, "--no-video").code == 0
    before = boxes_of()
    square.unlink()
    outcome = run_cli("track", "--continue", "out", "--box", "1:30,20,12,12", "--from", "8", "--no-video")
    assert outcome.code == 0, outcome.err
    after = boxes_of()
    changed = [row for row in after if row not in before]
    assert {(row[4], int(row[0]) >= 8) for row in changed} == {("1", True)}
    assert not any("--detections" in word for word in read_run_json(Path("out/run.json"))["command"])


def test_boxes_and_detections_go_together(track, square):
    square.write_text(f"{SQUARE}\n" + "\n".join(f"{f},-1,60,40,14,14,0.9" for f in range(4, 9)))
    assert track("--box", "7:20,16,16,16", "--detections", square, "--no-video").code == 0
    starts = [key for key in read_keyframes(Path("out/keyframes.csv")) if isinstance(key, TargetStart)]
    first = next(key for key in starts if key.target_id == 7)
    assert first.box == Box(20, 16, 16, 16)
    assert (3, Box(60, 40, 14, 14)) in [(key.frame_index, key.box) for key in starts]


def test_python_gives_the_same_as_the_command(track, recording, weights, square):
    assert track("--detections", square, "--no-video").code == 0
    options: Any = {"detections": square, "weights": weights, "device": "cpu"}
    found = list(track_in_python(recording.rgb, recording.thermal, **options))
    written = read_rows(Path("out/boxes.csv"))
    assert found
    for row, other in zip(found, written, strict=True):
        assert (row.frame_index, row.target_id, row.state) == (
            other.frame_index,
            other.target_id,
            other.state,
        )
        assert row.box.xywh == pytest.approx(other.box.xywh, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        pytest.param(["--detections", "none.txt"], 3, "none.txt: no such file", id="no-file"),
        pytest.param(["--detections", "twice.txt"], 3, "no object is seen in 3 frames", id="only-mistakes"),
        pytest.param(["--classes", "car", "--box", "20,16,16,16"], 4, "give --detections", id="no-detector"),
        pytest.param(["--detections", "det.txt", "--classes", "car"], 4, "has no classes", id="no-class"),
        pytest.param(
            ["--detections", "det.txt", "--box-format", "xyxy"], 4, "is for boxes of --box", id="order"
        ),
        pytest.param(["--detections", "det.txt", "--min-conf", "95"], 4, "highest is 0.9", id="percent"),
        pytest.param(
            ["--detections", "det.txt", "--box-file", "two.csv"], 4, "correct the result", id="corrections"
        ),
    ],
)
def test_what_is_wrong_is_one_line(track, square, words, code, expected):
    Path("twice.txt").write_text("\n".join(SQUARE.splitlines()[:2]))
    Path("two.csv").write_text("frame,id,x,y,w,h,state\n0,1,20,16,16,16,init\n6,1,30,20,12,12,init\n")
    outcome = track(*words)
    assert outcome.code == code, outcome.err
    assert expected in " ".join(outcome.err.split())
    assert [line[:7] for line in outcome.error_lines] == ["error: "]
    assert not Path("out").exists()


@pytest.fixture
def clips(recording) -> Path:
    """Two recordings that nobody has drawn a box on, and what a detector saw in one of them."""
    Path("seen").mkdir()
    Path("seen/a.txt").write_text(SQUARE)
    return copies(recording, "a", "b", truth=False)


@pytest.mark.slow
def test_a_batch_takes_the_detections_of_each_recording(run_cli, clips, weights):
    words = ("-o", "out", "--weights", weights, "--no-video", "--jobs", "1")
    outcome = run_cli("batch", clips, "--detections", "seen", *words)
    assert outcome.code == 6, "of b nobody knows a box"
    assert "b: no start box is known" in " ".join(outcome.err.split())
    assert read_rows(Path("out/a/boxes.csv"))

    Path("seen/a.txt").write_text(SQUARE.replace(",16,16,16,", ",16,16,17,"))
    with_time = Path("out/a/run.json").stat().st_mtime_ns
    run_cli("batch", clips, "--detections", "seen", *words, "--resume")
    assert Path("out/a/run.json").stat().st_mtime_ns != with_time, "other detections, other results"


@pytest.mark.slow
def test_a_list_says_the_detections_of_a_recording(run_cli, clips, weights):
    shutil.copy("seen/a.txt", clips / "det.txt")
    (clips / "list.csv").write_text(
        "id,rgb,aux,detections\none,a_rgb.mp4,a_thermal.mp4,det.txt\ntwo,b_rgb.mp4,b_thermal.mp4,none.txt\n"
    )
    words = ("-o", "out", "--weights", weights, "--no-video", "--jobs", "1")
    outcome = run_cli("batch", clips / "list.csv", *words)
    assert outcome.code == 6
    assert "none.txt: no such file" in " ".join(outcome.err.split())
    assert read_rows(Path("out/one/boxes.csv"))
    dry = run_cli("batch", clips / "list.csv", "-o", "other", "--dry-run")
    assert "det.txt" in dry.out


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("none", "no such folder"), ("seen/a.txt", "is a file"), ("clips", "such as a.txt")],
)
def test_a_batch_says_what_is_wrong_with_the_folder(run_cli, clips, weights, folder, expected):
    run_cli("batch", clips, "--detections", folder, "-o", "out", "--weights", weights).refused(3, expected)
