"""`dmtrack evaluate`: tables, files, what is said about bad results, and running our own tracker."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import pictures_in, written
from program import csv_rows

from dmtrack.evaluation.benchmark_runs import export_workspace
from dmtrack.evaluation.benchmarks import BenchmarkName
from dmtrack.output.record import read_run_json

FRAMES = 24
PLOTS = ("precision", "normalised_precision", "success")


def truth(number: int) -> np.ndarray:
    rows = np.tile([20.0, 12.0, 16.0, 20.0], (FRAMES, 1))
    rows[:, 0] += np.arange(FRAMES) * (1 + number / 4)
    return rows


def save(path: Path, rows: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, rows, fmt="%.3f", delimiter=",")


@pytest.fixture
def lasher(tmp_path) -> Path:
    """Three sequences, one with pictures, and the results of two trackers."""
    root = tmp_path / "LasHeR"
    for number in range(3):
        folder = root / f"s{number}"
        for stream in ("visible", "infrared"):
            save(folder / f"{stream}.txt", truth(number))
        save(tmp_path / "results" / "good" / f"s{number}.txt", truth(number) + (1, 0, 0, 0))
        save(tmp_path / "results" / "poor" / f"s{number}.txt", truth(number) + (9, 9, 0, 0))
    for stream in ("visible", "infrared"):
        pictures_in(root / "s0" / stream, [np.full((60, 90, 3), 80, np.uint8)] * FRAMES, "{:06d}.jpg")
    return root


def test_tables_and_ranking(lasher, run_cli):
    done = run_cli("evaluate", "results", "--dataset", lasher)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][:3] == ["LasHeR,", "3", "sequences,"]
    assert lines[1][2:9:2] == ["PR", "NPR", "SR", "sequences"]
    assert [line[0] for line in lines[3:5]] == ["good", "poor"]
    assert lines[3][2] == "100.0"
    assert done.err == ""


def test_report_and_files(lasher, run_cli):
    done = run_cli("evaluate", "results", "--dataset", lasher, "-o", "out", "--compare", "good", "poor")
    assert done.code == 0
    assert "good minus poor" in done.out
    folder = Path("out")
    assert {path.name for path in folder.iterdir()} == {
        *("report.html", "scores.json", "sequences.csv", "trackers.csv"),
        *(
            f"{name}.{kind}"
            for name in ("precision", "normalised_precision", "success")
            for kind in ("png", "svg")
        ),
    }
    rows = csv_rows(folder / "sequences.csv")
    assert [(row["tracker"], row["sequence"]) for row in rows][:2] == [("good", "s0"), ("good", "s1")]
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    assert scores["benchmark"] == "lasher"
    assert scores["convention"]["invalid_truth"] == "penalised"
    assert scores["trackers"][0]["figures"]["PR"] == 1.0
    assert [entry["column"] for entry in scores["comparison"]["differences"]] == ["PR", "NPR", "SR"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 2  # of one sequence: the worst frame is the last
    assert page.count("<svg") == 3
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page), "something is loaded from elsewhere"
    run_cli("evaluate", "results", "--dataset", lasher, "-o", "out").refused(5, "--overwrite")


def test_names_that_are_no_utf8_are_in_the_report(lasher, run_cli):
    name = "caf\udce9"
    (lasher / "s1").rename(lasher / name)
    Path("results/good/s1.txt").rename(f"results/good/{name}.txt")
    Path("results/good").rename(f"results/{name}")
    done = run_cli("evaluate", "results", "--dataset", lasher, "-o", "out")
    assert done.code == 0, done.err
    assert name in [one["name"] for one in json.loads(Path("out/scores.json").read_text())["trackers"]]
    assert r"caf\udce9" in Path("out/report.html").read_text()


@pytest.mark.parametrize(
    "row", ["nan,nan,nan,nan", "0,0,0,0", "0,12,16,20"], ids=["none", "zeros", "at-the-edge"]
)
@pytest.mark.parametrize("benchmark", ["lasher", "visevent", "ope"])
def test_true_boxes_that_a_benchmark_counts_oddly_are_told(lasher, run_cli, row, benchmark):
    path = lasher / "s1" / "visible.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:20], row, row, *lines[22:]]))
    done = run_cli("evaluate", "results/good", "--dataset", lasher, "--benchmark", benchmark)
    assert done.code == 0
    said = "2 true boxes with a value of 0 or less, or none: hits of PR"
    assert done.err.count(said) == (benchmark != "ope")


@pytest.mark.parametrize("others", [(), ("good",)], ids=["alone", "beside-one"])
def test_a_tracker_that_is_left_out_is_told_once(lasher, run_cli, others):
    save(Path("foreign/elsewhere.txt"), truth(0))
    done = run_cli("evaluate", *(f"results/{name}" for name in others), "foreign", "--dataset", lasher)
    assert done.code == (0 if others else 3)
    (line,) = [line for line in done.error_lines if "no file is about a sequence" in line]
    assert line.startswith("warning: left out: " if others else "error: ")


def test_json_goes_to_standard_output(lasher, run_cli):
    done = run_cli("evaluate", "results/good", "results/poor", "--dataset", lasher, "--json")
    assert [tracker["name"] for tracker in json.loads(done.out)["trackers"]] == ["good", "poor"]


def test_what_is_wrong_is_said_and_strict_refuses_it(lasher, run_cli):
    Path("results/poor/s1.txt").unlink()
    save(Path("results/poor/s2.txt"), truth(2)[:5])
    done = run_cli("evaluate", "results", "--dataset", lasher)
    assert done.code == 0
    assert "poor: missing sequences (1); s1; left out of every mean" in done.err
    assert "5 rows for 24 frames; missing frames count as misses" in done.err
    assert "2 of 3" in done.out
    save(Path("results/good/s1.txt"), truth(1)[:7])
    save(Path("results/good/s2.txt"), truth(2)[:5])
    several = run_cli("evaluate", "results", "--dataset", lasher).err
    assert "good: results shorter than the ground truth (2); s1, s2; s1: 7 rows for 24 frames; " in several
    zero = run_cli("evaluate", "results", "--dataset", lasher, "--missing", "zero")
    assert "counted as 0" in zero.err
    strict = run_cli("evaluate", "results", "--dataset", lasher, "--strict", "-o", "out")
    assert strict.code == 3
    assert strict.out == ""
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize(
    ("order", "said"),
    [("xyxy", "give --order xyxy to read them as corners"), ("cxcywh", "give --order cxcywh")],
)
def test_other_orders_are_recognised_and_read_on_demand(lasher, run_cli, order, said):
    for number in range(3):
        places, sides = np.hsplit(truth(number), 2)
        other = (places, places + sides) if order == "xyxy" else (places + sides / 2, sides)
        save(Path(f"other/s{number}.txt"), np.hstack(other))
    done = run_cli("evaluate", "other", "--dataset", lasher)
    assert said in done.err
    right = run_cli("evaluate", "other", "--dataset", lasher, "--order", order)
    assert right.err == ""
    assert "100.0" in right.out


def test_shares_are_recognised_too(lasher, run_cli):
    for number in range(3):
        save(Path(f"shares/s{number}.txt"), truth(number) / 1000)
    done = run_cli("evaluate", "shares", "--dataset", lasher)
    assert "first rows fit the ground truth only as fractions of the picture" in done.err


@pytest.mark.parametrize("scale", [(0.5, 0.5), (2, 2), (3, 2.25), (0.5, 0.667), (1, 1)])
def test_boxes_of_pictures_of_another_size_are_recognised_too(lasher, run_cli, scale):
    for number in range(3):
        save(Path(f"scaled/s{number}.txt"), truth(number) * np.tile(scale, 2))
    done = run_cli("evaluate", "scaled", "--dataset", lasher)
    said = "first rows fit the ground truth only as pixels of pictures of another size"
    assert (said in done.err) is (scale != (1, 1))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--run"),
        (("results",), 2, "--dataset"),
        (("nowhere", "--dataset", "LasHeR"), 3, "nowhere"),
        (("results", "--dataset", "nowhere"), 3, "nowhere"),
        (("results/good/s1.txt", "--dataset", "LasHeR"), 3, "s1.txt: is a file, but not a zip"),
        (("results", "--dataset", "results/good/s1.txt"), 3, "s1.txt: is a file, but not a zip"),
        (("results", "--dataset", "LasHeR", "--compare", "good", "bad"), 4, "no tracker 'bad'"),
        (("results", "--run", "LasHeR"), 2, "leave out RESULTS"),
        (("results", "--dataset", "LasHeR", "--modality", "thermal"), 2, "--modality: is for --run"),
        (("results", "--dataset", "LasHeR", "--csv", "a.csv"), 2, "--csv: is for --run"),
        (("results", "--dataset", "LasHeR", "--resume"), 2, "--resume: is for --run"),
        (("--run", "LasHeR", "--csv", "a.csv", "-o", "out"), 2, "--csv: is for --run without -o"),
        (("--run", "LasHeR", "--json"), 2, "--json: is for reports: give -o"),
        (("--run", "LasHeR", "--resume"), 2, "--resume: is for reports: give -o"),
        (("--run", "LasHeR", "--jobs", "2"), 2, "--jobs: is for reports: give -o"),
        (("--run", "LasHeR", "--order", "xyxy"), 2, "--order: is for reports: give -o"),
        (("--run", "LasHeR", "--compare", "good", "bad"), 2, "--compare: is for reports: give -o"),
    ],
)
def test_what_cannot_be_done(words, code, said, lasher, run_cli):
    done = run_cli("evaluate", *words)
    assert done.code == code
    assert said in " ".join(done.err.replace("│", " ").split())


def test_a_benchmark_may_be_named(lasher, run_cli):
    done = run_cli("evaluate", "results", "--dataset", lasher, "--benchmark", "ope")
    assert "mean IoU" in done.out


def test_run_over_clips(recording, weights, run_cli):
    """Without -o the clips are only measured."""
    folder = recording.rgb.parent
    done = run_cli("evaluate", "--run", folder, "--weights", weights, "--device", "cpu", "--csv", "clips.csv")
    assert done.code == 0
    assert folder.name in done.out
    assert re.search(r"tracked with precision (fp32|bf16), recovery (on|off)", done.out)
    assert "nan" not in done.out
    (row,) = csv_rows(Path("clips.csv"))
    assert float(row["mean_iou"]) > 0


@pytest.mark.slow
def test_run_over_a_benchmark_writes_and_scores_results(recording, weights, run_cli):
    folder = recording.rgb.parent
    words = ("evaluate", "--run", folder, "--weights", weights, "--device", "cpu", "-o", "out")
    assert run_cli(*words).code == 0
    (result,) = Path("out/results").rglob("*.txt")
    assert result.stem == folder.name
    assert len(result.read_text(encoding="utf-8").splitlines()) == 12
    pair = recording.rgb, recording.thermal
    assert run_cli("track", *pair, "--weights", weights, "--device", "cpu", "-o", "tracked_alone").code == 0
    (boxes,) = Path("out/tracked").rglob("boxes.txt")
    assert boxes.read_bytes() == Path("tracked_alone/boxes.txt").read_bytes(), "no option makes them differ"
    assert Path("out/report.html").is_file()
    (record,) = (read_run_json(path) for path in Path("out/tracked").rglob("run.json"))
    assert record["precision"] in ("fp32", "bf16"), "as track would, on this processor"
    assert run_cli(*words).code == 5
    assert run_cli(*words, "--resume").code == 0


@pytest.mark.slow
def test_clips_of_another_modality_are_not_missing(recording, weights, run_cli, make_video):
    """--modality leaves them out of the run, and so of what is scored."""
    shutil.copytree(recording.rgb.parent, "clips/walk")
    Path("clips/alone").mkdir()
    make_video(Path("clips/alone/rgb.mp4"), 3)
    Path("clips/alone/groundtruth.txt").write_text("20,16,16,16\n" * 3)
    words = ("--weights", weights, "--device", "cpu", "--jobs", 1, "-o", "out", "--modality", "thermal")
    done = run_cli("evaluate", "--run", "clips", *words)
    assert done.code == 0, done.err
    assert "missing sequences" not in done.err
    assert json.loads(Path("out/scores.json").read_text())["sequences"] == 1


@pytest.mark.slow
def test_it_tracks_as_track_does_unless_asked_for_otherwise(make_video, tmp_path, run_cli):
    """The bundled weights search; a figure of a paper is without."""
    folder = tmp_path / "clips" / "walk"
    folder.mkdir(parents=True)
    make_video(folder / "rgb.mp4", 3)
    make_video(folder / "thermal.mp4", 3, grey=True)
    save(folder / "groundtruth.txt", truth(0)[:3])
    words = ("evaluate", "--run", folder.parent, "--weights", "tiny", "-o")
    done = run_cli(*words, "plain", "--recovery", "off", "--precision", "fp32")
    assert done.code == 0
    assert "tracked with precision fp32, recovery off" in done.err
    assert run_cli(*words, "searched").code == 0
    records = {name: next(Path(name).rglob("run.json")).read_text() for name in ("plain", "searched")}
    assert '"recovery": false' in records["plain"]
    assert '"recovery": true' in records["searched"]


def test_zips_are_named_in_errors(lasher, run_cli):
    shutil.make_archive("zipped", "zip", "results")
    shutil.make_archive("data", "zip", lasher)
    assert run_cli("evaluate", "zipped.zip", "--dataset", "data.zip").code == 0
    done = run_cli("evaluate", "zipped.zip", "--dataset", "data.zip", "--benchmark", "vot-rgbd22")
    assert done.code == 3
    assert done.err.startswith("error: data.zip")
    assert "anchor.value" in done.err


def anchored_clip(folder: Path) -> None:
    """Write a clip of VOT-RGBD2022, with runs forwards from frame 2 and backwards from the last."""
    for stream in ("color", "depth"):
        (folder / stream).mkdir(parents=True)
    for frame in range(FRAMES):
        picture = np.full((60, 90, 3), 60, np.uint8)
        x, y, w, h = truth(0)[frame].astype(int)
        picture[y : y + h, x : x + w] = 220
        cv2.imwrite(str(folder / "color" / f"{frame + 1:08d}.jpg"), picture)
        depth = np.where(picture[..., 0] > 100, 900, 2500).astype(np.uint16)
        cv2.imwrite(str(folder / "depth" / f"{frame + 1:08d}.png"), depth)
    save(folder / "groundtruth.txt", truth(0))
    (folder / "sequence").write_text("width=90\nheight=60\n")
    anchors = ["0"] * FRAMES
    anchors[2], anchors[-1] = "1", "-1"
    (folder / "anchor.value").write_text("\n".join(anchors))


@pytest.mark.slow
def test_run_from_anchors_either_way(tmp_path, weights, run_cli):
    """VOT-RGBD2022: a run forwards from frame 2, one backwards from the last, in the toolkit's files."""
    anchored_clip(tmp_path / "vot" / "ball")
    words = ["evaluate", "--run", tmp_path / "vot", "--weights", weights, "--device", "cpu", "-o", "out"]
    words += ["--export-vot", "workspace"]
    done = run_cli(*words)
    assert done.code == 0, done.err
    assert "EAO" in done.out
    assert "missing" not in done.err
    found = {
        path.name: path.read_text().splitlines() for path in Path("out/results").rglob("ball_*[0-9].txt")
    }
    assert {name: len(lines) for name, lines in found.items()} == {
        "ball_00000002.txt": FRAMES - 2,
        f"ball_{FRAMES - 1:08d}.txt": FRAMES,
    }
    assert all(lines[0] == "1" for lines in found.values())
    started = Path(f"out/reversed/ball_{FRAMES - 1:08d}/rgb/00000000.jpg")
    assert started.resolve().name == f"{FRAMES:08d}.jpg"
    (tracker,) = Path("workspace/results").iterdir()
    assert "stack: vot2022/rgbd" in Path("workspace/config.yaml").read_text()
    assert f"[{tracker.name}]" in Path("workspace/trackers.ini").read_text()
    copies = {path.relative_to(tracker.parent) for path in tracker.rglob("*") if path.is_file()}
    assert copies == {p.relative_to("out/results") for p in Path("out/results").rglob("*") if p.is_file()}
    assert run_cli(*words, "--overwrite").code == 0
    assert Path("workspace/trackers.ini").read_text().count(f"[{tracker.name}]") == 1
    again = run_cli(*words, "--resume")
    assert again.code == 0
    assert "kept" in again.out


def test_results_in_a_workspace_are_refused_before_anything_is_tracked(tmp_path, weights, run_cli):
    anchored_clip(tmp_path / "vot" / "ball")
    others = written(Path("workspace/results", Path(weights).stem, "baseline/ball/ball_001.txt"), "1\n")
    words = ("evaluate", "--run", tmp_path / "vot", "--weights", weights, "-o", "out")
    run_cli(*words, "--export-vot", "workspace").refused(5, "the workspace has results of this tracker")
    assert others.read_text() == "1\n"
    assert not Path("out/tracked").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_results_may_lie_in_the_workspace(tmp_path, overwrite):
    own = written(tmp_path / "results/tiny/baseline/ball/ball_001.txt", "1\n")
    results, known = tmp_path / "results" / "tiny", BenchmarkName.VOT_RGBD22
    export_workspace(results, tmp_path, known, tmp_path / "sequences", overwrite=overwrite)
    assert own.read_text() == "1\n"
    assert "[tiny]" in (tmp_path / "trackers.ini").read_text()


def test_a_workspace_of_the_toolkit_needs_a_benchmark_it_knows(recording, weights, run_cli):
    words = ("evaluate", "--run", recording.rgb.parent, "--weights", weights, "--export-vot", "workspace")
    run_cli(*words, "-o", "out").refused(4, "vot-toolkit does not evaluate")
    assert not Path("out").exists(), "nothing was tracked first"
    assert run_cli(*words).code == 2


@pytest.mark.parametrize("name", ["a$\\x{$", "_hidden", "=cmd", "$x^2$"])
def test_names_are_names_whatever_is_in_them(run_cli, name):
    for folder in (Path("data/s1"), Path("res/ours"), Path("res", name)):
        folder.mkdir(parents=True)
    rows = "1,2,30,40\n" * 3
    Path("data/s1/groundtruth.txt").write_text(rows)
    Path("res/ours/s1.txt").write_text(rows)
    Path("res", name, "s1.txt").write_text(rows)
    assert run_cli("evaluate", "res", "--dataset", "data", "-o", "o").code == 0
    assert name in html.unescape(Path("o/report.html").read_text())
    names = {row["tracker"] for row in csv_rows(Path("o/trackers.csv"))}
    assert names == {"ours", f"'{name}" if name.startswith("=") else name}
