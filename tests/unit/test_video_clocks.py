"""Two clocks: side files, drift, stretched time, and the streams that real recorders write."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import pictures_in

from dmtrack.errors import ConfigError, FormatError
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.matching import TimeSpan, length_remark
from dmtrack.video.pairing import open_pair
from dmtrack.video.position import Position
from dmtrack.video.streams import OnMissing, PairingOptions, Sync

H, W = 48, 64
MS = Fraction(1, 1000)


def colour(count):
    """Pictures that tell their number: the red level is 8 times it."""
    return [np.full((H, W, 3), (8 * i, 120, 60), np.uint8) for i in range(count)]


def counts16(count):
    ramp = np.arange(H * W, dtype=np.uint16).reshape(H, W) % 900
    return [ramp + np.uint16(29_000 + i) for i in range(count)]


def aux_partners(pairs):
    return [None if pair.aux is None else int(pair.aux.pixels[0, 0]) - 29_000 for pair in pairs]


@pytest.fixture
def rgb(make_video):
    return make_video("rgb.mp4", colour(20), rate=10)


@pytest.fixture
def thermal(make_video):
    def write(count, rate=10, **options):
        return make_video(
            "thermal.mkv", counts16(count), rate=rate, codec="ffv1", pix_fmt="gray16le", **options
        )

    return write


def times_file(path: Path, times) -> Path:
    path.write_text("".join(f"{time}\n" for time in times))
    return path


def options(**values) -> PairingOptions:
    return PairingOptions(**values)


class TestSideTimes:
    def test_both_streams_go_by_their_files(self, rgb, thermal, tmp_path):
        """The thermal camera began 0.3 s earlier, on a clock of seconds since 1970."""
        first = times_file(tmp_path / "rgb.txt", [f"1700000000.{i:02}" for i in range(0, 40, 2)])
        second = times_file(tmp_path / "aux.txt", [f"{1699999999700 + 20 * i}" for i in range(20)])
        pairing = options(rgb_times=first, aux_times=second)
        with open_pair(rgb, thermal(20), pairing=pairing) as source:
            pairs = list(source)
            assert "aux.txt counts in ms" in " ".join(source.remarks)
        assert [pair.rgb.time_s for pair in pairs[:2]] == [1_700_000_000, Fraction("1700000000.02")]
        assert [pair.elapsed_s for pair in pairs[:2]] == [0, Fraction("0.02")]
        assert aux_partners(pairs)[:5] == [15, 16, 17, 18, 19]
        assert pairs[3].skew_s == 0

    def test_pictures_of_a_folder_get_times(self, rgb, tmp_path):
        folder = pictures_in(tmp_path / "thermal", counts16(5))
        stamps = times_file(tmp_path / "aux.csv", ["time_ms", 0, 100, 500, 550, 1900])
        with open_pair(rgb, folder, pairing=options(aux_times=stamps)) as source:
            assert source.pairing.sync is Sync.PTS
            partners = aux_partners(source)
        assert partners[0] == 0
        assert partners[5] == 2
        assert partners[6] == 3
        assert partners[19] == 4

    def test_a_folder_without_times_starts_where_its_partner_starts(self, rgb, tmp_path):
        folder = pictures_in(tmp_path / "thermal", counts16(20))
        stamps = times_file(tmp_path / "rgb.txt", [1_700_000_000 + i / 10 for i in range(20)])
        with open_pair(rgb, folder, pairing=options(rgb_times=stamps)) as source:
            assert source.pairing.sync is Sync.INDEX
            assert aux_partners(source) == list(range(20))

    def test_b_frames_get_the_rows_of_the_order_they_are_shown_in(self, make_video, tmp_path):
        path = make_video("rgb.mkv", colour(30), rate=10, options={"bf": "2", "g": "10"})
        stamps = times_file(tmp_path / "rgb.txt", [f"{i / 10 + i * i / 1000:.3f}" for i in range(30)])
        with open_pair(path, pairing=options(rgb_times=stamps)) as source:
            found = [(round(int(pair.rgb.pixels[0, 0, 0]) / 8), pair.rgb.time_s) for pair in source]
        assert found == [(i, Fraction(100 * i + i * i, 1000)) for i in range(30)]

    def test_a_frame_that_does_not_decode_does_not_move_the_rows_after_it(self, make_video, tmp_path):
        path = make_video("rgb.mkv", colour(20), rate=10, codec="mjpeg", pix_fmt="yuvj420p")
        with av.open(str(path)) as file:
            packet = next(p for number, p in enumerate(file.demux(video=0)) if number == 4)
            content = bytes(packet)
        data = path.read_bytes()
        assert data.count(content) == 1
        path.write_bytes(data.replace(content, bytes(len(content))))
        stamps = times_file(tmp_path / "rgb.txt", range(0, 2000, 100))
        with open_pair(path, pairing=options(rgb_times=stamps)) as source:
            found = [(round(int(pair.rgb.pixels[0, 0, 0]) / 8), pair.rgb.time_s) for pair in source]
        assert source.counts.rgb_damaged == 1
        assert found == [(i, Fraction(i, 10)) for i in range(20) if i != 4]

    def test_starting_in_the_middle_is_as_reading_from_the_start(self, rgb, thermal, tmp_path):
        first = times_file(tmp_path / "rgb.txt", [9 + i * i / 1000 + i / 10 for i in range(20)])
        second = times_file(tmp_path / "aux.txt", [9 + i / 8 for i in range(20)])
        pairing = options(rgb_times=first, aux_times=second)
        aux = thermal(20)
        with open_pair(rgb, aux, pairing=pairing) as source:
            everything = list(source)
        with open_pair(rgb, aux, start=Position(time_s=Fraction(1)), pairing=pairing) as source:
            part = list(source)
        assert part[0].elapsed_s >= 1
        rest = everything[-len(part) :]
        assert [(p.rgb.index, p.rgb.time_s, p.elapsed_s, p.skew_s) for p in part] == [
            (p.rgb.index, p.rgb.time_s, p.elapsed_s, p.skew_s) for p in rest
        ]

    @pytest.mark.parametrize(("count", "message"), [(19, "frame 19"), (21, "row 21 has no frame")])
    def test_a_wrong_count_is_refused_before_anything_is_read(self, rgb, tmp_path, count, message):
        stamps = times_file(tmp_path / "rgb.txt", [i / 10 for i in range(count)])
        with pytest.raises(FormatError, match=message):
            open_pair(rgb, pairing=options(rgb_times=stamps))


class TestDrift:
    def test_one_recording_at_two_rates_is_told_and_corrected(self, make_video, thermal):
        """Both cameras saw the same 20 s, but the second one's clock says 20.1 s."""
        rgb = make_video("rgb.mkv", colour(25), pts=[800 * i for i in range(25)], time_base=MS, rate=1)
        aux = thermal(25, pts=[804 * i for i in range(25)], time_base=MS, rate=1)
        with open_pair(rgb, aux) as source:
            pairs = list(source)
        assert pairs[24].skew_s == Fraction(96, 1000)
        with open_pair(rgb, aux, pairing=options(rate_ratio=Fraction(800, 804))) as source:
            pairs = list(source)
        assert max(abs(pair.skew_s) for pair in pairs) == 0
        assert source.pairing.rate_ratio == Fraction(800, 804)

    def test_the_implied_ratio_is_printed(self, make_video, thermal):
        rgb = make_video("rgb.mp4", colour(30), rate=10)
        with open_pair(rgb, thermal(30, rate=9)) as source:
            remark, *_ = source.remarks
        assert "RGB lasts 3.000 s and the second stream 3.33" in remark
        assert "--rate-ratio " in remark
        assert "(0.90" in remark or "(0.899" in remark  # Matroska rounds
        assert "starts late or ends early" in remark

    @pytest.mark.parametrize(("offset_s", "after"), [(Fraction(3, 2), "4.500"), (Fraction(-1, 2), "6.500")])
    def test_a_start_that_is_told_is_not_told_again_and_leaves_the_drift(
        self, make_video, thermal, offset_s, after
    ):
        """The second camera may have been the first."""
        rgb = make_video("rgb.mp4", colour(60), rate=10)
        with open_pair(rgb, thermal(36, rate=9), pairing=options(offset_s=offset_s)) as source:
            text = " ".join(source.remarks)
        assert f"RGB ends {after} s after the beginning of the second stream, which lasts 4.0" in text
        assert "one of them ends early" in text
        assert "if both end together, say --rate-ratio" in text
        assert "--offset-ms" not in text

    def test_less_than_a_frame_is_no_drift_and_more_is_one_of_clocks(self):
        def lasting(seconds):
            return TimeSpan(Fraction(5), None if seconds is None else 5 + Fraction(seconds))

        frame_s = Fraction(1, 9)
        assert length_remark(lasting(100), lasting(Fraction(901, 9)), frame_s) == []
        (drift,) = length_remark(lasting(1000), lasting(1001), frame_s)
        assert "its clock seems to differ" in drift
        assert "--rate-ratio 1000/1001 (0.999001)" in drift
        assert length_remark(lasting(None), lasting(1), frame_s) == []

    @pytest.mark.parametrize("name", ["aux.mkv", "aux.mp4", "aux.avi"])
    def test_a_pause_is_no_other_clock(self, make_video, name):
        """Frames times their usual distance is not how long a stream lasts."""
        rgb = make_video("rgb.mp4", colour(40), rate=10)
        stamps = [*range(10), *range(30, 40)]
        aux = make_video(name, colour(20), rate=10, pts=stamps, codec="mpeg4", time_base=Fraction(1, 10))
        with open_pair(rgb, aux, modality=Modality.THERMAL) as source:
            assert not [one for one in source.remarks if "lasts" in one or "ends" in one]
        match = inspect_pair(rgb, aux, PairingOptions()).match
        assert match is not None
        assert (float(match.overlap_s), float(match.length_ratio)) == pytest.approx((4, 1), abs=0.05)

    def test_ratio_moves_time_from_the_first_frame_on(self, make_video, thermal):
        """With a start at 100 s, one part in a hundred must not throw the stream a whole second off."""
        rgb = make_video(
            "rgb.mkv", colour(10), pts=[100_000 + 100 * i for i in range(10)], time_base=MS, rate=10
        )
        aux = thermal(10, pts=[100_000 + 101 * i for i in range(10)], time_base=MS)
        with open_pair(rgb, aux, pairing=options(rate_ratio=Fraction(100, 101))) as source:
            assert [pair.skew_s for pair in source] == [0] * 10

    def test_a_ratio_that_is_none_is_refused(self):
        with pytest.raises(ConfigError, match="not positive"):
            options(rate_ratio=Fraction(0))

    def test_inspect_says_it_too(self, make_video, thermal):
        rgb = make_video("rgb.mp4", colour(30), rate=10)
        assert "--rate-ratio" in " ".join(inspect_pair(rgb, thermal(30, rate=9)).warnings)


class TestRecorders:
    def test_variable_rate_and_a_start_that_is_not_zero(self, make_video, thermal):
        stamps = [500, 533, 600, 610, 700, 1000]
        rgb = make_video("rgb.mkv", colour(6), pts=stamps, time_base=MS, rate=30)
        aux = thermal(6, pts=[480, 560, 640, 720, 800, 980], time_base=MS)
        with open_pair(rgb, aux) as source:
            pairs = list(source)
        assert [pair.rgb.time_s for pair in pairs] == [stamp * MS for stamp in stamps]
        assert [pair.skew_s / MS for pair in pairs] == [-20, 27, -40, 30, 20, -20]

    def test_b_frames_come_in_the_order_they_are_shown(self, make_video, thermal):
        rgb = make_video("rgb.mp4", colour(24), rate=10, options={"bf": "3", "g": "24"})
        with av.open(str(rgb)) as file:
            packets = [packet.pts for packet in file.demux(video=0) if packet.size]
        assert packets != sorted(packets), "the file has no B-frames"
        with open_pair(rgb, thermal(24)) as source:
            pairs = list(source)
        assert [round(int(pair.rgb.pixels[0, 0, 0]) / 8) for pair in pairs] == list(range(24))
        assert aux_partners(pairs) == list(range(24))

    def test_nearest_takes_what_there_is(self, rgb, thermal):
        with open_pair(rgb, thermal(5), pairing=options(sync=Sync.NEAREST)) as source:
            pairs = list(source)
        assert source.pairing.max_skew_s is None
        assert aux_partners(pairs) == [0, 1, 2, 3, 4] + [4] * 15
        assert abs(pairs[19].skew_s + Fraction(15, 10)) <= MS
        assert source.counts.aux_missing == 0

    def test_nearest_and_a_largest_skew_contradict(self):
        with pytest.raises(ConfigError, match="--max-skew-ms"):
            options(sync=Sync.NEAREST, max_skew_s=MS)

    def test_index_can_be_asked_for(self, rgb, thermal):
        with open_pair(rgb, thermal(20, rate=3), pairing=options(sync=Sync.INDEX)) as source:
            assert aux_partners(source) == list(range(20))

    @pytest.mark.parametrize(
        ("policy", "frames", "channels", "counts"),
        [
            (OnMissing.HOLD, 20, 6, (15, 0, 0)),
            (OnMissing.BLANK, 20, 6, (15, 15, 0)),
            (OnMissing.RGB_ONLY, 20, 3, (15, 0, 15)),
            (OnMissing.STOP, 5, 6, (0, 0, 0)),
        ],
        ids=str,
    )
    def test_a_stream_that_ends_early(self, rgb, thermal, policy, frames, channels, counts):
        with open_pair(rgb, thermal(5), pairing=options(on_missing=policy)) as source:
            pairs = list(source)
        assert len(pairs) == frames
        assert pairs[-1].image.shape[2] == channels
        assert pairs[-1].modality is Modality.THERMAL
        found = source.counts
        assert (found.aux_missing, found.aux_blank, found.aux_rgb_only) == counts
        assert found.aux_stale == (15 if policy is OnMissing.HOLD else 0)
        if channels == 3:
            assert pairs[-1].aux_image.shape == (H, W, 3)
            assert not pairs[-1].aux_image.any()


def test_sixteen_bits_come_through_video_and_folders_exactly(rgb, make_video, tmp_path):
    noise = [np.random.default_rng(i).integers(0, 65536, (H, W)).astype(np.uint16) for i in range(4)]
    files = [
        make_video("thermal.mkv", noise, codec="ffv1", pix_fmt="gray16le", rate=10),
        make_video("thermal_le.nut", noise, codec="rawvideo", pix_fmt="gray16le", rate=10),
        make_video("thermal_be.nut", noise, codec="rawvideo", pix_fmt="gray16be", rate=10),
        pictures_in(tmp_path / "thermal_png", noise),
        pictures_in(tmp_path / "thermal_tiff", noise, "{}.tiff"),
    ]
    for file in files:
        with open_pair(rgb, file, pairing=options(sync=Sync.INDEX)) as source:
            for pair, picture in zip(source, noise, strict=False):
                assert pair.aux.pixels.dtype == np.uint16
                assert np.array_equal(pair.aux.pixels, picture), file.name
