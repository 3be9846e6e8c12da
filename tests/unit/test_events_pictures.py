"""Windows of events, their pictures, and event files read like videos."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
import pytest
from clips import pictures_in
from event_files import Event

from dmtrack.alignment.align import find_time_offset
from dmtrack.errors import ConfigError, DecodeError, FormatError, PairingError
from dmtrack.geometry.box import Box
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_source import NEGATIVE_RGB, POSITIVE_RGB, EventSource, visevent_picture
from dmtrack.video.events.schedule import (
    OPEN_END,
    FrameClock,
    Window,
    WindowCutter,
    at_rate,
    by_count,
    frame_windows,
    like_frames,
)
from dmtrack.video.frame import Frame, Modality, VideoInfo
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack.video.second.gauge import AuxMeasure, AuxUnit
from dmtrack.video.streams import PairingOptions
from dmtrack.video.time_file import TimestampUnit


def batch(*events: tuple[int, int, int, bool]) -> EventBatch:
    return EventBatch(**files.columns([Event(*event) for event in events]))


def at(*times: int) -> EventBatch:
    return batch(*((t, index % 8, 0, True) for index, t in enumerate(times)))


class TestPicture:
    def test_visevent_colours_and_that_negative_events_win(self):
        events = batch((0, 0, 0, True), (1, 1, 1, False), (2, 1, 1, True), (3, 2, 0, False))
        picture = visevent_picture(events, (4, 3))
        assert (picture.shape, picture.dtype) == ((3, 4, 3), np.uint8)
        assert tuple(picture[0, 0]) == POSITIVE_RGB == (220, 30, 30)
        assert tuple(picture[1, 1]) == NEGATIVE_RGB == (30, 30, 200), "also when the positive one came later"
        assert (picture == 255).all(axis=2).sum() == 9

    @pytest.mark.parametrize(("x", "y"), [(4, 0), (0, 3)])
    def test_events_outside_are_refused(self, x, y):
        with pytest.raises(FormatError, match=rf"event at \({x}, {y}\) lies outside the 4x3 sensor"):
            visevent_picture(batch((0, 0, 0, True), (1, x, y, True)), (4, 3))

    def test_no_events_make_a_blank_picture(self):
        assert (visevent_picture(EventBatch.empty(), (4, 3)) == 255).all()


class TestWindows:
    WINDOWS = (Window(10, 20), Window(20, 30), Window(30, 40))

    def test_events_of_a_pause_take_no_memory(self):
        size, count = 20_000, 200

        def batches() -> Iterator[EventBatch]:
            for number in range(count):
                t, place = np.arange(number * size, (number + 1) * size), np.zeros(size, np.uint16)
                yield EventBatch(t, place, place, place > 0)

        cutter = WindowCutter(batches(), EventOptions())
        tracemalloc.start()
        try:
            assert len(cutter.cut(Window(0, 30))) == 30
            assert cutter.cut(Window(size * count - 9, size * count)).t[0] == size * count - 9
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()

    def times(self, parts: list[EventBatch], choice: EventOptions) -> list[list[int]]:
        cutter = WindowCutter(parts, choice)
        return [cutter.cut(window).t.tolist() for window in self.WINDOWS]

    @pytest.mark.parametrize("pieces", [1, 2, 3, 8])
    def test_from_each_frame_to_the_next(self, pieces):
        stamps = [5, 10, 19, 20, 29, 30, 39, 40]
        parts = [at(*part) for part in np.array_split(stamps, pieces)]
        assert self.times(parts, EventOptions()) == [[10, 19], [20, 29], [30, 39]]
        assert self.times(parts, EventOptions(window_us=11)) == [[10, 19, 20], [20, 29, 30], [30, 39, 40]]
        assert self.times(parts, EventOptions(count=3)) == [[5, 10, 19], [19, 20, 29], [29, 30, 39]]

    def test_windows_that_are_not_wanted_are_passed_over(self):
        cutter = WindowCutter([at(5, 10, 19), at(20, 29, 35)], EventOptions())
        cutter.advance(self.WINDOWS[0])
        assert cutter.cut(self.WINDOWS[2]).t.tolist() == [35]

    def test_memory_is_that_of_the_window(self):
        parts = (at(*range(begin, begin + 100)) for begin in range(0, 100_000, 100))
        for choice in (EventOptions(), EventOptions(window_us=500), EventOptions(count=300)):
            cutter = WindowCutter(parts, choice)
            for start in range(0, 20_000, 250):
                cutter.cut(Window(start, start + 250))
                assert sum(map(len, cutter._kept)) <= 900

    def test_every_n_events(self):
        parts = [at(*range(5)), at(*range(5, 6)), at(*range(6, 13))]
        assert [events.t.tolist() for events in by_count(parts, 4)] == [
            [0, 1, 2, 3],
            [4, 5, 6, 7],
            [8, 9, 10, 11],
            [12],
        ]

    @pytest.mark.parametrize("wrong", [{"window_us": 0}, {"count": 0}, {"window_us": 5, "count": 5}])
    def test_choices_that_make_no_picture(self, wrong):
        with pytest.raises(ConfigError):
            EventOptions(**wrong)


def frames(stamps: list[int], **pairing: Fraction) -> FrameClock:
    """Return the clock of a video of 30 frames a second whose stamps count frames."""
    info = VideoInfo(
        path=Path("rgb.mkv"),
        width=20,
        height=10,
        frame_rate=Fraction(30),
        time_base=Fraction(1, 30),
        start_pts=stamps[0],
        frame_count=len(stamps),
        pixel_format="yuv420p",
        codec="h264",
        bit_depth=8,
        channels=3,
    )
    return FrameClock(info, stamps, **pairing)


class TestSchedules:
    def test_fixed_rate_is_exact_in_the_long_run(self):
        windows = at_rate(7, Fraction(30)).windows
        many = [next(windows) for _ in range(3001)]
        assert many[3000].start_us == 7 + 100_000_000
        assert [window.end_us for window in many[:-1]] == [window.start_us for window in many[1:]]
        assert many[3].pts == 3

    def test_like_frames_begins_with_the_first_event(self):
        like = like_frames(1_000_000, frames([90, 120, 180]))
        windows = list(like.windows)
        assert [window.pts * like.time_base for window in windows] == [3, 4, 6]
        assert [(window.start_us, window.end_us) for window in windows] == [
            (1_000_000, 2_000_000),
            (2_000_000, 4_000_000),
            (4_000_000, 4_033_334),
        ]

    @pytest.mark.parametrize("pause", [9, 1800])
    def test_what_happens_in_a_pause_is_on_no_picture(self, pause):
        """A minute of events was drawn on the frame before, which they covered."""
        stamps = [stamp + (pause if stamp > 4 else 0) for stamp in range(10)]
        windows = list(like_frames(0, frames(stamps)).windows)
        assert [windows[place].end_us for place in (3, 4, 9)] == [
            windows[4].start_us,
            math.ceil((4 + 4) / 30 * 1_000_000),
            math.ceil((stamps[9] + 1) / 30 * 1_000_000),
        ]

    def test_an_offset_makes_the_events_later(self):
        like = like_frames(1_000_000, frames([0, 30], offset_s=Fraction(1, 4)))
        first = next(like.windows)
        assert first.start_us == 750_000
        assert first.pts * like.time_base == Fraction(-1, 4)
        assert like.start_pts == 0

    def test_a_clock_that_drifts(self):
        ratio = Fraction(1001, 1000)
        like = like_frames(0, frames([30, 3033], rate_ratio=ratio))
        windows = list(like.windows)
        assert windows[1].start_us == 100_000_000
        start_s = like.start_pts * like.time_base
        assert start_s + (windows[1].pts * like.time_base - start_s) * ratio == Fraction(3033, 30)

    def test_a_shared_clock(self):
        like = like_frames(1_234_567, frames([30, 60]), is_shared_clock=True)
        window = next(like.windows)
        assert (window.start_us, window.end_us) == (1_000_000, 2_000_000)

    @pytest.mark.parametrize("start_s", [1_764_540_000, 49_599, 100], ids=["unix", "the day's", "since boot"])
    @pytest.mark.parametrize("early_s", [Fraction(7, 10), Fraction(-7, 10), 0], ids=["early", "late", "same"])
    def test_times_far_from_zero_and_near_each_other_are_of_one_clock(self, start_s, early_s):
        stamps = [30 * start_s, 30 * start_s + 30, 30 * start_s + 60]
        first_us = int((start_s - early_s) * 1_000_000)
        windows = list(like_frames(first_us, frames(stamps)).windows)
        assert [window.start_us for window in windows] == [(start_s + n) * 1_000_000 for n in range(3)]

    @pytest.mark.parametrize(
        ("start_s", "first_s"),
        [(0, 1_764_540_000), (1_764_540_000, 7_200), (1, 2), (0, 0), (1_764_540_000, 1_764_532_800)],
        ids=["video from 0", "events since boot", "both begin early", "both from 0", "another time zone"],
    )
    def test_other_times_are_of_two_clocks(self, start_s, first_s):
        like = like_frames(first_s * 1_000_000, frames([30 * start_s, 30 * start_s + 30]))
        assert next(like.windows).start_us == first_s * 1_000_000

    def test_times_told_by_a_file(self):
        windows = frame_windows(np.array([10, 20, 40]))
        assert windows == [Window(10, 20), Window(20, 40), Window(40, 55)]
        assert frame_windows(np.array([10])) == [Window(10, OPEN_END)]
        assert frame_windows(np.array([10, 20, 30, 40, 999, 1009]))[3] == Window(40, 80), "the video pauses"

    @pytest.mark.parametrize("times", [[], [3, 3], [5, 4]])
    def test_times_that_are_none(self, times):
        with pytest.raises(FormatError):
            frame_windows(np.array(times, dtype=np.int64))


@pytest.fixture
def recording(tmp_path) -> Path:
    """One event a millisecond for 2 s: column and row are the tens and units of the frame of 1/10 s."""
    events = [Event(5_000_000 + 1000 * i, i // 100, i // 10 % 10, i % 2 == 0) for i in range(2000)]
    return files.write_raw(tmp_path / "event.raw", "EVT3", events, (20, 10))


def columns_with_events(pixels: np.ndarray) -> list[int]:
    return np.flatnonzero((pixels != 255).any(axis=(0, 2))).tolist()


class TestSource:
    def test_a_picture_for_each_tenth_of_a_second(self, recording):
        with EventSource(recording, frame_rate=Fraction(10)) as source:
            assert (source.info.width, source.info.height, source.info.codec) == (20, 10, "Prophesee EVT3")
            frames = list(source)
        assert [columns_with_events(frame.pixels) for frame in frames] == [[n] for n in range(20)]
        assert [frame.time_s for frame in frames] == [Fraction(n, 10) for n in range(20)]
        assert source.reader.totals.events == 2000

    def test_start_and_end(self, recording):
        with EventSource(recording, frame_rate=Fraction(10)) as source:
            frames = list(source.read(Position(time_s=Fraction(1)), Position(index=13)))
        assert [frame.index for frame in frames] == [10, 11, 12]
        assert columns_with_events(frames[0].pixels) == [10]

    def test_reads_once(self, recording):
        with EventSource(recording) as source:
            list(source)
            with pytest.raises(RuntimeError, match="was read already"):
                source.read()

    def test_by_number_of_events_alone(self, recording):
        options = EventOptions(count=150)
        with EventSource(recording, options, frame_rate=None) as source:
            frames = list(source)
        assert len(frames) == 14
        assert [frame.time_s for frame in frames[:3]] == [0, Fraction(150, 1000), Fraction(300, 1000)]
        assert columns_with_events(frames[1].pixels) == [1, 2]

    def test_pauses_are_blank_and_the_end_is_the_last_event(self, tmp_path):
        events = [Event(0, 1, 1, True), Event(500_000, 2, 1, True)]
        path = files.write_raw(tmp_path / "a.raw", "EVT2", events, (20, 10))
        with EventSource(path, frame_rate=Fraction(10)) as source:
            frames = list(source)
        assert [columns_with_events(frame.pixels) for frame in frames] == [[1], [], [], [], [], [2]]

    @pytest.mark.parametrize("options", [EventOptions(), EventOptions(count=2), EventOptions(window_us=50)])
    @pytest.mark.parametrize("start", [None, Position(time_s=Fraction(10**9))])
    @pytest.mark.parametrize("late_us", [4_000_000_000, 1 << 60])
    def test_no_pictures_are_drawn_of_hours_in_which_nothing_happens(self, options, start, late_us, tmp_path):
        """Two events and a damaged time filled the disk."""
        path = tmp_path / "a.csv"
        path.write_text(f"t,x,y,p\n0,9,9,1\n{late_us},0,0,0\n")
        with EventSource(path, replace(options, unit=TimestampUnit.US)) as source:
            frames: list[Frame] = []
            with pytest.raises(DecodeError, match=r"no event comes for \d+ s after picture 0; cut the file"):
                frames.extend(source.read(start))
        assert len(frames) == (0 if start else 1) or options.count

    def test_no_event_at_all(self, tmp_path):
        path = files.write_raw(tmp_path / "a.raw", "EVT2", [], (20, 10))
        with pytest.raises(DecodeError, match="it holds no event"):
            EventSource(path)

    @pytest.mark.parametrize(
        ("corner", "size"),
        [((638, 470), (640, 480)), ((29, 31), (30, 32)), ((500, 470), (501, 471))]
        + [((318, 238), (320, 240)), ((478, 355), (480, 360)), ((1278, 795), (1280, 800))],
    )
    def test_a_size_that_no_header_states(self, corner, size, tmp_path):
        path = tmp_path / "a.csv"
        path.write_text(f"t,x,y,p\n0,0,0,1\n10,{corner[0]},{corner[1]},0\n")
        with EventSource(path) as source:
            assert (source.info.width, source.info.height) == size
            assert f"The size of the sensor is taken as {size[0]}x{size[1]} (--event-size)." in source.notes

    @pytest.mark.parametrize(
        ("options", "rate"),
        [(EventOptions(), Fraction(10)), (EventOptions(count=100), None)],
        ids=["by-time", "by-number"],
    )
    def test_damage_ends_the_pictures_not_those_before(self, options, rate, recording):
        data = bytearray(recording.read_bytes())
        middle = len(data) // 4 * 2
        data[middle:] = b"\xdd" * (len(data) - middle)
        recording.write_bytes(data)
        frames: list[Frame] = []
        with EventSource(recording, options, frame_rate=rate) as source:
            with pytest.raises(DecodeError, match=f"at byte ({middle}|{middle - 1}) begins"):
                frames.extend(source)  # keeps what came before the error
            kept = source.reader.totals.events
        assert 800 < kept < 1100
        assert len(frames) == -(-kept // 100)
        assert columns_with_events(frames[-1].pixels) == [len(frames) - 1], "the last one is not whole"


PICTURES = [np.full((10, 20, 3), 90, np.uint8) for _ in range(20)]


@pytest.fixture
def archived(tmp_path) -> Callable[..., tuple[Path, Path]]:
    """Three pictures of 20 x 10 pixels, and an archive with a thousandth second of events and their times."""
    folder = pictures_in(tmp_path / "rgb", PICTURES[:3])

    def written(**changes: object) -> tuple[Path, Path]:
        events = files.columns([Event(t, t // 100, 1, True) for t in range(0, 1000, 2)])
        arrays = {"frame_t": [200, 400, 500], **events, **changes}
        kept: dict[str, Any] = {key: np.asarray(value) for key, value in arrays.items() if value is not None}
        np.savez(tmp_path / "events.npz", **kept)
        return folder, tmp_path / "events.npz"

    return written


class TestBesideAVideo:
    @pytest.mark.parametrize(
        ("corner", "size"),
        [((16, 6), (20, 10)), ((11, 9), (20, 10)), ((8, 9), (9, 10)), ((20, 9), (21, 10))],
    )
    def test_events_that_fill_most_of_it_have_its_size(self, corner, size, tmp_path, make_video):
        path = tmp_path / "a.csv"
        path.write_text(f"t,x,y,p\n0,0,0,1\n10,{corner[0]},{corner[1]},0\n")
        with open_pair(make_video("rgb.mkv", PICTURES[:2], rate=10), path) as pairs:
            (pair, *_) = pairs
        assert (pair.aux.width, pair.aux.height) == size

    def test_each_frame_has_the_events_of_its_own_time(self, recording, make_video):
        stamps = [0, 1, 3, 4, 8, 9, 10, 11, 12, 13]
        rgb = make_video("rgb.mkv", PICTURES[:10], rate=10, pts=stamps, options={"bf": "2"})
        with open_pair(rgb, recording) as pairs:
            assert pairs.modality is Modality.EVENT
            assert "its first event is taken to be at the first frame" in str(pairs.modality_reason)
            got = [(pair.skew_s, columns_with_events(pair.image[..., 3:])) for pair in pairs]
        assert {skew for skew, _ in got} == {0}
        assert [columns for _, columns in got] == [
            [0],
            [1, 2],
            [3],
            [4, 5, 6, 7],
            *[[n] for n in range(8, 14)],
        ]
        assert pairs.counts.aux_missing == 0

    @pytest.mark.parametrize(("offset_ms", "first", "missing"), [(500, 5, 5), (-500, 0, 0)])
    def test_offset(self, offset_ms, first, missing, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES[:10], rate=10)
        with open_pair(rgb, recording, pairing=PairingOptions(offset_s=Fraction(offset_ms, 1000))) as pairs:
            got = [pair for pair in pairs if pair.aux is not None]
        assert [pair.rgb.index for pair in got] == list(range(first, 10))
        assert {pair.skew_s for pair in got} == {0}
        assert columns_with_events(got[0].image[..., 3:]) == [0 if offset_ms > 0 else 5]
        assert pairs.counts.aux_missing == missing

    def test_start_in_the_middle(self, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        with open_pair(rgb, recording, start=Position(index=12)) as pairs:
            first = next(iter(pairs))
        assert (first.rgb.index, columns_with_events(first.image[..., 3:])) == (12, [12])

    def test_window_and_number_of_events(self, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        for choice, columns in (
            (EventOptions(window_us=250_000), [3, 4, 5]),
            (EventOptions(count=150), [2, 3]),
        ):
            with open_pair(rgb, recording, pairing=PairingOptions(events=choice)) as pairs:
                fourth = [pair for pair, _ in zip(pairs, range(4), strict=False)][3]
            assert columns_with_events(fourth.image[..., 3:]) == columns

    @pytest.mark.parametrize(
        ("options", "events", "upper", "length_us"),
        [
            (EventOptions(), 100, 50, 100_000),
            (EventOptions(window_us=250_000), 250, 130, 250_000),
            (EventOptions(count=150), 150, 70, 149_000),
        ],
    )
    def test_events_a_second_in_a_box(self, options, events, upper, length_us, recording, make_video):
        """The fourth picture begins at 0.28 s: rows get ten events each in every tenth of a second."""
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        with open_pair(
            rgb, recording, pairing=PairingOptions(events=options, offset_s=Fraction(1, 50))
        ) as pairs:
            pair = [pair for pair, _ in zip(pairs, range(4), strict=False)][3]
        height, width = pair.rgb.pixels.shape[:2]
        for rows, count in ((height, events), (height / 2, upper)):
            measure = pair.measure(Box(0, 0, width, rows))
            assert measure == AuxMeasure(count * 1e6 / length_us, None, None, AuxUnit.EVENTS)
        assert pair.measure(Box(0, 0, width / 20, height)) == AuxMeasure(0.0, None, None, AuxUnit.EVENTS)
        assert pair.measure(Box(width + 5, 0, 9, 9)) is None

    def test_a_folder_of_pictures(self, recording, tmp_path):
        folder = pictures_in(tmp_path / "rgb", PICTURES[:5])
        with open_pair(folder, recording, pairing=PairingOptions(folder_rate=Fraction(10))) as pairs:
            got = [columns_with_events(pair.image[..., 3:]) for pair in pairs]
        assert got == [[0], [1], [2], [3], [4]]

    def test_an_archive_that_knows_its_frames(self, archived):
        with open_pair(*archived()) as pairs:
            got = [columns_with_events(pair.image[..., 3:]) for pair in pairs]
        assert "it holds the times of the frames" in str(pairs.modality_reason)
        assert [columns[0] for columns in got] == [2, 4, 5], "the pixels are those of the pictures"

    def test_an_event_outside_the_pictures_is_left_out(self, archived, caplog):
        with open_pair(*archived(x=np.array([1] * 50 + [20] + [2] * 449))) as pairs:
            assert [pair.image.shape for pair in pairs] == [(10, 20, 6)] * 3
        assert "event at (20, 1) outside the 20x10 sensor" in caplog.text

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"p": None}, FormatError, "the array p is missing .*; t, x, y and p are needed"),
            ({"frame_t": [0, 0, 0]}, FormatError, "times of the frames run backwards"),
            ({"x": [1, 2]}, FormatError, "have 500, 2, 500, 500 entries"),
            ({"frame_t": [0, 10]}, PairingError, "the times of 2 frames, rgb has 3 files"),
            ({"t": np.array([{}] * 500, dtype=object)}, FormatError, "is no list of events"),
        ],
    )
    def test_archives_that_are_none(self, changes, error, message, archived):
        with pytest.raises(error, match=message):
            open_pair(*archived(**changes))

    def test_a_shared_clock_without_shared_time(self, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        with pytest.raises(PairingError, match="its events come after the last frame"):
            open_pair(rgb, recording, pairing=PairingOptions(events=EventOptions(is_shared_clock=True)))

    @pytest.mark.parametrize("start", [None, Position(index=2)])
    def test_events_that_end_before_the_video(self, recording, make_video, start):
        """Moved there, or on a clock of their own: said at once, whatever is wanted of the video."""
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        early = PairingOptions(offset_s=Fraction(-20))
        with (
            open_pair(rgb, recording, start=start, pairing=early) as pairs,
            pytest.raises(PairingError, match="its events come before the first frame"),
        ):
            next(iter(pairs))

    @pytest.mark.parametrize(("rate", "early_s"), [(25, 0.7), (25, 0.0), (10, 0.25)])
    def test_the_offset_of_events_is_found_to_less_than_half_a_frame(
        self, make_video, tmp_path, rate, early_s
    ):
        """Each picture of events shows what follows the frame, and motion between frames lies before one."""
        knots = np.arange(-1, 9, 0.2)
        places = 60 + np.cumsum(np.random.default_rng(4).normal(0, 6, len(knots)))

        def place(moment_s: float) -> int:
            return int(np.clip(np.interp(moment_s, knots, places), 5, 100))

        pictures = np.full((6 * rate, 96, 128, 3), 90, np.uint8)
        for number, picture in enumerate(pictures):
            left = place(number / rate)
            picture[30:60, left : left + 16] = 220
        moments_s = np.arange(-early_s, 6, 0.001)
        lefts = [place(moment) for moment in moments_s]
        changed = [n for n in range(1, len(lefts)) if lefts[n] != lefts[n - 1]]
        events = [Event(0, 120, 90, True)] + [
            Event(round((moments_s[n] + early_s) * 1e6), lefts[n] + side, row, bool(side))
            for n in changed
            for row in range(30, 60, 3)
            for side in (0, 16)
        ]
        event_file = files.write_raw(tmp_path / "event.raw", "EVT3", events, (128, 96))
        found = find_time_offset(make_video("rgb.mkv", pictures, rate=rate), event_file)
        assert found.offset_s == pytest.approx(-early_s, abs=0.4 / rate)

    def test_another_modality_is_refused(self, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        with pytest.raises(ConfigError, match="an event file does not measure thermal"):
            open_pair(rgb, recording, modality=Modality.THERMAL)

    def test_inspect(self, recording, make_video):
        rgb = make_video("rgb.mkv", PICTURES, rate=10)
        report = inspect_pair(rgb, recording)
        assert report.modality is Modality.EVENT
        assert report.match is not None
        assert (report.match.skew.missing, report.match.skew.largest_s) == (0, 0)
