from fractions import Fraction

import numpy as np
import pytest
from clips import pictures_in

from dmtrack.errors import ConfigError, DecodeError, PairingError, VideoError
from dmtrack.geometry.alignment_file import Alignment
from dmtrack.geometry.homography import Homography
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.frame import FramePair, Modality
from dmtrack.video.modality import ModalityGuess
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.position import Position
from dmtrack.video.second.aux_encoder import AuxNorm, EncodingOptions
from dmtrack.video.second.encoding import ModalityEncoder, encode_depth, encode_event
from dmtrack.video.second.grid import Fit, HomographyGrid, resize_to_grid
from dmtrack.video.streams import OnMissing, PairingOptions, Sync

H, W = 64, 96


def colour(count):
    return [np.full((H, W, 3), (10 + i, 120, 60), np.uint8) for i in range(count)]


def thermal16(count, size=(H, W)):
    ramp = np.linspace(0, 900, size[0] * size[1]).reshape(size)
    return [(29_000 + ramp + 10 * i).astype(np.uint16) for i in range(count)]


def depth16(count, size=(H, W)):
    ramp = np.linspace(800, 6000, size[0] * size[1]).reshape(size)
    return [np.roll(ramp, i).astype(np.uint16) for i in range(count)]


def partners(pairs):
    return [None if pair.aux is None else pair.aux.index for pair in pairs]


@pytest.fixture
def rgb(make_video):
    """One second of colour at 30 pictures a second."""
    return make_video("rgb.mp4", colour(30))


def thermal_video(make_video, count, **options):
    options = {"rate": 9, "codec": "ffv1", "pix_fmt": "gray16le", **options}
    size = options.pop("size", (H, W))
    return make_video("thermal.mkv", thermal16(count, size), **options)


class TestTime:
    def test_slower_stream_is_used_again_and_nearest(self, rgb, make_video):
        with open_pair(rgb, thermal_video(make_video, 9)) as source:
            pairs = list(source)
        assert source.modality is Modality.THERMAL
        assert source.pairing.sync is Sync.PTS
        stamps_s = [round(1000 * i / 9) / 1000 for i in range(9)]  # Matroska counts milliseconds
        assert partners(pairs) == [
            int(np.argmin([abs(stamp_s - i / 30) for stamp_s in stamps_s])) for i in range(30)
        ]
        for pair in pairs:
            assert abs(pair.skew_s) <= source.pairing.max_skew_s
            assert pair.skew_s == pair.aux.time_s - pair.rgb.time_s
        counts = source.counts
        assert (counts.pairs, counts.aux_missing, counts.aux_held) == (30, 0, 21)
        assert counts.largest_skew_s == max(abs(pair.skew_s) for pair in pairs)

    def test_faster_stream_is_skipped(self, make_video):
        slow = make_video("rgb.mp4", colour(5), rate=5)
        with open_pair(slow, thermal_video(make_video, 30, rate=30)) as source:
            assert partners(source) == [0, 6, 12, 18, 24]
        assert source.counts.aux_held == 0

    def test_a_frame_left_out_is_noticed(self, rgb, make_video):
        stamps = [i for i in range(30) if i not in (10, 11, 12)]
        with open_pair(rgb, thermal_video(make_video, 27, rate=30, pts=stamps)) as source:
            pairs = list(source)
        assert [i for i, pair in enumerate(pairs) if pair.aux is None] == [10, 11, 12]
        assert partners(pairs)[13] == 10

    @pytest.mark.parametrize("kind", ["mp4", "mov", "folder", "times"])
    @pytest.mark.parametrize(("apart_ms", "burst"), [(900, 40), (60_000, 40), (3000, 6), (60_000, 5)])
    def test_a_pause_brings_no_frames_nearer(self, make_video, tmp_path, kind, apart_ms, burst):
        """A mean interval with the pauses in it was the measure: what is missing had an old partner."""
        stamps = [33 * i + apart_ms * ((i + 4) // burst) for i in range(60)]
        lost = (3, 4, 12)
        paths = []
        for name, left_out in (("rgb", ()), ("thermal", lost)):
            kept = {stamp: i for i, stamp in enumerate(stamps) if i not in left_out}
            pictures = [colour(60)[i] if name == "rgb" else thermal16(60)[i] >> 8 << 8 for i in kept.values()]
            if kind == "folder":
                paths.append(tmp_path / name)
                for stamp, picture in zip(kept, pictures, strict=True):
                    pictures_in(paths[-1] / "x", [picture], f"{1_700_000_000_000 + stamp}.png")
                paths[-1] /= "x"
                continue
            grey = [picture if name == "rgb" else (picture >> 8).astype(np.uint8) for picture in pictures]
            timed = {} if kind == "times" else {"pts": kept, "time_base": Fraction(1, 1000)}
            paths.append(make_video(f"{name}.{'mp4' if kind == 'times' else kind}", grey, **timed))
            (tmp_path / f"{name}.txt").write_text("".join(f"{stamp / 1000:.3f}\n" for stamp in kept))
        times = [tmp_path / f"{name}.txt" if kind == "times" else None for name in ("rgb", "thermal")]
        pairing = PairingOptions(rgb_times=times[0], aux_times=times[1])
        with open_pair(*paths, modality=Modality.THERMAL, pairing=pairing) as source:
            pairs = list(source)
        assert [pair.rgb.index for pair in pairs if pair.aux is None] == list(lost)

    @pytest.mark.parametrize("sync", [Sync.PTS, Sync.INDEX])
    @pytest.mark.parametrize("start", [12, 22, 45, 59])
    def test_behind_the_end_of_a_cut_stream_its_last_picture_is_held(self, make_video, sync, start):
        """From the front on it was; a part that was tracked anew saw black where an MP4 lists what is cut."""
        rgb = make_video("rgb.mp4", colour(60))
        grey = [np.random.default_rng(n).integers(0, 99, (H, W)).astype(np.uint8) + n for n in range(60)]
        path = make_video("ir.mp4", grey, container_options={"movflags": "faststart"})
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3])
        shown = []
        for begin in (0, start):
            with open_pair(
                rgb,
                path,
                modality=Modality.THERMAL,
                start=Position(index=begin),
                pairing=PairingOptions(sync=sync),
            ) as source:
                source.needs_partners = False
                shown.append([pair.image[..., 3:] for pair in source][start - begin :])
        assert all(np.array_equal(one, other) for one, other in zip(*shown, strict=True))
        assert shown[1][0].any()

    def test_stamps_of_a_network_come_in_bursts(self, make_video):
        """Four frames in a hurry and a wait are no pauses."""
        stamps = [200 * (i // 5) + 8 * (i % 5) for i in range(30)]
        later = [stamp + 15 for stamp in stamps]
        clock = {"time_base": Fraction(1, 1000)}
        first = make_video("rgb.mp4", colour(30), pts=stamps, **clock)
        second = make_video("ir.mp4", [picture[..., 0] for picture in colour(30)], pts=later, **clock)
        with open_pair(first, second, modality=Modality.THERMAL) as source:
            assert None not in partners(source)

    def test_different_start_on_one_clock(self, rgb, make_video):
        """The second file starts half a second later: that is where it belongs."""
        aux = thermal_video(make_video, 15, rate=30, pts=range(15, 30))
        with open_pair(rgb, aux) as source:
            pairs = list(source)
        assert partners(pairs)[15:] == list(range(15))
        assert partners(pairs)[:14] == [None] * 14
        assert source.counts.aux_missing == 15
        assert source.counts.largest_skew_s < Fraction(1, 1000)  # Matroska rounds

    def test_offset_moves_the_second_stream(self, rgb, make_video):
        aux = thermal_video(make_video, 15, rate=30, pts=range(15, 30))
        with open_pair(rgb, aux, pairing=PairingOptions(offset_s=Fraction(-1, 2))) as source:
            pairs = list(source)
        assert partners(pairs)[:15] == list(range(15))
        assert abs(pairs[3].skew_s) < Fraction(1, 1000)
        assert pairs[3].aux.time_s - pairs[3].rgb.time_s == pairs[3].skew_s

    def test_variable_rate(self, make_video):
        stamps = [0, 33, 100, 110, 200, 500]
        first = make_video("rgb.mkv", colour(6), pts=stamps, time_base=Fraction(1, 1000))
        aux = thermal_video(make_video, 6, rate=10)
        with open_pair(first, aux) as source:
            assert partners(source) == [0, 0, 1, 1, 2, 5]

    def test_largest_skew_can_be_given(self, rgb, make_video):
        with open_pair(
            rgb, thermal_video(make_video, 9), pairing=PairingOptions(max_skew_s=Fraction(1, 50))
        ) as source:
            pairs = list(source)
        assert source.pairing.max_skew_s == Fraction(1, 50)
        found = [index for index in partners(pairs) if index is not None]
        assert 0 < len(found) < 30
        assert all(abs(pair.skew_s) <= Fraction(0.02) for pair in pairs if pair.aux is not None)

    def test_end_of_the_first_stream_is_the_end(self, rgb, make_video):
        with open_pair(rgb, thermal_video(make_video, 90, rate=30)) as source:
            assert len(list(source)) == 30

    def test_no_common_time_is_refused_with_a_way_out(self, rgb, make_video):
        aux = thermal_video(make_video, 9, pts=range(90, 99))
        with pytest.raises(PairingError) as caught:
            open_pair(rgb, aux)
        message = str(caught.value)
        assert "0.000-1.000 s" in message
        assert "10.000-" in message
        assert "--offset-ms -10000" in message
        with open_pair(rgb, aux, pairing=PairingOptions(offset_s=Fraction(-10))) as source:
            assert partners(source)[0] == 0

    def test_no_partner_at_all_is_an_error_at_the_end(self, rgb, make_video):
        aux = thermal_video(make_video, 9, pts=range(9), rate=9)
        with open_pair(
            rgb, aux, pairing=PairingOptions(max_skew_s=Fraction(0), offset_s=Fraction(1, 77))
        ) as source:
            pairs = iter(source)
            for _ in range(30):
                next(pairs)
            with pytest.raises(PairingError, match="no frame has a partner"):
                next(pairs)


class TestMissing:
    @pytest.fixture
    def short(self, make_video):
        """A second stream that stops halfway."""
        return thermal_video(make_video, 15, rate=30)

    def test_hold_keeps_the_picture_and_says_it_is_old(self, rgb, short):
        with open_pair(rgb, short) as source:
            pairs = list(source)
        assert [pair.aux is None for pair in pairs] == [False] * 15 + [True] * 15
        assert np.array_equal(pairs[29].image[..., 3:], pairs[14].image[..., 3:])
        assert pairs[29].image[..., 3:].any()
        assert (source.counts.aux_missing, pairs[29].skew_s) == (15, None)

    @pytest.mark.parametrize("sync", [Sync.PTS, Sync.INDEX])
    def test_hold_behind_the_end_shows_the_last_wherever_reading_begins(self, rgb, short, sync):
        with open_pair(rgb, short, start=Position(index=27), pairing=PairingOptions(sync=sync)) as source:
            source.needs_partners = False
            pairs = list(source)
        assert [(pair.aux, bool(pair.image[..., 3:].any())) for pair in pairs] == [(None, True)] * 3

    def test_hold_before_the_first_shows_the_first(self, rgb, make_video):
        late = thermal_video(make_video, 15, rate=30, pts=range(15, 30))
        with open_pair(rgb, late) as source:
            pairs = list(source)
        assert np.array_equal(pairs[0].image[..., 3:], pairs[15].image[..., 3:])

    def test_blank_shows_nothing(self, rgb, short):
        with open_pair(rgb, short, pairing=PairingOptions(on_missing=OnMissing.BLANK)) as source:
            pairs = list(source)
        assert pairs[14].image[..., 3:].any()
        assert not pairs[15].image[..., 3:].any()
        assert len(pairs) == 30

    def test_stop_ends_there(self, rgb, short):
        with open_pair(rgb, short, pairing=PairingOptions(on_missing=OnMissing.STOP)) as source:
            assert partners(source) == list(range(15))


class TestFolders:
    def test_equal_counts_go_by_index(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = pictures_in(tmp_path / "depth", depth16(6))
        with open_pair(first, second) as source:
            pairs = list(source)
        assert (source.pairing.sync, source.modality) == (Sync.INDEX, Modality.DEPTH)
        assert "depth" in source.modality_reason
        assert partners(pairs) == list(range(6))
        assert all(pair.skew_s == 0 for pair in pairs)

    def test_an_unreadable_picture_does_not_shift_the_others(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = pictures_in(tmp_path / "depth", depth16(6))
        (second / "0002.png").write_bytes(b"no picture")
        with open_pair(first, second) as source:
            assert partners(source) == [0, 1, None, 3, 4, 5]
        assert (source.counts.aux_damaged, source.counts.aux_missing) == (1, 1)

    def test_a_folder_beside_a_video_takes_its_rate(self, make_video, tmp_path):
        first = make_video("rgb.mp4", colour(6), rate=12)
        second = pictures_in(tmp_path / "depth", depth16(6))
        with open_pair(first, second) as source:
            pairs = list(source)
        assert source.aux_info.frame_rate == 12
        assert partners(pairs) == list(range(6))
        assert all(pair.skew_s == 0 for pair in pairs)

    @pytest.mark.parametrize("step", [1, 2], ids=["every number", "numbers of frames"])
    def test_the_rate_that_is_given_counts_beside_a_video_too(self, make_video, tmp_path, step):
        video = make_video("rgb.mp4", colour(8), rate=12)
        folder = pictures_in(tmp_path / "depth", depth16(4 * step))
        for number in range(1, 4 * step, step) if step > 1 else ():
            (folder / f"{number:04}.png").unlink()
        options = PairingOptions(folder_rate=Fraction(6 * step))
        with open_pair(video, folder, pairing=options) as source:
            assert partners(source) == [0, 0, 1, 1, 2, 2, 3, 3]
        with open_pair(folder, video, modality=Modality.THERMAL, pairing=options) as source:
            assert partners(source) == [0, 2, 4, 6]

    def test_a_first_folder_takes_rate_and_start_of_the_video(self, make_video, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = thermal_video(make_video, 6, rate=10, pts=range(50, 56))
        with open_pair(first, second) as source:
            pairs = list(source)
        assert (source.rgb_info.frame_rate, pairs[0].rgb.time_s) == (10, 5)
        assert partners(pairs) == list(range(6))

    def test_unequal_counts_go_by_place_as_far_as_both_reach(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = pictures_in(tmp_path / "depth", depth16(4))
        with open_pair(first, second) as source:
            assert partners(source) == [0, 1, 2, 3, None, None]
        assert source.pairing.sync is Sync.PTS

    def test_offset_counts_for_folders_too(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = pictures_in(tmp_path / "depth", depth16(6))
        with open_pair(first, second, pairing=PairingOptions(offset_s=Fraction(2, 30))) as source:
            assert partners(source) == [None, None, 0, 1, 2, 3]


class TestRange:
    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [
            (Position(index=10), Position(index=13), [10, 11, 12]),
            (Position(time_s=Fraction(1, 2)), Position(time_s=Fraction(6, 10)), [15, 16, 17]),
        ],
    )
    def test_only_the_wanted_frames_with_their_own_partners(self, rgb, make_video, start, end, expected):
        aux = thermal_video(make_video, 9)
        with open_pair(rgb, aux) as everything:
            whole = partners(everything)
        with open_pair(rgb, aux, start=start, end=end) as source:
            pairs = list(source)
        assert [pair.rgb.index for pair in pairs] == expected
        assert partners(pairs) == [whole[i] for i in expected]

    def test_folders_are_read_from_there(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(12))
        second = pictures_in(tmp_path / "depth", depth16(12))
        with open_pair(first, second, start=Position(index=9)) as source:
            assert partners(source) == [9, 10, 11]

    def test_nothing_in_the_range_is_an_error(self, rgb):
        with open_pair(rgb, start=Position(index=99)) as source, pytest.raises(ConfigError, match="--start"):
            list(source)


class TestPicture:
    def test_six_channels_on_the_rgb_grid(self, rgb, make_video):
        with open_pair(rgb, thermal_video(make_video, 9, size=(32, 40))) as source:
            pair = next(iter(source))
        assert (pair.image.shape, pair.image.dtype) == ((H, W, 6), np.uint8)
        assert np.array_equal(pair.image[..., :3], pair.rgb.pixels)
        assert pair.aux.pixels.shape == (32, 40)  # the frame itself stays as the sensor gave it
        thermal = pair.image[..., 3]
        assert thermal[:4].mean() < 30  # the ramp runs from cold above to hot below
        assert thermal[-4:].mean() > 225

    def test_depth_is_encoded_before_it_is_resized(self, rgb, tmp_path):
        (depth,) = depth16(1, (32, 48))
        folder = pictures_in(tmp_path / "depth", [depth] * 30)
        with open_pair(rgb, folder) as source:
            pair = next(iter(source))
        assert np.array_equal(pair.image[::2, ::2, 3:], encode_depth(depth))

    def test_one_stream_has_three_channels(self, rgb):
        with open_pair(rgb) as source:
            pairs = list(source)
        assert (source.modality, source.aux_info, source.pairing.sync) == (None, None, None)
        assert pairs[7].image.shape == (H, W, 3)
        assert (pairs[7].aux, pairs[7].skew_s) == (None, None)
        assert source.counts.pairs == 30

    def test_one_16_bit_thermal_stream_is_stretched(self, make_video):
        with open_pair(thermal_video(make_video, 3)) as source:
            pair = next(iter(source))
        assert pair.image.shape == (H, W, 3)
        assert (pair.image.min(), pair.image.max()) == (0, 255)

    def test_a_frame_that_is_used_again_is_encoded_once(self, rgb, make_video, monkeypatch):
        calls = []
        encode = ModalityEncoder.__call__

        def counted(self, pixels):
            calls.append(pixels.ndim)
            return encode(self, pixels)

        monkeypatch.setattr(ModalityEncoder, "__call__", counted)
        with open_pair(rgb, thermal_video(make_video, 9)) as source:
            list(source)
        assert calls.count(2) == 9  # the second stream's; colour has three dimensions
        assert calls.count(3) == 30

    def test_an_alignment_warps_each_second_frame_once(self, rgb, make_video, monkeypatch):
        thermal = thermal_video(make_video, 9, size=(32, 40))
        shift = Homography.of([[1, 0, 20], [0, 1, 10], [0, 0, 1]], (40, 32), (W, H))
        calls = []
        warp = HomographyGrid.__call__
        monkeypatch.setattr(HomographyGrid, "__call__", lambda *a: calls.append(1) or warp(*a))
        with open_pair(rgb, thermal, pairing=PairingOptions(align=Alignment(shift, "by hand"))) as source:
            images = [pair.image for pair in source]
        assert len(calls) == 9
        assert images[0][10:42, 20:60, 3:].any()
        assert not images[0][:10, :, 3:].any()

    def test_an_alignment_for_other_sizes_is_refused(self, rgb, make_video):
        thermal = thermal_video(make_video, 9, size=(32, 40))
        other = Homography.stretch((80, 64), (W, H))
        with pytest.raises(ConfigError, match=f"for 80x64 pictures onto {W}x{H}, these are 40x32"):
            open_pair(rgb, thermal, pairing=PairingOptions(align=Alignment(other, "by hand")))

    def test_event_pictures_keep_their_colours_when_resized(self):
        events = np.full((20, 30, 3), 255, np.uint8)
        events[::3, ::4] = (220, 30, 30)
        grid = resize_to_grid(encode_event(events), (77, 51), Modality.EVENT)
        assert grid.shape == (51, 77, 3)
        assert {tuple(c) for c in grid.reshape(-1, 3).tolist()} == {(255, 255, 255), (220, 30, 30)}


class TestModality:
    def test_given_beats_the_name(self, tmp_path):
        first = pictures_in(tmp_path / "color", colour(3))
        second = pictures_in(tmp_path / "depth", depth16(3))
        with open_pair(first, second, modality=Modality.THERMAL) as source:
            assert (source.modality, source.modality_reason) == (Modality.THERMAL, "it was given")

    def test_pictures_decide_where_the_name_does_not(self, tmp_path, rgb, make_video):
        aux = thermal_video(make_video, 9).rename(tmp_path / "second.mkv")
        with open_pair(rgb, aux) as source:
            assert source.modality is Modality.THERMAL
        assert "16-bit" in source.modality_reason

    def test_event_pictures_in_h264_are_found(self, tmp_path, rgb, make_video):
        rng = np.random.default_rng(5)
        pictures = []
        for _ in range(30):
            picture = np.full((H, W, 3), 255, np.uint8)
            blobs = rng.random((H // 4, W // 4)).repeat(4, 0).repeat(4, 1)
            picture[blobs < 0.1], picture[blobs > 0.9] = (220, 30, 30), (30, 30, 200)
            pictures.append(picture)
        aux = make_video("second.mp4", pictures, options={"crf": "20"})
        with open_pair(rgb, aux) as source:
            assert source.modality is Modality.EVENT

    def test_undecidable_asks_and_closes(self, rgb, make_video):
        rng = np.random.default_rng(5)
        aux = make_video("b.mp4", [rng.integers(0, 256, (H, W, 3)).astype(np.uint8)] * 3)
        with pytest.raises(ConfigError, match="--modality"):
            open_pair(rgb, aux)


class TestErrors:
    def test_the_missing_stream_is_named(self, rgb, tmp_path):
        with pytest.raises(VideoError, match=r"nothing\.mkv"):
            open_pair(rgb, tmp_path / "nothing.mkv")
        with pytest.raises(VideoError, match=r"nothing\.mp4"):
            open_pair(tmp_path / "nothing.mp4", rgb)

    def test_negative_skew_is_refused(self, rgb):
        with pytest.raises(ConfigError, match="negative"):
            open_pair(rgb, rgb, pairing=PairingOptions(max_skew_s=Fraction(-1)))

    def test_damage_of_either_stream_is_counted(self, make_video, tmp_path):
        first = pictures_in(tmp_path / "color", colour(6))
        second = pictures_in(tmp_path / "thermal", thermal16(6))
        (first / "0001.png").write_bytes(b"x")
        (second / "0004.png").write_bytes(b"x")
        with open_pair(first, second) as source:
            pairs = list(source)
        assert [pair.rgb.index for pair in pairs] == [0, 2, 3, 4, 5]
        assert (source.counts.rgb_damaged, source.counts.aux_damaged) == (1, 1)

    def test_pairs_before_a_failure_stay_valid(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dmtrack.video.source.MAX_CONSECUTIVE_DAMAGED", 2)
        first = pictures_in(tmp_path / "color", colour(9))
        second = pictures_in(tmp_path / "thermal", thermal16(9))
        for i in range(5, 9):
            (first / f"{i:04}.png").write_bytes(b"x")
        pairs: list[FramePair] = []
        with open_pair(first, second) as source, pytest.raises(DecodeError):
            pairs.extend(source)
        assert partners(pairs) == list(range(5))

    def test_a_stream_and_its_modality_come_together(self, tmp_path):
        folder = FolderReader(pictures_in(tmp_path / "color", colour(1)))
        with pytest.raises(ValueError, match="together"):
            PairedSource(folder, ModalityGuess(Modality.DEPTH, ""))


def test_options_for_two_streams_are_said_to_mean_nothing_for_one(make_video):
    path = make_video("alone.mp4", [np.zeros((24, 32, 3), np.uint8)] * 3)
    options = PairingOptions(offset_s=Fraction(1), fit=Fit.CROP, folder_rate=Fraction(5))
    with open_pair(path, pairing=options, encoding=EncodingOptions(norm=AuxNorm.PERCENTILE)) as source:
        assert len(list(source)) == 3
        assert source.remarks == (
            "There is no second stream, for which --offset-ms, --fit, --aux-norm would be.",
        )
    with open_pair(path, pairing=PairingOptions(folder_rate=Fraction(5))) as source:
        assert source.remarks == ()


@pytest.mark.parametrize("is_pair", [False, True])
def test_options_for_events_are_said_to_mean_nothing_for_pictures(make_video, tmp_path, is_pair):
    path = make_video("rgb.mp4", [np.zeros((24, 32, 3), np.uint8)] * 3)
    options = PairingOptions(events=EventOptions(window_us=5000, size=(32, 24)))
    said = "There is no event file, for which --window-ms, --event-size would be."
    folder = pictures_in(tmp_path / "event", colour(3)) if is_pair else None
    with open_pair(path, folder, modality=Modality.EVENT if is_pair else None, pairing=options) as source:
        assert said in source.remarks
    events = tmp_path / "events.csv"
    events.write_text("t,x,y,p\n" + "".join(f"{1000 * one},{one},{one},1\n" for one in range(20)))
    with open_pair(path, events, pairing=options) as source:
        assert not any("for which" in remark for remark in source.remarks)
