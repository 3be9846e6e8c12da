"""`dmtrack render`: boxes of files on the frames of a recording, without the network."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from program import new_process, times_of

from dmtrack import RenderRequest, render_to_file
from dmtrack.drawing.draw import PALETTE

SCALE = 6  # frames of 96x64 are enlarged by this factor
LEFT, TOP, SIDE = 20, 16, 16


def pictures(path: Path | str) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def has_colour(picture: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    """Whether the colour is near a point of the frame."""
    column, row = round(x * SCALE), round(y * SCALE)
    patch = picture[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5].astype(int)
    return bool((np.abs(patch - colour).max(axis=2) < 60).any())


def test_ground_truth_beside_is_drawn(run_cli, recording):
    outcome = run_cli("render", recording.rgb, "-o", "a.mp4", "-q")
    assert outcome.code == 0
    assert outcome.err == ""
    drawn = pictures("a.mp4")
    assert len(drawn) == 12
    for number in (0, 7):  # the box moves by one pixel a frame
        left = LEFT + number
        assert has_colour(drawn[number], left, TOP + SIDE / 2, PALETTE[0])
        assert has_colour(drawn[number], left + SIDE, TOP + SIDE / 2, PALETTE[0])
        assert not has_colour(drawn[number], left + SIDE / 2, TOP + SIDE / 2, PALETTE[0])


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(1, 2)])
@pytest.mark.parametrize("with_thermal", [False, True])
def test_pixels_keep_their_shape(run_cli, recording, make_video, aspect, with_thermal):
    """`track` kept it, `render` dropped it in silence."""
    with av.open(str(recording.rgb)) as source, av.open("wide.mp4", "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.sample_aspect_ratio = aspect
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    streams = ("wide.mp4", recording.thermal) if with_thermal else ("wide.mp4",)
    outcome = run_cli("render", *streams, "--boxes", recording.truth, "-o", "a.mp4", "--layout", "rgb")
    assert outcome.code == 0, outcome.err
    with av.open("a.mp4") as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect
    if with_thermal:
        shown = f"{round(96 * aspect)}x64 and 96x64"
        assert f"The shapes differ ({shown}): the second picture is stretched" in " ".join(
            outcome.err.split()
        )


def test_a_folder_is_the_recording_that_track_takes_it_for(run_cli, recording, track):
    assert track("--box", recording.box, "--no-video").code == 0
    run_cli("render", "out", "--boxes", "out", "-o", "a.mp4").refused(3, "draw them with render --boxes")
    Path("walk").mkdir()
    for name, video in (("visible.mp4", recording.rgb), ("tir.mp4", recording.thermal)):
        Path("walk", name).write_bytes(video.read_bytes())
    both = (recording.rgb, recording.thermal)
    for words, name in ((both, "a.mp4"), (("walk",), "b.mp4")):
        assert run_cli("render", *words, "--boxes", "out", "-o", name, "-q").code == 0
    assert np.array_equal(pictures("a.mp4")[-1], pictures("b.mp4")[-1])


def test_python_draws_the_same_video(run_cli, recording):
    assert run_cli("render", recording.rgb, "--boxes", recording.truth, "-o", "a.mp4", "-q").code == 0
    video = render_to_file(RenderRequest(recording.rgb, boxes=(recording.truth,), output=Path("b.mp4")))
    assert np.array_equal(pictures("a.mp4"), pictures(str(video)))


def test_each_file_has_its_colour_and_a_legend(run_cli, recording):
    Path("mine.txt").write_text("1,1,60,30,20,20,0.5,-1,-1,-1\n3,1,60,30,20,20,0.5,-1,-1,-1\n")
    words = ("--boxes", recording.truth, "--boxes", "mine.txt", "-o", "a.mp4", "-q")
    assert run_cli("render", recording.rgb, *words).code == 0
    first, second, third, *_ = pictures("a.mp4")
    for picture in (first, third):
        assert has_colour(picture, 60, 40, PALETTE[1])
    assert not has_colour(second, 60, 40, PALETTE[1])  # no box there, so none is drawn
    assert has_colour(second, LEFT + 1, TOP + SIDE / 2, PALETTE[0])
    height, width = first.shape[:2]
    corner = second[height - 60 :, width - 150 :].astype(int)
    for colour in PALETTE[:2]:
        assert (np.abs(corner - colour).max(axis=2) < 40).mean() > 0.05


def test_a_results_folder_and_its_formats_look_the_same(run_cli, recording, track):
    assert track("--box", recording.box, "--no-video").code == 0
    assert run_cli("export", "out", "--format", "coco", "-o", "out.json").code == 0
    both = (recording.rgb, recording.thermal)
    assert run_cli("render", *both, "--boxes", "out", "-o", "a.mp4", "-q").code == 0
    assert run_cli("render", *both, "--boxes", "out.json", "-o", "b.mp4", "-q").code == 0
    for a, b in zip(pictures("a.mp4"), pictures("b.mp4"), strict=True):
        assert np.array_equal(a, b)
    assert pictures("a.mp4")[0].shape[1] == 2 * 96 * SCALE


@pytest.mark.parametrize(("height", "asked"), [(64 * SCALE, ()), (240, ("--video-height", "240"))])
@pytest.mark.parametrize(("layout", "panels"), [("side", 2), ("overlay", 1), ("rgb", 1), ("aux", 1)])
def test_layouts_and_heights(run_cli, recording, layout, panels, height, asked):
    words = ("--layout", layout, "--end", "2", "-o", "a.mp4", "-q", *asked)
    assert run_cli("render", recording.rgb, recording.thermal, *words).code == 0
    assert pictures("a.mp4")[0].shape[:2] == (height, 96 * height // 64 * panels)


def test_a_trail_is_where_the_target_was_and_ends(run_cli, recording):
    """The box moves 5 px a frame; it leaves a line of its colour, as long as asked for."""
    rows = [f"{k + 1},1,{5 * k},47,6,6,0.9,-1,-1,-1" for k in range(12)]
    Path("path.txt").write_text("\n".join(rows))
    words = ("--boxes", "path.txt", "--layout", "rgb", "-q")
    assert run_cli("render", recording.rgb, *words, "--trail", "4", "-o", "a.mp4").code == 0
    assert run_cli("render", recording.rgb, *words, "-o", "b.mp4").code == 0
    with_trail, without = pictures("a.mp4")[9], pictures("b.mp4")[9]
    for frame in (5, 6, 7):  # its middle in the frames before; that of frame 8 is covered by the box
        assert has_colour(with_trail, 5 * frame + 3, 50, PALETTE[0])
        assert not has_colour(without, 5 * frame + 3, 50, PALETTE[0])
    assert not has_colour(with_trail, 5 * 4 + 3, 50, PALETTE[0]), "older than four frames"
    assert run_cli("render", recording.rgb, *words, "--trail", "4", "--start", "9", "-o", "c.mp4").code == 0
    (first, *_) = pictures("c.mp4")
    assert has_colour(first, 5 * 6 + 3, 50, PALETTE[0]), "before the first frame that is drawn"
    assert not has_colour(first, 5 * 4 + 3, 50, PALETTE[0])
    assert not has_colour(with_trail, 5 * 6 + 3, 53, PALETTE[0]), "a line, no blot"


def test_a_trail_is_broken_where_the_target_was_lost(run_cli, recording):
    rows = [f"{k},1,{8 * k},47,6,6,0.9,{'lost' if 2 <= k <= 4 else 'tracked'}" for k in range(9)]
    Path("lost.csv").write_text("frame,id,x,y,w,h,score,state\n" + "\n".join(rows))
    words = ("--boxes", "lost.csv", "--layout", "rgb", "--trail", "50", "-q", "-o", "a.mp4")
    assert run_cli("render", recording.rgb, *words).code == 0
    last = pictures("a.mp4")[8]
    assert [has_colour(last, x, 50, PALETTE[0]) for x in (7, 20, 30, 40, 47, 55)] == [1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(("frames", "is_joined"), [((0, 3, 6), True), ((0, 1, 2, 6, 7), False)])
def test_a_trail_joins_the_boxes_of_sparse_truth_alone(run_cli, recording, frames, is_joined):
    """Between boxes of every third frame nothing is known; where rows of every frame end, it is gone."""
    Path("some.csv").write_text("frame,id,x,y,w,h\n" + "\n".join(f"{k},1,{8 * k},47,6,6" for k in frames))
    words = ("--boxes", "some.csv", "--layout", "rgb", "--trail", "50", "-q", "-o", "a.mp4", "--end", "9")
    assert run_cli("render", recording.rgb, *words).code == 0
    assert has_colour(pictures("a.mp4")[7], 37, 50, PALETTE[0]) is is_joined, "half way from frame 3 to 6"


def animation(path: str) -> tuple[list[np.ndarray], list[int]]:
    """The pictures of an animation and how many ms each is shown, as Pillow reads them."""
    with Image.open(path) as file:
        assert file.info["loop"] == 0, "for ever"
        shown = []
        for one in ImageSequence.Iterator(file):
            pixels = np.array(one.convert("RGB"))
            shown.append((pixels, round(one.info["duration"])))
    return [pixels for pixels, _ in shown], [ms for _, ms in shown]


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_of_a_part(run_cli, recording, suffix):
    words = ("--start", "4", "--end", "9", "--layout", "rgb", "-q")
    assert run_cli("render", recording.rgb, *words, "-o", "a.mp4", "--video-height", "360").code == 0
    assert run_cli("render", recording.rgb, *words, "-o", f"a.{suffix}").code == 0
    found, lengths_ms = animation(f"a.{suffix}")
    assert lengths_ms == [100] * 5
    assert found[0].shape == (360, 540, 3), "not as high as the video would be"
    for one, other in zip(found, pictures("a.mp4"), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6
    assert not np.array_equal(found[0], found[4])


def test_an_animation_has_at_most_thirty_pictures_a_second(run_cli, recording):
    with av.open(str(recording.rgb)) as source, av.open("fast.mkv", "w") as fast:
        stream = fast.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.dts is not None:
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = 10 * number  # a hundred a second
                packet.stream = stream
                fast.mux(packet)
    words = ("--boxes", recording.truth, "-q", "-o", "a.gif", "--video-height", "64")
    assert run_cli("render", "fast.mkv", *words).code == 0
    assert animation("a.gif")[1] == [30] * 4


def test_an_animation_ends_where_it_is_too_long(run_cli, recording, monkeypatch):
    monkeypatch.setattr("dmtrack.drawing.animation.MOST_PICTURES", 5)
    outcome = run_cli("render", recording.rgb, "-o", "a.gif", "-q")
    assert outcome.code == 5
    assert outcome.error_lines[-1].startswith("error: a.gif: holds 5 pictures, and no more")
    assert len(animation("a.gif")[0]) == 5, "what was drawn stays"


def test_an_encoder_that_is_not_there_is_said(run_cli, recording, monkeypatch):
    monkeypatch.setattr("dmtrack.drawing.animation._FORMATS", {".webp": ("nowhere", "yuv420p", {})})
    outcome = run_cli("render", recording.rgb, "-o", "a.webp", "-q")
    assert outcome.code == 5
    assert outcome.error_lines[-1].startswith("error: a.webp: this PyAV cannot encode it")
    assert not list(Path().glob("*.webp*")) + list(Path().glob(".*"))


def test_a_part_keeps_frame_numbers_and_begins_at_once(run_cli, recording):
    words = ("--start", "4", "--end", "0.9s", "-o", "a.mp4", "-q")
    assert run_cli("render", recording.rgb, *words).code == 0
    assert times_of("a.mp4") == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert has_colour(pictures("a.mp4")[0], LEFT + 4, TOP + SIDE / 2, PALETTE[0])


def test_progress_names_no_score(run_cli, recording):
    outcome = run_cli("render", recording.rgb)
    assert outcome.code == 0
    assert "frame 12/12" in outcome.err
    assert "score" not in outcome.err
    assert outcome.out.startswith(f"dmtrack-results/{recording.rgb.parent.name}/rendered.mp4  (12 frames, ")


def test_progress_for_programs_is_json_alone(run_cli, recording):
    outcome = run_cli("render", recording.rgb, "--progress", "json", "-o", "a.mp4")
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert [event["event"] for event in events][-2:] == ["progress", "end"]
    assert events[-2]["frames"] == 12
    assert events[-1] == {"event": "end", "file": "a.mp4", "frames": 12, "boxes": {"groundtruth.txt": 12}}


def test_boxes_that_do_not_fit_the_recording_are_said(run_cli, recording):
    Path("late.txt").write_text("101,1,60,30,20,20,0.5,-1,-1,-1\n")
    Path("long.txt").write_text("10,1,6,3,20,20,1,-1,-1,-1\n15,1,6,3,20,20,1,-1,-1,-1\n")
    words = ("--boxes", "late.txt", "--boxes", "long.txt", "-o", "a.mp4", "-q")
    outcome = run_cli("render", recording.rgb, *words)
    assert outcome.code == 0
    assert outcome.error_lines == [
        "warning: late.txt: none of its boxes (frames 100 to 100) is in the frames that were drawn",
        "warning: long.txt: 1 of its frames lie after the last frame, 11",
    ]


@pytest.mark.parametrize(
    ("size", "x"),
    [((192, 128), 10), ((64, 96), 5000), ((96, 64), 10), ((96, 64), 96), (None, 10), (None, 96)],
)
def test_boxes_of_pictures_of_another_size_are_said(run_cli, recording, size, x):
    known = {} if size is None else {"width": size[0], "height": size[1]}
    images = [{"id": 1, "frame_id": 3} | known]
    annotations = [{"id": 1, "image_id": 1, "track_id": 1, "category_id": 1, "bbox": [x, 3, 20, 20]}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "car"}]}
    Path("coco.json").write_text(json.dumps(content))
    outcome = run_cli("render", recording.rgb, "--boxes", "coco.json", "-o", "a.mp4", "-q")
    if size in (None, (96, 64)):
        said = ["warning: coco.json: 1 of 1 boxes lie outside the 96x64 picture"] if x >= 96 else []
    else:
        said = ["warning: coco.json: its boxes are of pictures of {}x{}, not 96x64".format(*size)]
    assert outcome.error_lines == said


def test_an_interrupt_keeps_what_was_drawn(run_cli, recording, monkeypatch):
    from dmtrack.drawing import draw, render

    drawn = []

    def compose(*arguments: Any) -> Any:
        drawn.append(1)
        if len(drawn) == 5:
            os.kill(os.getpid(), 2)
        return original(*arguments)

    original = draw.compose
    monkeypatch.setattr(render, "compose", compose)
    outcome = run_cli("render", recording.rgb, "-o", "a.mp4", "-q")
    assert outcome.code == 130
    assert "the first 5 frames are in a.mp4" in outcome.err
    assert len(pictures("a.mp4")) == 5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["-o", "a.avi"], 5, "a.avi: the video is an MP4, GIF or WebP file", id="not-mp4"),
        pytest.param(["-o", "there.mp4"], 5, "exists already", id="exists"),
        pytest.param(["-o", "there.gif"], 5, "exists already", id="gif-exists"),
        pytest.param(["--boxes", "nowhere.txt"], 3, "nowhere.txt: no such file", id="no-boxes"),
        pytest.param(["--boxes", "bad.txt"], 3, "bad.txt, row 2", id="bad-row"),
        pytest.param(["--boxes", "two.csv"], 3, "holds 2 recordings, none called 'night_street", id="two"),
        pytest.param(["--boxes", "batch"], 3, "results of 2 recordings", id="batch"),
        pytest.param(["--start", "50"], 4, "no frame lies between", id="start"),
        pytest.param(["--trail", "9999"], 2, "above 5000", id="trail"),
        pytest.param(["--video-height", "9"], 2, "below 64", id="height"),
    ],
)
def test_wrong_use_is_said(run_cli, recording, words, code, said):
    Path("there.mp4").write_text("mine")
    Path("there.gif").write_text("mine")
    Path("bad.txt").write_text("1,1,2,3,4,5,1\n1,1,2\n")
    Path("two.csv").write_text("item,frame,id,x,y,w,h\na,0,1,1,1,1,1\nb,0,1,1,1,1,1\n")
    for name in ("a", "b"):
        Path("batch", name).mkdir(parents=True)
        Path("batch", name, "boxes.txt").write_text("1,1,1,1,1,1\n")
    run_cli("render", recording.rgb, "-q", *words).refused(code, said)
    assert Path("there.mp4").read_text() == Path("there.gif").read_text() == "mine"
    assert not list(Path().rglob("*.part"))


def test_no_boxes_at_all(run_cli, make_video):
    run_cli("render", make_video(Path("alone.mp4"))).refused(3, "give --boxes FILE")


def test_neither_render_nor_export_needs_torch(recording):
    code = (
        "import sys\n"
        "from dmtrack_cli.app import main\n"
        "for words in (['render', sys.argv[1], '-q', '-o', 'a.mp4'],\n"
        "              ['export', sys.argv[2], '--format', 'coco', '-o', 'a.json']):\n"
        "    try:\n"
        "        main(words)\n"
        "    except SystemExit as leaving:\n"
        "        assert not leaving.code, leaving.code\n"
        "print('torch' in sys.modules)\n"
    )
    done = new_process("-c", code, recording.rgb, recording.truth)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"
