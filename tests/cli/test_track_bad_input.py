"""What bad input gets: one line on standard error, the right exit code, and nothing left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from program import times_of

from dmtrack.boxes.reading import read_rows
from dmtrack.output.record import read_run_json

BOX = "20,16,16,16"


# --- inputs -----------------------------------------------------------------------------------


def _missing() -> Path:
    return Path("nowhere.mp4")


def _empty_folder() -> Path:
    Path("empty").mkdir()
    return Path("empty")


def _text_as_mp4() -> Path:
    Path("text.mp4").write_text("dear diary\n" * 500)
    return Path("text.mp4")


def _empty_file() -> Path:
    Path("empty.mp4").touch()
    return Path("empty.mp4")


def _audio_only() -> Path:
    with av.open("sound.m4a", "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        for number in range(8):
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.rate, sound.pts = 8000, 1024 * number
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return Path("sound.m4a")


BAD_INPUTS = [
    pytest.param(_missing, "no such file", id="missing"),
    pytest.param(_empty_folder, "no pictures", id="folder-without-pictures"),
    pytest.param(_text_as_mp4, "not a video", id="text-renamed-mp4"),
    pytest.param(_empty_file, "empty", id="empty-file"),
    pytest.param(_audio_only, "no video stream", id="audio-only"),
]


@pytest.mark.parametrize("place", ["rgb", "aux"])
@pytest.mark.parametrize(("make", "words"), BAD_INPUTS)
def test_input_that_is_no_video(track, make, words, place):
    path = make()
    track("--box", BOX, **{place: path}).refused(3, path.name, words)
    assert not Path("out").exists()


@pytest.mark.parametrize(("make", "words"), BAD_INPUTS)
def test_inspect_says_the_same(run_cli, make, words):
    path = make()
    run_cli("inspect", path).refused(3, path.name, words)


@pytest.mark.parametrize(
    "words",
    [
        ("track", "{rgb}", "--box-file", "pipe.txt"),
        ("track", "{rgb}", "{aux}", "--align", "pipe.txt"),
        ("track", "{rgb}", "--box", BOX, "--rgb-times", "pipe.txt"),
        ("track", "{rgb}", "--box", BOX, "--intrinsics", "pipe.txt"),
        ("track", "{rgb}", "--detections", "pipe.txt"),
        ("track", "pipe.png", "--box", BOX),
        ("track", "pictures", "--box", BOX),
        ("batch", "pipe.txt"),
        ("export", "pipe.txt", "--format", "csv"),
        ("render", "{rgb}", "--boxes", "pipe.txt"),
        ("align", "{rgb}", "{aux}", "--points", "pipe.txt"),
        ("train", "--config", "pipe.txt", "--stage", "adapters"),
    ],
)
def test_a_pipe_under_the_name_of_a_file_is_not_waited_for(run_cli, recording, words):
    Path("pictures").mkdir()
    for name in ("pipe.txt", "pipe.png", "pictures/1.png", "pictures/2.png"):
        os.mkfifo(name)
    given = [word.format(rgb=recording.rgb, aux=recording.thermal) for word in words]
    outcome = run_cli(*given, "-o", "out.mp4")
    assert outcome.code == 3, outcome.err
    assert "pipe" in outcome.error_lines[-1] or "neither a file nor" in outcome.error_lines[-1]


def test_mp4_cut_short_without_its_index(track, recording):
    whole = recording.rgb.read_bytes()
    Path("cut.mp4").write_bytes(whole[: len(whole) // 2])
    track("--box", BOX, rgb=Path("cut.mp4")).refused(3, "cut.mp4", "cut short")


def test_a_video_that_breaks_off_gives_what_it_has(run_cli, make_video, weights):
    whole = make_video(Path("whole.mkv"), 60).read_bytes()
    Path("cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    outcome = run_cli("track", "cut.mkv", "--box", BOX, "--weights", weights, "-o", "out", "--no-video")
    assert outcome.code == 0
    assert "warning:" in outcome.err
    frames = len(read_rows(Path("out/boxes.csv")))
    assert 10 < frames < 60
    assert read_run_json(Path("out/run.json"))["counts"]["pairing"]["rgb_damaged"] > 0


def test_streams_that_share_no_time(track, make_video):
    late = make_video(Path("thermal.mkv"), grey=True, first_pts=600)
    track("--box", BOX, aux=late).refused(3, "share no time", "--offset-ms")


def test_offset_brings_them_together(track, make_video):
    late = make_video(Path("thermal.mkv"), grey=True, first_pts=600)
    assert track("--box", BOX, "--no-video", "--offset-ms", "-60000", aux=late).code == 0


def test_modality_that_cannot_be_told(track, recording):
    shutil.copy(recording.rgb, "second.mp4")
    track("--box", BOX, aux=Path("second.mp4")).refused(4, "second.mp4", "--modality")


# --- boxes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "words"),
    [
        pytest.param(["500,400,20,20"], "outside the 96x64 frame", id="outside"),
        pytest.param(["-50,0,20,20"], "outside the 96x64 frame", id="left-of-the-frame"),
        pytest.param(["20,16,0,16"], "no area", id="zero-width"),
        pytest.param(["20,16,16,-3"], "no area", id="negative-height"),
        pytest.param(["1,2,3"], "four numbers, got 3", id="three-numbers"),
        pytest.param(["1", "2", "3", "4", "5"], "four numbers, got 5", id="five-words"),
        pytest.param(["one two three four"], "not four numbers", id="four-words"),
        pytest.param(["10,20,nan,40"], "not finite", id="not-finite"),
    ],
)
def test_bad_box(track, box, words):
    track("--box", *box).refused(3, words)
    assert not Path("out").exists()


def test_no_box_anywhere(run_cli, make_video, weights):
    video = make_video(Path("alone.mp4"))
    outcome = run_cli("track", video, "--weights", weights)
    outcome.refused(3, "--box x,y,w,h", "--box-file", "draw")


def test_nobody_draws(track):
    outcome = track("--box", "--pick-timeout", "0.1")
    assert outcome.code == 3
    assert "nobody drew a box within 0.1 s" in outcome.error_lines[-1]
    for way in ("--pick-timeout", "--box x,y,w,h", "--box-file"):
        assert way in outcome.error_lines[-1]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        pytest.param(["--weights", "nowhere"], 4, id="weights"),
        pytest.param(["--device", "cuda:7"], 4, id="device"),
    ],
)
def test_nobody_draws_in_vain(track, options, code):
    """What else is wrong is said before the person is asked to draw."""
    outcome = track("--box", *options)
    outcome.refused(code)


def test_nobody_draws_for_results_that_are_refused(track):
    assert track("--box", BOX, "--no-video").code == 0
    track("--box", "--no-video").refused(5, "--overwrite")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read", id="missing"),
        pytest.param("a,b,c,d\n", "neither numbers nor a header that names", id="words"),
        pytest.param("", "no box", id="empty"),
        pytest.param("nan,nan,nan,nan\n", "absent", id="absent"),
        pytest.param("1,2,3\n", "3 values", id="three"),
        pytest.param("1,1,20,16,16,16,1\n2,x,20,16,16,16,1\n", "row 2", id="mot-with-a-bad-row"),
        pytest.param("1,-2,20,16,16,16,1,-1,-1,-1\n", "target id '-2'", id="mot-with-a-negative-id"),
        pytest.param("3,1,900,16,16,16,1\n", "outside the 96x64 frame", id="mot-outside"),
        pytest.param(
            "13,1,20,16,16,16,1\n",
            "the recording, which has 12 frames: target 1 in frame 12",
            id="mot-behind-the-end",
        ),
    ],
)
def test_bad_box_file(track, content, words):
    if content is not None:
        Path("gt.txt").write_text(content)
    track("--box-file", "gt.txt").refused(3, "gt.txt", words)


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        pytest.param(["--device", "cuda:7"], 4, "cuda:7", id="missing-device"),
        pytest.param(["--device", "toaster"], 4, "toaster", id="unknown-device"),
        pytest.param(["--weights", "base"], 4, "dmtrack weights add", id="base-not-added"),
        pytest.param(["--weights", "nowhere.safetensors"], 4, "no such weights", id="missing-weights"),
        pytest.param(["--start", "soon"], 4, "soon", id="start-is-no-place"),
        pytest.param(["--start", "12"], 4, "between start and end", id="start-behind-the-end"),
        pytest.param(["--start", "5", "--end", "5"], 4, "between start and end", id="nothing-between"),
        pytest.param(["--max-skew-ms", "-1"], 4, "negative", id="negative-skew"),
        pytest.param(["--folder-rate", "0"], 4, "--folder-rate", id="no-rate"),
    ],
)
def test_bad_option(track, options, code, words):
    track("--box", BOX, *options).refused(code, words)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["track"], id="no-input"),
        pytest.param(["track", "a", "b", "c"], id="too-many-inputs"),
        pytest.param(["track", "a", "--modality", "smell"], id="unknown-modality"),
        pytest.param(["track", "a", "--no-such-option"], id="unknown-option"),
        pytest.param(["trakc", "a"], id="unknown-command"),
    ],
)
def test_wrong_usage(run_cli, words):
    outcome = run_cli(*words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


# --- outputs ----------------------------------------------------------------------------------


def test_existing_results_are_refused_and_left_alone(track):
    assert track("--box", BOX).code == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    track("--box", "30,20,10,10").refused(5, "exists already", "--overwrite")
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


def test_a_file_in_place_of_the_folder(track):
    Path("out").write_text("mine")
    track("--box", BOX).refused(5, "a file stands where a folder is needed")
    assert Path("out").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ("track", "{rgb}", "--box", BOX),
        ("review", "{rgb}", "--no-open"),
        ("render", "{rgb}", "--boxes", "boxes.csv", "-o", "{out}/a.mp4"),
        ("export", "boxes.csv", "--format", "csv"),
        ("export", "boxes.csv", "--merge", "-o", "{out}.csv"),
        ("export", "done", "--format", "crops"),
        ("export", "done", "--format", "yolo"),
        ("batch", "recordings", "--dry-run"),
        ("inspect", "{rgb}", "--sheet", "{out}.png"),
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
@pytest.mark.parametrize("out", ["loop", "n" * 300], ids=["loop-of-links", "long-name"])
def test_an_output_that_cannot_be(track, run_cli, recording, words, out):
    """A loop of links, or a name that no file can have: one line, and the code of an output."""
    for name, other in (("loop", "pool"), ("pool", "loop")):
        Path(name).symlink_to(other)
        for suffix in (".csv", ".png"):
            Path(name + suffix).symlink_to(other + suffix)
    Path("boxes.csv").write_text("frame,id,x,y,w,h\n0,1,20,16,16,16\n")
    shutil.copytree(recording.rgb.parent, "recordings/walk")
    if "done" in words:
        assert track("--box", BOX, "--no-video", "--end", "2").code == 0
        Path("out").rename("done")
    given = [word.format(rgb=recording.rgb, out=out) for word in words]
    outcome = run_cli(*given, *([] if "-o" in words or "--sheet" in words else ["-o", out]))
    if "--dry-run" in words and outcome.code == 0:
        return  # it writes nothing, and where nothing can be there are no results
    assert outcome.code == 5, outcome.err
    assert outcome.error_lines[-1].startswith("error: ")
    assert out in outcome.error_lines[-1]


def test_a_folder_that_cannot_be_made(run_cli, recording, weights):
    outcome = run_cli("track", recording.rgb, "--weights", weights, "-o", "/proc/dmtrack", "--box", BOX)
    outcome.refused(5, "/proc/dmtrack")


def test_full_disk_keeps_what_was_tracked(run_cli, make_video, weights, limit_file_size):
    """The largest file size stands in for the size of the disk; the video is what meets it."""
    video = make_video(Path("long.mp4"), 150)
    limit_file_size(100_000)
    outcome = run_cli("track", video, "--box", BOX, "--weights", weights, "-o", "out", "-q")
    outcome.refused(5, "annotated.mp4")
    record = read_run_json(Path("out/run.json"))
    assert record["status"] == "failed"
    assert "annotated.mp4" in record["reason"]
    assert len(read_rows(Path("out/boxes.csv"))) == 150
    assert 0 < len(times_of("out/annotated.mp4")) < 150
    assert not list(Path("out").glob(".*"))
