"""`dmtrack export`: any format to any other, what is lost is said, a batch in one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from clips import written
from program import csv_rows

from dmtrack.boxes.formats import ResultFormat
from dmtrack.boxes.formats.table import COLUMNS
from dmtrack.boxes.reading import read_results, read_rows

MOT = "1,1,10,20,30,40,1,-1,-1,-1\n3,1,11.5,20,30,40,0.75,-1,-1,-1\n3,2,1,2,3,4,0.5,-1,-1,-1\n"
HEADER = "frame,time_s,aux_time_s,skew_ms,id,x,y,w,h,score,state,aux_present,infer_ms\n"

KEEP_GAPS = [one for one in ResultFormat if one not in (ResultFormat.TRACKINGNET, ResultFormat.GOT_10K)]
"""The others have a box in every frame, whether there was one or not."""


@pytest.fixture
def mot() -> Path:
    return written(Path("street.txt"), MOT)


def a_run(folder: Path, boxes: str = "0,0.0,,,1,1.0,2.0,3.0,4.0,1.0,init,0,0.0\n") -> Path:
    """The results folder of a run."""
    folder.mkdir(parents=True)
    (folder / "boxes.csv").write_text(HEADER + boxes)
    return folder


@pytest.mark.parametrize("first", KEEP_GAPS)
@pytest.mark.parametrize("second", KEEP_GAPS)
def test_every_format_leads_to_every_other(run_cli, mot, first, second):
    """Through two formats and back to MOT, every box is what it was; formats are recognised on the way."""
    source: list[Path] = [mot]
    for step, target in enumerate((first, second, ResultFormat.MOT)):
        outcome = run_cli("export", *source, "--format", target, "-o", f"step{step}/", "--size", "640x480")
        assert outcome.code == 0, outcome.err
        source = [Path(line) for line in outcome.out.split() if not line.endswith(".value")]
        if target is ResultFormat.MOTCHALLENGE:
            source = [source[0].parent]
    (last,) = source
    told = [line.split(",")[:6] for line in last.read_text().splitlines()]
    assert told == [line.split(",")[:6] for line in MOT.splitlines()]


@pytest.mark.parametrize("target", ResultFormat)
@pytest.mark.parametrize("place", ["name", "document"])
def test_names_that_are_no_utf8_are_written_as_escapes(run_cli, mot, target, place):
    """As cameras and old disks make them: they ended in an unexpected error."""
    source = Path("caf\udce9.txt") if place == "name" else Path("a.json")
    if place == "name":
        mot.rename(source)
    else:
        assert run_cli("export", mot, "--format", "json", "-o", source).code == 0
        source.write_text(source.read_text().replace('"street"', r'"caf\ud83d"'))
    outcome = run_cli("export", source, "--format", target, "-o", "made/", "--size", "640x480")
    assert outcome.code == 0, outcome.err
    again = [Path(line) for line in outcome.out.splitlines() if not line.endswith(".value")]
    if target in KEEP_GAPS:
        back = again[0].parent if target is ResultFormat.MOTCHALLENGE else again[0]
        assert run_cli("export", back, "--format", "mot", "-o", "back/").code == 0


def test_a_run_becomes_json_with_everything(run_cli, track):
    assert track("--box", "20,16,16,16", "--box", "40,20,12,12", "--no-video").code == 0
    outcome = run_cli("export", "out", "--format", "json", "-o", "boxes.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, "boxes.json\n", "")
    assert json.loads(Path("boxes.json").read_text())["size"] == [96, 64]
    assert run_cli("export", "boxes.json", "--format", "csv", "-o", "again.csv").code == 0
    assert Path("again.csv").read_bytes() == Path("out/boxes.csv").read_bytes()
    assert run_cli("export", "boxes.json", "--format", "mot", "-o", "again.txt").code == 0
    assert Path("again.txt").read_bytes() == Path("out/boxes.txt").read_bytes()


def test_each_loss_is_one_line(run_cli, mot):
    outcome = run_cli("export", mot, "--format", "lasher", "-o", "rows.txt")
    assert outcome.code == 0
    assert outcome.out.split() == ["rows_id1.txt", "rows_id2.txt"]
    assert outcome.error_lines == [
        "left out: lasher does not hold several targets (2 targets); one target per file: each gets its own "
        "file",
        "left out: lasher does not hold scores (3 boxes with a score)",
        "left out: lasher does not hold frames that were not looked at (1 frame); they read like frames "
        "without a box",
    ]
    assert run_cli("export", mot, "--format", "csv", "-o", "a.csv").err == ""


@pytest.mark.parametrize("present", ["", "0", "1"])
def test_without_a_second_stream_nothing_of_it_is_lost(run_cli, present):
    rows = f"0,0.0,,,1,1.0,2.0,3.0,4.0,1.0,init,{present},0.0\n1,0.1,,,1,1.0,2.0,3.0,4.0,1.0,tracked,0,0.0\n"
    outcome = run_cli("export", a_run(Path("street"), rows), "--format", "mot", "-o", "rows.txt")
    assert ("times of the second stream" in outcome.err) is (present == "1")


def test_existing_files_are_refused_and_nothing_is_written(run_cli, mot):
    Path("rows_id2.txt").write_text("mine")
    outcome = run_cli("export", mot, "--format", "lasher", "-o", "rows.txt")
    outcome.refused(5, "rows_id2.txt: this result exists already; give --overwrite")
    assert not Path("rows_id1.txt").exists()
    assert run_cli("export", mot, "--format", "lasher", "-o", "rows.txt", "--overwrite").code == 0
    assert Path("rows_id2.txt").read_text() == "nan,nan,nan,nan\nnan,nan,nan,nan\n1,2,3,4\n"
    assert not list(Path().glob(".*.part"))


def test_labels_and_size_are_added(run_cli, mot):
    outcome = run_cli(
        "export", mot, "--format", "coco", "-o", "a.json", "--label", "car", "--size", "640x480"
    )
    assert outcome.code == 0
    document = json.loads(Path("a.json").read_text())
    assert [category["name"] for category in document["categories"]] == ["car"]
    assert {(image["width"], image["height"]) for image in document["images"]} == {(640, 480)}
    assert [image["frame_id"] for image in document["images"]] == [0, 2]
    assert run_cli("export", mot, "--format", "coco", "-o", "b.json").err.startswith("note: the size")
    outcome = run_cli("export", mot, "--format", "coco", "-o", "c.json", "--size", "big")
    outcome.refused(4, "--size: 'big' is no size")


def test_a_batch_becomes_one_table(run_cli):
    a_run(Path("all/night street"))
    day = a_run(Path("all/day"), "4,0.5,,,2,1.0,2.0,3.0,4.0,0.5,lost,0,9.0\n")
    record = {"record_version": 1, "status": "complete", "inputs": [], "batch": {"item": "ö,day/1"}}
    (day / "run.json").write_text(json.dumps(record))
    Path("all/failed").mkdir()
    outcome = run_cli("export", "all", "--merge", "-o", "all.csv")
    assert outcome.code == 0
    assert outcome.out == "all.csv: 2 items\n"
    assert outcome.err == "left out: folders without results: failed\n"
    with Path("all.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["item", *COLUMNS]
    assert [(row[0], row[1], row[5], row[11]) for row in rows] == [
        ("ö,day/1", "4", "2", "lost"),
        ("night street", "0", "1", "init"),
    ]
    assert run_cli("export", "all.csv", "--format", "csv", "-o", "apart").code == 0
    assert sorted(path.name for path in Path("apart").iterdir()) == ["night street.csv", "ö,day_1.csv"]
    again, first = csv_rows("apart/night street.csv"), csv_rows("all/night street/boxes.csv")
    assert [float(row["x"]) for row in again] == [float(row["x"]) for row in first]


def test_a_broken_item_does_not_stop_the_others(run_cli):
    a_run(Path("all/good"))
    a_run(Path("all/torn"), "0,0.0,,,1,1.0,2.0,\n")
    outcome = run_cli("export", "all", "--merge", "-o", "all.csv")
    assert outcome.code == 6
    assert outcome.out == "all.csv: 1 item\n"
    assert outcome.error_lines == ["left out: all/torn/boxes.csv, row 2: w '' is not a number"]


def test_a_folder_with_results_of_its_own_and_a_batch_is_merged_whole(run_cli):
    a_run(Path("all"))
    a_run(Path("all/day"))
    assert run_cli("export", "all", "--merge", "-o", "all.csv").out == "all.csv: 2 items\n"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("a.csv", 0, ""),
        ("a.JSONL", 0, ""),
        ("a.zip", 4, "--format cvat, trackingnet, got-10k"),
        ("a.xml", 0, ""),
        ("a.txt", 4, "--format mot, vot, lasher, kitti"),
        ("a.json", 4, "--format json, coco, label-studio"),
        ("folder", 4, "--format mot, csv"),
    ],
)
def test_the_suffix_says_the_format_where_it_can(run_cli, mot, name, code, said):
    outcome = run_cli("export", mot, "-o", name)
    assert outcome.code == code
    assert said in outcome.err
    assert Path(name).exists() == (code == 0)


def test_lost_targets_have_no_line_in_mot_files_unless_wanted(run_cli):
    rows = "".join(f"{n},{n / 10},,,1,1.5,2,3,4,0.5,{state},,\n" for n, state in enumerate(("init", "lost")))
    run = a_run(Path("run"), rows)
    outcome = run_cli("export", run, "--format", "mot", "-o", "a.txt")
    assert Path("a.txt").read_text() == "1,1,1.5,2,3,4,0.5,-1,-1,-1\n"
    assert "boxes of lost targets (1 box); scorers would count them as false positives" in outcome.err
    assert "note: the top left pixel is 0,0 (--mot-origin)" in outcome.error_lines
    outcome = run_cli("export", run, "--format", "mot", "-o", "b.txt", "--keep-lost", "--mot-origin", "1")
    assert Path("b.txt").read_text().splitlines()[1] == "2,1,2.5,3,3,4,0.5,-1,-1,-1"
    assert "lost" not in outcome.err
    outcome = run_cli("export", "b.txt", "--format", "mot", "--from-origin", "1", "-o", "c.txt")
    assert Path("c.txt").read_text().splitlines()[1] == "2,1,1.5,2,3,4,0.5,-1,-1,-1"


def test_rows_of_boxes_count_pixels_as_the_person_says(run_cli):
    Path("a.txt").write_text("11,21,30,40\n12,22,30,40\n")
    assert run_cli("export", "a.txt", "--format", "lasher", "--from-origin", "1", "-o", "b.txt").code == 0
    assert Path("b.txt").read_text() == "10,20,30,40\n11,21,30,40\n"
    Path("a.csv").write_text("frame,id,x,y,w,h\n0,1,11,21,30,40\n")
    outcome = run_cli("export", "a.csv", "--format", "lasher", "--from-origin", "1", "-o", "c.txt")
    assert Path("c.txt").read_text() == "11,21,30,40\n"
    assert "a.csv: csv says itself where pixels count from" in outcome.err


def test_coco_has_the_corners_as_segmentation(run_cli, mot):
    assert run_cli("export", mot, "--format", "coco", "-o", "a.json").code == 0
    for one in json.loads(Path("a.json").read_text())["annotations"]:
        x, y, w, h = one["bbox"]
        assert one["segmentation"] == [[x, y, x + w, y, x + w, y + h, x, y + h]]
        assert one["area"] == pytest.approx(w * h)


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-x", "@sum", "'=1", "'plain", "night", "-5"])
def test_names_are_no_formulas_and_come_back(run_cli, name):
    run = a_run(Path("all/a"))
    record = {"record_version": 1, "status": "complete", "inputs": [], "batch": {"item": name}}
    (run / "run.json").write_text(json.dumps(record))
    assert run_cli("export", "all", "--merge", "-o", "all.csv").code == 0
    with Path("all.csv").open(newline="") as file:
        cell = list(csv.reader(file))[1][0]
    assert not cell.startswith(("=", "+", "@", "-x"))
    assert [one.name for one in read_results(Path("all.csv"))] == [name]


def test_items_of_one_name_are_refused(run_cli):
    a_run(Path("one/street"))
    a_run(Path("two/street"))
    run_cli("export", "one", "two", "--merge", "-o", "all.csv").refused(5, "two results are called 'street'")
    assert sorted(path.name for path in Path().iterdir()) == ["one", "two"]


def test_several_recordings_need_a_folder(run_cli):
    a_run(Path("all/a"))
    a_run(Path("all/b"))
    run_cli("export", "all", "--format", "mot", "-o", "boxes.txt").refused(5, "there are 2 recordings")
    assert run_cli("export", "all", "--format", "mot", "-o", "boxes").code == 0
    assert sorted(path.name for path in Path("boxes").iterdir()) == ["a.txt", "b.txt"]
    assert run_cli("export", "all", "--format", "coco", "-o", "boxes.json").out == "boxes.json\n"


def test_the_format_may_be_said(run_cli):
    """Eight columns are a polygon unless somebody knows better."""
    Path("a.txt").write_text("1,1,2,3,4,5,1,9\n")
    assert run_cli("export", "a.txt", "--from", "mot", "--format", "csv", "-o", "a.csv").code == 0
    assert Path("a.csv").read_text().splitlines()[1].split(",")[4:9] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["nowhere.txt", "--format", "mot"], 3, "no such file or folder", id="missing"),
        pytest.param(["street.txt"], 4, "--format", id="no-format"),
        pytest.param(
            ["street.txt", "--merge", "--format", "mot"], 2, "--merge writes csv", id="merge-to-mot"
        ),
        pytest.param(
            ["street.txt", "--merge", "--stream", "aux"], 2, "--merge writes pixels of RGB", id="merge-in-aux"
        ),
        pytest.param(["street.txt", "--format", "yolo", "--stream", "aux"], 2, "RGB grid", id="yolo-in-aux"),
        pytest.param(
            ["street.txt", "--from", "coco", "--format", "mot"], 3, "street.txt: is not JSON", id="wrong-from"
        ),
        pytest.param(["--format", "mot"], 2, "RESULT", id="nothing"),
        *(
            pytest.param(["street.txt", *words], 2, f"{words[-2]} means nothing for", id=" ".join(words))
            for words in (
                ("--format", "mcap", "--keyframe-px", "2"),
                ("--format", "csv", "--keyframe-px", "2"),
                ("--format", "rrd", "--label", "car"),
                ("--format", "dataset", "--size", "64x64"),
                ("--format", "yolo", "--every", "3"),
                ("--format", "json", "--mot-origin", "1"),
                ("--format", "crops", "--from", "mot"),
                ("--merge", "--size", "64x64"),
            )
        ),
    ],
)
def test_wrong_use_is_said(run_cli, mot, words, code, said):
    run_cli("export", *words, "-o", "new.out").refused(code, said)
    assert not Path("new.out").exists()


def test_boxes_in_pixels_of_the_second_stream(run_cli, track):
    """The thermal picture is of another size; how large the two are stands in `run.json`."""
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    record = json.loads(Path("out/run.json").read_text())
    aux, rgb = ({i["role"]: i["video"] for i in record["inputs"]}[role] for role in ("aux", "rgb"))
    assert run_cli("export", "out", "--format", "csv", "-o", "aux.csv", "--stream", "aux").code == 0
    first = csv_rows("aux.csv")[0]
    share = aux["width"] / rgb["width"]
    assert float(first["x"]) == pytest.approx(20 * share)
    assert float(first["w"]) == pytest.approx(16 * share)
    outcome = run_cli("export", "aux.csv", "--format", "json", "-o", "b.json", "--stream", "aux")
    outcome.refused(3, "run.json: does not say how the two streams are aligned")


def test_the_origin_of_what_is_read_counts_everywhere(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video").code == 0

    def first_x(*words: str) -> float:
        source = "out/boxes.txt", "--from", "mot", "--from-origin", "1"
        assert run_cli("export", *source, *words, "-o", "new.csv", "--overwrite").code == 0
        return float(csv_rows("new.csv")[0]["x"])

    assert first_x("--format", "csv") == first_x("--merge") == 19
    assert first_x("--format", "csv", "--stream", "aux") == first_x("--format", "csv", "--stream", "rgb")


def test_a_run_says_what_its_top_left_pixel_is_called(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video", "--mot-origin", "1").code == 0
    assert Path("out/boxes.txt").read_text().startswith("1,1,21,17,16,16,")
    for name in ("boxes.txt", "boxes.csv"):
        assert read_rows(Path("out", name))[0].box.xywh == (20, 16, 16, 16)
    assert track("--box-file", "out/boxes.txt", "--no-video", "-o", "again").code == 0
    assert float(csv_rows("again/boxes.csv")[0]["x"]) == 20


def test_the_record_and_the_recording_of_a_run_are_never_replaced(run_cli, track):
    assert track("--box", "20,16,16,16", "--no-video").code == 0
    inputs = json.loads(Path("out/run.json").read_text())["inputs"]
    kept = [Path("out/run.json"), *(Path(one["video"]["path"]) for one in inputs)]
    assert len(kept) == 3
    before = [path.read_bytes() for path in kept]
    for path in kept:
        for words in (("--format", "json"), ("--merge",)):
            run_cli("export", "out", *words, "-o", path, "--overwrite").refused(5, "input")
    assert [path.read_bytes() for path in kept] == before
