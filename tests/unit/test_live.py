"""Live streams: what is fresh is handed out, what is old is dropped and counted, two clocks become one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import sound_in_the_middle, wait_until

from dmtrack.errors import ConfigError, DecodeError, VideoError
from dmtrack.video.frame import Modality, VideoInfo
from dmtrack.video.live.address import hide_password, is_live, parse_address
from dmtrack.video.live.capture import TIME_BASE, Capture, Captured, NetworkCapture
from dmtrack.video.live.live_reader import ArrivalClock, Companion, LiveReader
from dmtrack.video.live.pairs import LiveOptions, open_live_pair
from dmtrack.video.position import Position

CAMERA = parse_address("0")


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "alone", "camera", "scheme"),
        [
            ("rtsp://cam.local:554//stream/1", True, None, "rtsp"),
            ("UDP://@:5000", True, None, "udp"),
            ("tcp://127.0.0.1:5000?listen=1", True, None, "tcp"),
            ("0", False, 0, None),
            ("/dev/video2", True, "/dev/video2", None),
        ],
    )
    def test_known(self, text, alone, camera, scheme):
        address = parse_address(text)
        assert (address.camera, address.scheme, address.url) == (camera, scheme, text)
        assert is_live(text) is alone, "a bare number may be the name of a folder"

    @pytest.mark.parametrize("text", ["walk.mp4", "file:///etc/passwd", "concat:a|b", "rtsp://", "-1", ""])
    def test_unknown(self, text):
        assert not is_live(text)
        with pytest.raises(VideoError, match=r"no live stream; give rtsp://…, .*0 or /dev/video0"):
            parse_address(text)

    def test_listening_is_for_us_alone(self):
        address = parse_address("rtsp://127.0.0.1:8554/a?listen")
        assert (address.listens, address.url) == (True, "rtsp://127.0.0.1:8554/a")
        assert not parse_address("rtsp://127.0.0.1/listener").listens

    def test_passwords_are_not_shown(self):
        address = parse_address("rtsp://admin:s3cret@10.0.0.2/h264")
        assert address.shown == "rtsp://***@10.0.0.2/h264"
        assert "s3cret" not in str(address.path)
        assert hide_password("--box=1,2,3,4") == "--box=1,2,3,4"


class TestClock:
    def test_jitter_is_taken_out(self):
        clock, rng = ArrivalClock(), np.random.default_rng(3)
        late = 0.02 + 0.08 * rng.random(200)
        late[5] = 0.02
        times = [clock.time_s(100 + n / 25 + late[n], 7_000 + n / 25) for n in range(200)]
        errors = np.array(times[5:]) - (100 + np.arange(5, 200) / 25)
        assert np.ptp(errors) < 0.01, "even stamps stay even"
        assert abs(errors - 0.02).max() < 0.01, "and lie where the least late frame says"

    def test_a_sender_that_begins_anew_is_followed(self):
        clock = ArrivalClock()
        assert clock.time_s(50.0, 10.0) == 50.0
        assert clock.time_s(60.0, 0.0) == 60.0
        assert clock.time_s(61.0, 90_000.0) == 61.0

    def test_without_stamps_the_arrival_counts(self):
        assert ArrivalClock().time_s(5.5, None) == 5.5


class FakeCapture(Capture):
    """Gives pictures when it is told to, with the age it is told."""

    damaged = 0

    def __init__(self, *, then: Exception | None = None) -> None:
        self._ready = threading.Semaphore(0)
        self._ages: list[float] = []
        self._given = 0
        self._then = then
        self._over = threading.Event()

    def give(self, *ages_s: float) -> None:
        """Let pictures come that arrived so long ago."""
        for age_s in ages_s:
            self._ages.append(age_s)
            self._ready.release()
        wait_until(lambda: self._given == len(self._ages))

    def end(self) -> None:
        self._over.set()
        self._ready.release()

    def pictures(self) -> Iterator[Captured]:
        number = 0
        while True:
            self._ready.acquire()
            if self._over.is_set():
                break
            pixels = np.full((4, 6, 3), number, np.uint8)
            yield Captured(time.monotonic() - self._ages[number], None, pixels)
            number += 1
            self._given = number
        if self._then is not None:
            raise self._then

    def describe(self, first: Captured, start_pts: int) -> VideoInfo:
        return VideoInfo(Path("x"), 6, 4, Fraction(25), TIME_BASE, start_pts, None, "rgb24", "fake", 8, 3)

    def pixels(self, captured: Captured) -> Any:
        return captured.picture


def reader(capture: FakeCapture, **options: Any) -> LiveReader:
    return LiveReader(CAMERA, epoch_s=time.monotonic() - 100, capture=capture, **options)


class TestReader:
    def test_old_frames_are_dropped_and_counted(self):
        capture = FakeCapture()
        with reader(capture, max_delay_s=10.0) as live:
            capture.give(30.0, 29.0, 28.0, 5.0, 4.0)
            frames = live.read()
            assert [next(frames).pixels[0, 0, 0] for _ in range(2)] == [3, 4]
            assert live.dropped == 3
            assert 4.0 < live.longest_delay_s < 9.0
            capture.end()

    def test_the_newest_frame_is_never_dropped(self):
        capture = FakeCapture()
        with reader(capture, max_delay_s=0.001) as live:
            capture.give(3.0, 2.0, 1.0)
            frame = next(live.read())
            assert (frame.index, frame.pixels[0, 0, 0], live.dropped) == (0, 2, 2)
            capture.end()

    def test_memory_is_bounded_even_where_nobody_reads(self):
        capture = FakeCapture()
        with reader(capture, max_delay_s=1e6) as live:
            capture.give(*[0.0] * 200)
            assert live.dropped == 200 - 64
            capture.end()

    def test_times_rise_and_indices_count_what_was_taken(self):
        capture = FakeCapture()
        with reader(capture, max_delay_s=1e6) as live:
            capture.give(1.0, 1.0, 2.0, 0.5)
            capture.end()
            frames = list(live)
        assert [frame.index for frame in frames] == [0, 1, 2, 3]
        assert all(a.pts < b.pts for a, b in pairwise(frames))
        assert 98 < frames[0].time_s < 100

    def test_the_end_and_its_reason(self):
        capture = FakeCapture(then=DecodeError("the stream ended: nothing came for 1 s"))
        with reader(capture) as live:
            capture.give(0.0)
            capture.end()
            frames = live.read()
            assert next(frames).index == 0
            with pytest.raises(DecodeError, match="nothing came"):
                next(frames)

    def test_a_defect_of_a_library_is_no_usual_end(self):
        capture = FakeCapture(then=IndexError("list index out of range"))
        with reader(capture) as live:
            capture.give(0.0)
            capture.end()
            frames = live.read()
            next(frames)
            with pytest.raises(DecodeError, match=r"reading fails \(list index out of range"):
                next(frames)

    def test_no_picture_at_all(self):
        capture = FakeCapture(then=VideoError("cannot be opened: connection refused"))
        capture.end()
        with reader(capture) as live, pytest.raises(VideoError, match="refused"):
            _ = live.info

    def test_waiting_can_be_stopped(self):
        capture = FakeCapture()
        with reader(capture) as live:
            stop = threading.Event()
            live.stop_when = stop.is_set
            threading.Timer(0.1, stop.set).start()
            assert list(live.read()) == []
            capture.end()

    def test_an_end_in_frames_and_in_seconds(self):
        for end, count in ((Position(index=2), 2), (Position(time_s=Fraction(3, 2)), 2)):
            capture = FakeCapture()
            with reader(capture, max_delay_s=1e6) as live:
                capture.give(4.0, 3.0, 2.0, 1.0)
                assert len(list(live.read(end=end))) == count
                capture.end()

    def test_beginning_anew_forgets_what_came(self):
        capture = FakeCapture()
        with reader(capture, max_delay_s=1e6) as live:
            capture.give(3.0, 2.0, 1.0)
            frames = live.read()
            assert next(frames).pixels[0, 0, 0] == 0
            live.begin()
            frame = next(frames)
            assert (frame.index, frame.pixels[0, 0, 0], live.dropped) == (0, 2, 0)
            live.begin(1)
            capture.give(0.0)
            assert next(frames).index == 1
            capture.end()

    def test_the_nearest_of_the_last_frames(self):
        capture = FakeCapture()
        with reader(capture, is_history=True) as history:
            assert history.nearest(Fraction(1)) is None
            capture.give(1.0, 0.6, 0.2)
            newest = history.nearest(Fraction(200))
            assert newest is not None
            middle = history.nearest(newest.time_s - Fraction(45, 100))
            assert middle is not None
            assert (newest.pixels[0, 0, 0], middle.pixels[0, 0, 0]) == (2, 1)
            assert history.nearest(newest.time_s - Fraction(45, 100)) is middle, "not converted again"
            capture.end()

    def test_a_frame_waits_for_its_partner_but_not_for_long(self):
        first, second = FakeCapture(), FakeCapture()
        with reader(first, max_delay_s=1e6) as rgb, reader(second, is_history=True) as aux:
            rgb.companion = Companion(aux, Fraction(0), patience_s=0.3)
            second.give(0.5)
            first.give(0.0)
            before_s = time.monotonic()
            next(rgb.read())
            assert time.monotonic() - before_s > 0.2, "the second stream is behind: waited"
            rgb.companion = Companion(aux, Fraction(0), patience_s=60)
            first.give(0.1)
            second.give(0.0)
            before_s = time.monotonic()
            next(rgb.read())
            assert time.monotonic() - before_s < 30, "the second stream is there: not waited"
            first.end()
            second.end()


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf")])
def test_options_are_checked(value):
    with pytest.raises(ConfigError, match=r"not positive|cannot be"):
        LiveOptions(max_delay_s=value)
    with pytest.raises(ConfigError, match=r"not positive|cannot be"):
        LiveOptions(timeout_s=value)


def _send(server: socket.socket, content: bytes) -> None:
    with server.accept()[0] as receiver:
        receiver.sendall(content)


class TestRealStreams:
    """A sender in a process of its own, on this machine's network, in real time."""

    @pytest.mark.slow
    @pytest.mark.alone
    def test_a_slow_tracker_drops_frames_and_stays_fresh(self, live_sender):
        """25 frames a second come, 4 are taken: after 3 s a queue would be 2.5 s behind."""
        rgb_port, aux_port = live_sender.free_port(), live_sender.free_port()
        url = "udp://127.0.0.1:{}?pkt_size=1316"
        with (
            live_sender.Sender(url.format(rgb_port)) as rgb,
            live_sender.Sender(url.format(aux_port), look="grey", rate=9) as aux,
            open_live_pair(
                *(parse_address(f"udp://127.0.0.1:{port}") for port in (rgb_port, aux_port))
            ) as pairs,
        ):
            assert (pairs.rgb_info.width, pairs.rgb_info.frame_rate) == (live_sender.WIDTH, 25)
            assert pairs.modality is Modality.THERMAL
            pairs.begin()
            ages, skew_errors, numbers = [], [], []
            for pair in pairs:
                number = live_sender.number_of(pair.image[..., :3])
                ages.append(time.monotonic() - rgb.sent_s(number))
                numbers.append(number)
                if pair.aux is not None:
                    true_s = aux.sent_s(live_sender.number_of(pair.image[..., 3:])) - rgb.sent_s(number)
                    skew_errors.append(abs(float(pair.skew_s or 0) - true_s))
                if len(numbers) == 12:
                    break
                time.sleep(0.25)
            counts = pairs.counts
        assert numbers == sorted(set(numbers))
        assert max(ages[2:]) < 1.5
        skipped = numbers[-1] - numbers[0] - 11
        assert skipped > 20
        assert abs(counts.rgb_dropped - skipped) <= 3
        assert counts.pairs == 12
        assert 0 < counts.longest_delay_s < 1.5
        assert len(skew_errors) > 6
        assert np.median(skew_errors) < 0.06, "the skew that is told is the true one"

    def test_a_sender_that_ends_ends_the_pairs(self, live_sender):
        port = live_sender.free_port()
        with (
            live_sender.Sender(f"serve:{port}", pictures=60, rate=30),
            open_live_pair(parse_address(f"tcp://127.0.0.1:{port}")) as pairs,
        ):
            numbers = [live_sender.number_of(pair.image) for pair in pairs]
        assert numbers[-1] == 59
        assert numbers == sorted(set(numbers))

    @pytest.mark.slow
    @pytest.mark.alone
    def test_rtsp(self, live_sender):
        url = f"rtsp://127.0.0.1:{live_sender.free_port()}/live"
        with (
            live_sender.Sender(url, kind="rtsp") as sender,
            open_live_pair(parse_address(f"{url}?listen")) as pairs,
        ):
            pairs.begin()
            for pair in pairs:
                age_s = time.monotonic() - sender.sent_s(live_sender.number_of(pair.image))
                if pair.rgb.index == 20:
                    break
        assert pairs.rgb_info.codec == "h264"
        assert age_s < 1.0

    @pytest.mark.parametrize("between", ["sound", "zeros"])
    def test_what_is_no_picture_ends_no_stream(self, make_video, between):
        video = make_video(
            "a.ts", np.random.default_rng(1).integers(0, 255, (25, 64, 96, 3), np.uint8), rate=2
        )
        once = video.read_bytes()
        sent = sound_in_the_middle(video) if between == "sound" else once * 4 + bytes(1 << 18) + once
        stamps, _ = self.received(sent)
        assert len(stamps) >= 50
        assert stamps[-1] == pytest.approx(stamps[24] or 0, abs=0.1), "the last part is there as well"

    @pytest.mark.parametrize(
        ("codec", "options"), [("libx264", {}), ("libx265", {"x265-params": "log-level=none:crf=4"})]
    )
    def test_what_is_lost_on_the_way_is_counted(self, make_video, codec, options):
        noise = np.random.default_rng(1).integers(0, 255, (25, 64, 96, 3), np.uint8)
        once = make_video("a.ts", noise, codec=codec, options=options, rate=2).read_bytes()
        place = 188 * (len(once) // 188 // 2)
        stamps, damaged = self.received(once * 3 + once[:place] + once[place + 188 :])
        assert (len(stamps) >= 50, damaged) == (True, 1)

    def received(self, sent):
        """Return the times of what is received over TCP, and how many packets were damaged."""
        with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as aside:
            aside.submit(lambda: _send(server, sent))
            address = parse_address(f"tcp://127.0.0.1:{server.getsockname()[1]}")
            capture = NetworkCapture(address, timeout_s=10)
            return [one.stamp_s for one in capture.pictures()], capture.damaged

    def test_silence_is_an_end_in_one_line(self, live_sender):
        address = parse_address(f"udp://127.0.0.1:{live_sender.free_port()}")
        with pytest.raises(
            VideoError, match=r"udp://127.0.0.1:\d+: cannot be opened: nothing came within 0.3 s"
        ):
            open_live_pair(address, options=LiveOptions(timeout_s=0.3))

    def test_nobody_there(self, live_sender):
        with pytest.raises(VideoError, match="cannot be opened: Connection refused"):
            open_live_pair(parse_address(f"tcp://127.0.0.1:{live_sender.free_port()}"))

    def test_no_such_camera(self):
        with pytest.raises(VideoError, match=r"/dev/video987: there is no such camera"):
            open_live_pair(parse_address("987"))
