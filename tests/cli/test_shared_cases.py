"""Every case of `../shared/cases` comes out right: its generator runs here, and `expect.txt` says what is.

What goes beyond each of them stands in the tests of the module that was mended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from dmtrack.boxes.reading import read_rows
from dmtrack.video.frame import Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.stream_files import open_source

SHARED = Path(__file__).parents[2].parent / "shared"
FFMPEG = shutil.which("ffmpeg")
BOX = "10,40,20,30"
DMTRACK = (sys.executable, "-m", "dmtrack_cli")
MOVED = {"network.published": "network.weights.published", "network.checkpoint": "network.weights.checkpoint"}
"""Modules that a generator imports, and where they are now."""

pytestmark = [
    pytest.mark.data,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="the cases (../shared/cases) are not here"),
]


def _tiff(path: str, pages: np.ndarray) -> None:
    """Write what `tifffile.imwrite` writes of `(H, W)` or `(N, H, W)`."""
    stack = pages[None] if pages.ndim == 2 else pages
    n, h, w = stack.shape
    sample = {"u": 1, "i": 2, "f": 3}[stack.dtype.kind]
    data, size, ifds, at = stack.tobytes(), stack[0].nbytes, b"", 8 + stack.nbytes
    for i in range(n):
        values = (256, w), (257, h), (258, 8 * stack.itemsize), (259, 1), (262, 1), (273, 8 + i * size)
        tags = (*values, (277, 1), (278, h), (279, size), (339, sample))
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        after = at + len(ifds) + 2 + len(entries) + 4
        ifds += struct.pack("<H", len(tags)) + entries + struct.pack("<I", after if i + 1 < n else 0)
    Path(path).write_bytes(b"II*\0" + struct.pack("<I", at) + data + ifds)


class Made:
    """The files of a case, in the working folder, and the program on them."""

    def __init__(self, name: str, run: Callable[..., Any], recording: Any, weights: Path) -> None:
        self.name, self.run, self.recording, self.weights = name, run, recording, weights

    def seeds(self) -> None:
        """Write what one generator begins with: an alignment and a result."""
        Path("seeds").mkdir()
        Path("p.json").write_text("[[0,0,0,0],[90,0,90,0],[90,60,90,60],[0,60,0,60]]")
        pair = self.recording.rgb, self.recording.thermal
        self.works("align", *pair, "--points", "p.json", "-o", "seeds/align/align.json")
        Path("b.csv").write_text("frame,id,x,y,w,h,score\n0,1,1,2,3,4,0.5\n")
        self.works("export", "b.csv", "--format", "json", "-o", "seeds/res_json/x.json")

    def generate(self) -> None:
        """Run what makes the files, with the Python that runs this."""
        if self.name == "json_big_int":
            self.seeds()
        folder = SHARED / "cases" / self.name
        made_by = [folder / name for name in ("gen.py", "make.sh") if (folder / name).exists()]
        if FFMPEG is None and any("ffmpeg" in path.read_text() for path in made_by):
            pytest.skip("needs ffmpeg, which `.ci/run` installs")
        if (folder / "gen.py").exists():
            text = (folder / "gen.py").read_text()
            for old, new in MOVED.items():
                text = text.replace(f"dmtrack.{old} ", f"dmtrack.{new} ")
            exec(compile(text, folder / "gen.py", "exec"), {"__name__": "gen"})  # noqa: S102
        if (folder / "make.sh").exists():
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            script = ["sh", str(folder / "make.sh")]
            subprocess.run(script, env={**os.environ, "PATH": path}, check=True, timeout=60)

    def fails(self, *words: Any, within_s: float = 5) -> str:
        """Run a command that must be refused in one line; return the line."""
        begin = time.process_time()
        done = self.run(*words)
        assert time.process_time() - begin < within_s
        assert done.code in (3, 4), done.err
        lines = [line for line in done.err.splitlines() if line.startswith("error")]
        assert len(lines) == 1, done.err
        assert "Traceback" not in done.err
        assert "panicked" not in done.err
        assert len(lines[0]) <= 1000
        assert lines[0].isprintable()
        return lines[0]

    def works(self, *words: Any) -> str:
        """Run a command that must succeed; return all it prints."""
        done = self.run(*words)
        assert done.code == 0, done.err
        return str(done.out + done.err)

    def track(self, *inputs: Any, box: str | None = BOX, out: str = "o") -> tuple[Any, str]:
        """Track; return the rows and all that was printed."""
        boxes = [] if box is None else ["--box", box]
        said = self.works("track", *inputs, *boxes, "--weights", self.weights, "-o", out)
        return read_rows(Path(out) / "boxes.csv"), " ".join(said.split())


def frames(*paths: Path | str) -> list[Any]:
    with open_source(*map(Path, paths)) as source:
        return list(source)


def grey_of(path: str) -> list[int]:
    return [int(frame.pixels[5, 5].reshape(-1)[0]) for frame in frames(path)]


def _pixels(frame: Any) -> bytes:
    return bytes(np.ascontiguousarray(frame.pixels))


def _found(values: Any, key: str) -> Any:
    """Return the first value of a key, however deep."""
    if isinstance(values, dict):
        if key in values:
            return values[key]
        values = list(values.values())
    for value in values if isinstance(values, list) else []:
        if (found := _found(value, key)) is not None:
            return found
    return None


def edit_list(made: Made) -> None:
    found = frames("rgb.mp4")
    assert len(found) == 32
    assert [round(float(frame.time_s) * 30) for frame in found[:31]] == list(range(31))
    assert "rate-ratio" not in made.track("rgb.mp4", "aux.mkv")[1]


def blank_palette_png(made: Made) -> None:
    found = frames("event")
    assert [frame.pixels.shape[:2] for frame in found] == [(720, 1280)] * 4


def gray_first(made: Made) -> None:
    for name in ("rgb", "night"):
        with open_source(Path(name)) as source:
            assert len(list(source)) == 20
            assert source.damaged_packets == 0


def mixed_grey_colour(made: Made) -> None:
    for inputs in (("rgb", "event"), ("rgbmix",)):
        rows, _ = made.track(*inputs, out=inputs[-1] + "_o")
        assert [row.frame_index for row in rows] == list(range(8))
        table = Path(inputs[-1] + "_o", "boxes.csv").read_text().splitlines()
        if len(inputs) == 2:
            column = table[0].split(",").index("aux_present")
            assert [line.split(",")[column] for line in table[1:]] == ["1"] * 8


def latin1_metadata(made: Made) -> None:
    for kind in ("mp4", "avi"):
        said = [made.works("inspect", f"{name}.{kind}", "--json") for name in ("t", "latin1")]
        counts = [[line for line in one.splitlines() if "frame" in line] for one in said]
        assert counts[0] == counts[1]
        assert len(frames(f"latin1.{kind}")) == 25


def bag_depth(made: Made) -> None:
    for name in ("mm.bag", "cd32.bag", "ros2", "ros2/ros2.mcap"):
        with open_pair(Path(name), Path(name)) as source:
            pairs = list(source)
        assert len(pairs) == 8
        counts = pairs[0].aux.pixels.reshape(120, 160)
        unit = float(source.aux_info.depth_unit_mm or 1)
        assert abs(counts[10, 100] * unit - 2000) <= 1
        assert abs(counts[50, 15] * unit - 1200) <= 1
        assert counts[50, 2] == 0
    assert len(made.track("mm.bag", "--aux-stream", "depth")[0]) == 8


def event_csv_header(made: Made) -> None:
    for name in "abc":
        made.works("events", f"{name}.csv", "--columns", "txyp", "-o", f"{name}.mkv")
        found = frames(f"{name}.csv")
        assert 0.16 <= float(found[-1].time_s - found[0].time_s) <= 0.2
    assert len({b"".join(map(_pixels, frames(f"{name}.mkv"))) for name in "abc"}) == 1


def npy_columns_stacked(made: Made) -> None:
    first = list(map(_pixels, frames("c.npy")))
    for name in ("f.npy", "table.npz", "nimagenet.npz"):
        assert list(map(_pixels, frames(name))) == first, name


def thermal_border(made: Made) -> None:
    for name in ("plain", "border"):
        with open_pair(Path("rgb"), Path(name), modality=Modality.THERMAL) as source:
            image = next(iter(source)).image
        assert image[20, 80, 3] < 20
        assert image[50, 45, 3] == 255


def tiff_kinds(made: Made) -> None:
    assert len(frames("stack")) == 8
    assert len(frames("stack/rec.tiff")) == 8
    assert len(frames("stack.tiff")) == 30
    for name, modality in (("stack", "thermal"), ("f32", "depth"), ("i16", "thermal")):
        with open_pair(Path("rgb"), Path(name), modality=Modality(modality)) as source:
            assert sum(pair.aux is not None for pair in source) == 8
    assert int(frames("f32")[0].pixels[5, 5].reshape(-1)[0]) == 7000
    shapes = [frames(name)[0].pixels.shape[:2] for name in ("or8", "or16", "orjpg", "celsius")]
    assert shapes == [(120, 160)] * 4


def time_header_blank(made: Made) -> None:
    for name, second in (("blank.txt", 0.0333), ("label.csv", 0.0333), ("dec.csv", 0.0333667)):
        said = json.loads(made.run("inspect", "rgb.mp4", "--rgb-times", name, "--json").out)
        assert abs(float(Fraction(str(_found(said, "frame_rate")))) - 30) < 0.1, name
        made.track("rgb.mp4", "--rgb-times", name, out=name + "_o")
        rows = read_rows(Path(name + "_o/boxes.csv"))
        assert abs(float(rows[1].time_s) - second) < 1e-5, name
    for name in ("two.csv", "clock.txt", "iso.txt"):
        done = made.run("inspect", "rgb.mp4", "--rgb-times", name, "--json")
        if done.code == 0:
            assert abs(float(Fraction(str(_found(json.loads(done.out), "frame_rate")))) - 30) < 0.1, name
        else:
            assert done.code == 3
            assert re.search(r"time_s.*exposure_time" if name == "two.csv" else "clock", done.err), done.err


def missing_numbers(made: Made) -> None:
    with open_pair(Path("p/color"), Path("p/d16"), modality=Modality.DEPTH) as source:
        counts = [None if pair.aux is None else int(pair.aux.pixels[0, 0].reshape(-1)[0]) for pair in source]
    numbers = [number for number in range(20) if number != 5]
    assert counts == [None if number == 12 else 1000 + number for number in numbers]


def names_decimal(made: Made) -> None:
    assert grey_of("rgb") == [8 * number for number in range(30)]
    for names in (["a.jpg", "a (1).jpg"], ["frame.png", "frame1.png"], ["1.2.png", "1.9.png", "1.10.png"]):
        folder = Path(names[0] + "_in")
        folder.mkdir()
        for number, name in enumerate(names):
            cv2.imwrite(str(folder / name), np.full((32, 32, 3), 40 * number, np.uint8))
        assert [round(grey / 40) for grey in grey_of(str(folder))] == list(range(len(names)))


def depth_sparse(made: Made) -> None:
    for said in (made.works("inspect", "rgb", "depth"), made.track("rgb", "depth")[1]):
        assert "percentile" in said
        assert re.search("one colour|single colour", " ".join(said.split()))


def ts_late_start(made: Made) -> None:
    rows, _ = made.track("late.ts", "--end", 20, box="100,80,60,60")
    assert len(rows) == 20
    with av.open("o/annotated.mp4") as container:
        assert container.duration < 1e6
    _, said = made.track("rgb.mp4", "aux.ts", box="100,80,60,60", out="o2")
    assert "1.4" in said


def sar_hdr_avi(made: Made) -> None:
    times = [float(frame.time_s) for frame in frames("bf.avi")]
    steps = np.diff(times)
    assert len(times) == 60
    assert np.abs(steps - 1 / 30).max() < 1e-3
    made.track("sar.mp4", box="100,80,60,60")
    with av.open("o/annotated.mp4") as container:
        stream = container.streams.video[0]
        ratio = stream.sample_aspect_ratio or 1
        assert Fraction(stream.width, stream.height) * ratio == Fraction(16, 9)
    assert "4:3" in made.works("inspect", "sar.mp4")
    assert "HDR" in made.track("pq.mp4", box="100,80,60,60", out="o2")[1]


def events_encoder_refuses(made: Made) -> None:
    done = made.run("events", "good.txt", "-o", "f.mkv")
    assert "the folder is gone" not in done.err
    assert (done.code == 0 and len(frames("f.mkv")) > 0) or "encoded" in done.err
    made.works("events", "good.txt", "--columns", "txyp", "-o", "g.mkv")


def event_text_word(made: Made) -> None:
    assert "is no event" in made.fails("events", "e.txt", "-o", "f.mkv")
    assert len(frames("f.mkv")) >= 25, "events before it are kept"


def weights_prefix(made: Made) -> None:
    stored = []
    for file in ("ok.pth.tar", "ddp.pth.tar", "model.pth"):
        name = file.partition(".")[0]
        made.works("weights", "add", file, "--name", name)
        (path,) = Path("data_folder").rglob(f"{name}.safetensors")
        stored.append(load_file(path))
    for tensors in stored[1:]:
        assert tensors.keys() == stored[0].keys()
        assert all(np.array_equal(tensors[key], value) for key, value in stored[0].items())


def decimal_comma(made: Made) -> None:
    assert "100.0" in made.works("evaluate", "res", "--dataset", "gt", "-o", "o")


def offset_exponent(made: Made) -> None:
    done = made.run("batch", "m.csv", "-o", "out", "--dry-run")
    assert done.code == 6
    assert "row 2 (a): offset_ms" in done.err + done.out
    pair = made.recording.rgb, made.recording.thermal
    assert made.run("track", *pair, "--rate-ratio", "1e99999999").code in (2, 3, 4)


def mathtext_name(made: Made) -> None:
    made.works("evaluate", "res", "--dataset", "data", "-o", "out")
    assert "a$\\x{$" in Path("out/report.html").read_text()


REFUSED: dict[str, dict[str, str]] = {
    "aedat4_abort": {"inspect panic.aedat4": "header|packet"},
    "event_pixel_bomb": {"events bomb.csv -o f.mkv": "65535"},
    "events_own_box": {"track rec.txt --end 3 -o o": "where is the target"},
    "hdf5_loop": {"inspect {case}/loop.h5": "no events are found|damaged"},
    "json_big_int": {
        "track {rgb} {thermal} --box 20,16,16,16 --align align.json -o o": "align.json: .* is too large",
        "export r.json --format mot -o o.txt": "r.json: .*score: .* is too large",
    },
    "npy_header": {
        f"{command} {name}": "damaged|is no list of events"
        for command in ("inspect", "events -o f.mkv")
        for name in ("paren.npy", "void.npy", "big.npy", "offset.npz")
    },
    "pickle_quadratic": {"weights add q.pth --modality thermal": "q.pth: "},
    "terminal_escape": {"weights add e.pth": "e.pth: names", "weights add long.pth": "long.pth: "},
    "zip_bad_deflate": {"evaluate r.zip --dataset data -o out": "cannot be unpacked"},
}
"""Commands that end at once in one line, and what it says."""
_WEIGHTS = "../unit/test_checkpoint_file.py::test_"
_DESTROYED = "test_nothing_destroyed.py::test_"
ELSEWHERE: dict[str, str] = {
    "rename_symlink_part": f"{_DESTROYED}what_lies_under_a_temporary_name_is_not_followed",
    "render_over_input": f"{_DESTROYED}an_output_that_is_an_input_is_refused",
    "safetensors_config": f"{_WEIGHTS}any_value_of_a_header_is_refused_or_tracked_with",
    "stderr_pipe_gone": f"{_DESTROYED}a_reader_of_standard_error_that_goes_ends_no_run",
    "train_disk_full": f"{_DESTROYED}a_full_disk_while_training_is_one_line_and_leaves_nothing_half",
    "two_runs_overwrite": f"{_DESTROYED}a_second_run_in_the_same_folder_is_refused_at_once",
}
"""Cases without files of their own, and the tests that are the case."""
CASES: dict[str, Callable[[Made], None]] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__annotations__", {}).get("made") == "Made" and name[0] != "_"
}


@pytest.mark.parametrize("name", [*CASES, *REFUSED])
def test_a_case_comes_out_right(run_cli, recording, weights, name, tmp_path, monkeypatch):
    here = tmp_path / "cases" / name
    here.mkdir(parents=True)
    (tmp_path / "data").symlink_to(SHARED / "data")
    monkeypatch.setenv("DMTRACK_DATA_DIR", str(here / "data_folder"))
    monkeypatch.setitem(sys.modules, "tifffile", SimpleNamespace(imwrite=_tiff))
    monkeypatch.chdir(here)
    made = Made(name, run_cli, recording, weights)
    made.generate()
    if name in CASES:
        CASES[name](made)
    for command, words in REFUSED.get(name, {}).items():
        said = command.format(case=SHARED / "cases" / name, rgb=recording.rgb, thermal=recording.thermal)
        assert re.search(words, made.fails(*said.split())), command


def test_every_case_has_a_test():
    for place in ELSEWHERE.values():
        file, _, test = place.partition("::")
        assert f"def {test}(" in (Path(__file__).parent / file).read_text()
    cases = [path.parent.name for path in (SHARED / "cases").glob("*/expect.txt")]
    assert sorted(cases) == sorted([*CASES, *REFUSED, *ELSEWHERE])
