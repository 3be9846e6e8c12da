"""`dmtrack align`, and what `track --align` makes of its file."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from dmtrack.geometry.alignment_file import read_alignment
from dmtrack.geometry.homography import Homography
from dmtrack.output.record import read_run_json
from dmtrack.video.container.reader import VideoReader

SAMPLES = Path(__file__).parents[2] / "sample_data"
ROAD = (SAMPLES / "road_event" / "rgb.mp4", SAMPLES / "road_event" / "event.mp4")


def points(path: Path, shift: float = 0.0) -> Path:
    rows = [(x, y, x + shift, y) for x, y in ((5, 5), (90, 8), (85, 60), (10, 55), (40, 30))]
    path.write_text("\n".join(",".join(str(v) for v in row) for row in rows))
    return path


@pytest.fixture
def aligned(run_cli, recording, tmp_path) -> Path:
    outcome = run_cli(
        "align",
        recording.rgb,
        recording.thermal,
        "-o",
        "align.json",
        "--points",
        points(tmp_path / "p.csv", 4),
    )
    assert outcome.code == 0, outcome.err
    return tmp_path / "align.json"


@pytest.mark.slow
def test_from_the_pictures_alone(run_cli):
    outcome = run_cli("align", *ROAD, "-o", "road.json", "--frames", "3")
    assert outcome.code == 0, outcome.err
    alignment = read_alignment(Path("road.json"))
    truth = Homography.stretch((346, 260), (346, 260))
    assert alignment.homography.corner_error_px(truth) < 8
    assert alignment.method == "automatic"
    assert cv2.imread("road.png").shape == (260, 692, 3)
    assert "confidence" in outcome.out
    run_cli("align", *ROAD, "-o", "road.json").refused(5, "exists already")


def test_not_sure_writes_nothing(run_cli, recording, tmp_path):
    other = SAMPLES / "night_street" / "thermal.mkv"
    run_cli("align", recording.rgb, other, "-o", "a.json", "--frames", "2").refused(3, "not sure")
    assert list(tmp_path.iterdir()) == []


def test_time_alone(run_cli):
    outcome = run_cli("align", "--time", *ROAD, "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert abs(document["time"]["offset_s"]) < 0.02
    assert document["alignment"] is None


@pytest.mark.parametrize("ratio", ["1/2", "5/4"])
def test_the_time_is_measured_on_the_clock_that_a_ratio_puts_right(run_cli, tmp_path, ratio):
    """The second stream's clock counts other seconds than the first one's."""
    with VideoReader(ROAD[1]) as video:
        times = [float(frame.time_s / Fraction(ratio)) for frame in video]
    (tmp_path / "times.txt").write_text("\n".join(f"{time_s:.6f}" for time_s in times))
    pairing = ("--aux-times", "times.txt", "--times-unit", "s", "--rate-ratio", ratio)
    outcome = run_cli("align", "--time", *ROAD, *pairing, "--json")
    assert outcome.code == 0, outcome.err
    assert abs(json.loads(outcome.out)["time"]["offset_s"]) < 0.02


def test_points(aligned):
    alignment = read_alignment(aligned)
    shift = Homography.of([[1, 0, 4], [0, 1, 0], [0, 0, 1]], (96, 64), (96, 64))
    assert alignment.homography.corner_error_px(shift) < 0.01
    assert aligned.with_suffix(".png").is_file()


def test_a_recording_of_a_data_set_and_a_point_outside_of_it(run_cli, recording):
    """Streams and modality are found as by `track`; what is wrong with a point names its file."""
    outcome = run_cli("align", recording.rgb.parent, "-o", "a.json", "--points", points(Path("p.csv"), 4))
    assert outcome.code == 0, outcome.err
    far = points(Path("far.csv"), 900)
    run_cli("align", recording.rgb.parent, "-o", "b.json", "--points", far).refused(3, "far.csv: row 1: rgb")


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        ([], 4, "nowhere to write to"),
        (["-o", "a.png"], 4, "have the same name"),
        (["--time", "--points", "p.csv"], 4, "--points without -o has no effect"),
        (["-o", "a.json", "--points", "p.csv", "--checkerboard", "9x6"], 4, "exclude each other"),
        (["-o", "a.json", "--checkerboard", "9"], 4, "is not a checkerboard"),
        (["--time", "--offset-ms", "3"], 4, "exclude each other"),
        (["-o", "a.json", "--points", "none.csv"], 3, "cannot be read"),
        (["-o", "a.json", "--checkerboard", "9x6"], 3, "no frame shows all of the 9x6 board"),
        (["--time"], 3, "time offset"),
    ],
)
def test_what_cannot_be_done_is_one_line(run_cli, recording, options, code, reason):
    run_cli("align", recording.rgb, recording.thermal, *options).refused(code, reason)
    assert not Path("a.json").exists()


def test_a_run_uses_the_alignment_and_says_so(track, aligned):
    assert track("--align", aligned, "--no-video").code == 0
    clocks = read_run_json(Path("out/run.json"))["clocks"]
    assert clocks["align"]["homography"]["rows"][0][2] == pytest.approx(4)


def test_the_offset_of_the_file_counts_unless_one_is_given(track, aligned):
    document = json.loads(aligned.read_text())
    aligned.write_text(json.dumps({**document, "offset_ms": 100.0}))
    assert track("--align", aligned, "--no-video").code == 0
    assert read_run_json(Path("out/run.json"))["clocks"]["offset_s"] == "1/10"
    assert track("--align", aligned, "--no-video", "--offset-ms", "0", "--overwrite").code == 0
    assert read_run_json(Path("out/run.json"))["clocks"]["offset_s"] == "0"


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ('{"matrix": [[1,0,0],[0,1,0],[0,0,1]], "aux_size": [32, 32], "rgb_size": [96, 64]}', 4, "32x32"),
        ("{}", 3, "'matrix' is missing"),
    ],
)
def test_an_alignment_that_does_not_fit(track, tmp_path, text, code, reason):
    (tmp_path / "a.json").write_text(text)
    track("--align", "a.json").refused(code, reason)


def test_align_and_fit_exclude_each_other(track, aligned):
    track("--align", aligned, "--fit", "crop").refused(4, "--align and --fit exclude each other")


@pytest.mark.slow
def test_batch_takes_the_alignment_of_a_row(run_cli, recording, weights, aligned):
    row = f'a,{recording.rgb},{recording.thermal},,"20,16,16,16",,,,,align.json'
    Path("list.csv").write_text(f"id,rgb,aux,modality,box,box_file,start,end,offset_ms,align\n{row}\n")
    assert run_cli("batch", "list.csv", "-o", "many", "--weights", weights, "--no-video").code == 0
    record = next(Path("many").rglob("run.json"))
    assert read_run_json(record)["clocks"]["align"]["homography"]["rows"][0][2] == pytest.approx(4)
