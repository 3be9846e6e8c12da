"""`dmtrack events`, and event files as the second stream of `track`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import event_files as files
import numpy as np
import pytest
from program import new_process

RunCli = Callable[..., Any]
EVENTS = [files.Event(1000 * i, i // 10 % 96, i % 64, i % 3 > 0) for i in range(1200)]


@pytest.fixture
def raw() -> Path:
    return files.write_raw(Path("street.raw"), "EVT3", EVENTS, (96, 64))


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("ffv1", 96, 64)
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]


def test_a_lossless_video_and_a_summary(run_cli, raw):
    outcome = run_cli("events", raw, "--rate", 20)
    assert outcome.code == 0
    text = " ".join(outcome.out.split())
    for words in (
        "Prophesee EVT3, 96x64",
        "events 1200 (67% brighter)",
        "1.199000 s, from 0.000000 s",
        "damaged none",
    ):
        assert words in text
    frames = decoded(Path("dmtrack-results/street/events.mkv"))
    assert [time for time, _ in frames] == pytest.approx([n / 20 for n in range(24)])
    colours = {tuple(pixel) for _, picture in frames for pixel in picture.reshape(-1, 3)}
    assert colours == {(255, 255, 255), (220, 30, 30), (30, 30, 200)}


def test_a_folder_with_times(run_cli, raw):
    assert run_cli("events", raw, "-o", "pictures", "--rate", 10, "--start", "0.5s", "--end", 8).code == 0
    assert sorted(path.name for path in Path("pictures").iterdir()) == [
        "000000.png",
        "000001.png",
        "000002.png",
        "times_us.txt",
    ]
    assert Path("pictures/times_us.txt").read_text().split() == ["500000", "600000", "700000"]
    run_cli("events", raw, "-o", "pictures", "--rate", 10).refused(5, "the folder holds pictures already")
    assert run_cli("events", raw, "-o", "pictures", "--rate", 1, "--overwrite").code == 0
    assert len(list(Path("pictures").glob("*.png"))) == 2


def test_inspect_takes_no_event_file_for_pictures(run_cli, raw):
    """A recording of a camera whose bytes libav reads as a picture was said to be in the container image2."""
    raw.write_bytes(raw.read_bytes() + bytes(200_000))
    said = run_cli("inspect", raw).out
    assert "Prophesee EVT3" in said
    assert "container" not in said


def test_like_a_video_with_an_offset(run_cli, raw, recording):
    options = ("-o", "a.mkv", "--like", recording.rgb, "--offset-ms", 300)
    assert run_cli("events", raw, *options).code == 0
    assert [time for time, _ in decoded(Path("a.mkv"))] == pytest.approx([n / 10 for n in range(3, 12)])


def test_as_often_as_so_many_events_came(run_cli, raw):
    outcome = run_cli("events", raw, "-o", "a.mkv", "--events", 500, "--progress", "json")
    end = json.loads(outcome.out.splitlines()[-1])
    assert (end["event"], end["pictures"], end["events"], end["format"]) == ("end", 3, 1200, "Prophesee EVT3")
    assert [time for time, _ in decoded(Path("a.mkv"))] == pytest.approx([0, 0.5, 1.0])


def test_text_with_its_order_unit_and_size(run_cli):
    Path("a.txt").write_text("".join(f"{e.x} {e.y} {int(e.p)} {e.t // 1000}\n" for e in EVENTS))
    outcome = run_cli(
        "events", "a.txt", "-o", "a.mkv", "--columns", "xypt", "--time-unit", "ms", "--event-size", "96x64"
    )
    assert outcome.code == 0
    assert "1.199000 s" in outcome.out
    assert "taken as" not in outcome.out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["nothing.raw"], 3, "nothing.raw: no such file; check the path"),
        (["street.raw", "-o", "a.avi"], 5, "a.avi: pictures go to a Matroska video or a folder"),
        (["street.raw", "--rate", "0"], 4, "--rate: 0 pictures a second are not a positive number"),
        (["street.raw", "--rate", "5", "--like", "x.mp4"], 4, "--rate and --like exclude each other"),
        (
            ["street.raw", "--offset-ms", "5"],
            4,
            "--offset-ms: shifts events relative to the frames of --like",
        ),
        (["street.raw", "--window-ms", "5", "--events", "5"], 4, "exclude each other"),
        (["street.raw", "--event-size", "big"], 4, "'big' is no size"),
        (["street.raw", "--columns", "txy"], 4, "'txy' is no order of columns"),
        (["street.raw", "--start", "100s"], 4, "no picture lies between start and end"),
        (["diary.doc"], 3, "this is no known event file; known are Prophesee RAW (EVT2"),
    ],
)
def test_bad_input_is_one_line(options, code, message, run_cli, raw):
    Path("diary.doc").write_text("dear diary")
    run_cli("events", *options, "-q").refused(code, message)


def test_damage_is_said_with_its_byte_and_what_came_before_is_kept(run_cli, raw):
    data = bytearray(raw.read_bytes())
    middle = len(data) // 2
    data[middle:] = b"\xdd" * (len(data) - middle)
    raw.write_bytes(data)
    outcome = run_cli("events", raw, "-o", "a.mkv", "--rate", 10, "-q")
    assert outcome.code == 3
    assert f"at byte {middle} begins" in outcome.err or f"at byte {middle - 1} begins" in outcome.err
    assert 5 <= len(decoded(Path("a.mkv"))) <= 7


def test_track_takes_an_event_file(track, recording, raw):
    outcome = track("--box", recording.box, "--no-video", aux=raw)
    assert outcome.code == 0
    assert "second stream: event (an event file (Prophesee EVT3), its first event is taken" in outcome.err
    rows = Path("out/boxes.csv").read_text().splitlines()
    header = rows[0].split(",")
    skews = [row.split(",")[header.index("skew_ms")] for row in rows[1:]]
    assert len(skews) == 12
    assert {float(skew) for skew in skews} == {0.0}
    assert run_events_options(track, recording, raw).code == 0


def run_events_options(track: RunCli, recording: Any, raw: Path) -> Any:
    options = ("--events", 50, "--offset-ms", -100)
    return track("--box", recording.box, "--no-video", "--overwrite", *options, aux=raw)


def test_draws_without_torch(raw):
    code = (
        "import sys\nfrom dmtrack_cli.app import main\n"
        f"try:\n    main(['events', {str(raw)!r}, '-o', 'a.mkv', '-q'])\n"
        "except SystemExit as end:\n    print(end.code or 0, 'torch' in sys.modules)\n"
    )
    done = new_process("-c", code)
    assert done.stdout == "0 False\n"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["evt3", "npz"])
def test_a_large_file_needs_no_more_memory_than_a_small_one(kind, tmp_path):
    """300 MB, read in a process that may only grow by a fifth of that."""
    path = tmp_path / ("big.raw" if kind == "evt3" else "big.npz")
    if kind == "evt3":
        words = files.evt3_words(files.some_events(20_000, (1280, 720), step_us=1, start_us=0), vectors=True)
        lap = np.array(words, dtype="<u2").tobytes()
        with path.open("wb") as file:
            file.write(files.raw_header("EVT3", size=(1280, 720)))
            for high in range(300_000_000 // len(lap)):
                file.write(np.array([0x8000 | high * 3 & 0xFFF, 0x6000], dtype="<u2").tobytes() + lap[4:])
    else:
        count = 24_000_000
        t = np.arange(count, dtype=np.int64)
        np.savez(path, t=t, x=(t % 640).astype("u2"), y=(t % 480).astype("u2"), p=t % 2 == 0)
    assert path.stat().st_size > 290_000_000
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom fractions import Fraction\n"
        "from dmtrack.video.events.event_options import EventOptions\n"
        "from dmtrack.video.events.event_source import EventSource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"path, options = Path({str(path)!r}), EventOptions(size=(1280, 720))\n"
        "source = EventSource(path, options, frame_rate=Fraction(50))\n"
        "frames = sum(1 for _ in source)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(frames, source.reader.totals.events, source.damaged_packets, grown // 1000)\n"
    )
    done = new_process("-c", code, timeout_s=900)
    assert done.returncode == 0, done.stderr
    frames, events, damaged, grown_mb = map(int, done.stdout.split())
    assert frames > 400
    assert events > 20_000_000
    assert damaged == 0
    assert grown_mb < 60


def test_pictures_are_written_in_rgb_order(run_cli, raw):
    assert run_cli("events", raw, "-o", "pictures", "--rate", 1).code == 0
    picture = cv2.imread("pictures/000000.png")
    reds = (picture == (30, 30, 220)).all(axis=2).sum()
    blues = (picture == (200, 30, 30)).all(axis=2).sum()
    assert reds > 0 < blues
