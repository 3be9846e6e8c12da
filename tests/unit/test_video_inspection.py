from datetime import datetime, timedelta
from fractions import Fraction

import cv2
import numpy as np
import pytest
from clips import pictures_in

from dmtrack.errors import ConfigError, VideoError
from dmtrack.video.frame import Modality
from dmtrack.video.inspection import inspect_pair
from dmtrack.video.pairing import open_pair
from dmtrack.video.second.grid import Fit
from dmtrack.video.streams import PairingOptions, Sync

H, W = 64, 96


def colour(count):
    return [np.full((H, W, 3), (10 + i, 120, 60), np.uint8) for i in range(count)]


def thermal(count, size=(H, W)):
    ramp = np.linspace(29_000, 29_900, size[0] * size[1]).reshape(size)
    return [(ramp + 10 * i).astype(np.uint16) for i in range(count)]


@pytest.fixture
def rgb(make_video):
    return make_video("rgb.mp4", colour(30))


def second(make_video, count, size=(H, W), **options):
    options = {"rate": 10, "codec": "ffv1", "pix_fmt": "gray16le", **options}
    return make_video("thermal.mkv", thermal(count, size), **options)


def test_a_good_pair_has_facts_and_no_warnings(rgb, make_video):
    report = inspect_pair(rgb, second(make_video, 10))
    assert (report.rgb.codec, report.aux.codec, report.aux.bit_depth) == ("h264", "ffv1", 16)
    assert report.modality is Modality.THERMAL
    assert "thermal" in report.modality_reason
    match = report.match
    assert (match.sync, match.rate_ratio, match.expected_pairs) == (Sync.PTS, 3, 30)
    assert match.overlap_s == 1
    assert (match.skew.frames, match.skew.missing) == (30, 0)
    assert match.skew.largest_s <= match.max_skew_s
    assert 0 < match.skew.median_s <= match.skew.largest_s
    assert report.warnings == ()


def test_late_start_and_early_end_are_told(rgb, make_video):
    report = inspect_pair(rgb, second(make_video, 4, pts=range(3, 7)))
    text = " ".join(report.warnings)
    assert "starts 0.3 s after the first" in text
    assert "--offset-ms -300" in text
    assert "ends 0.3 s before the first" in text
    assert "RGB frames have no partner" in text
    assert report.match.expected_pairs == pytest.approx(12, abs=1)


@pytest.mark.parametrize(
    ("begun", "offset_ms"),
    [
        (("2024-05-01T10:00:00Z", "2024-05-01T10:00:07.000000Z"), 7000),
        (("2024-05-01T10:00:03Z", "2024-05-01T12:00:00+02:00"), -3000),
        (("2024-05-01T10:00:00Z", "2024-05-01T10:00:01.500000Z"), 1500),
        (("2024-05-01T10:00:02.25Z", "2024-05-01T10:00:00.125Z"), -2125),
        (("2024-05-01T10:00:00Z", "2024-05-01T10:00:01Z"), None),
        (("2024-05-01T10:00:00Z", "2024-06-02T18:00:07Z"), None),
        (("1904-01-01T00:00:00Z", "2024-05-01T10:00:07Z"), None),
        (("2024-05-01T10:00:00Z", "yesterday"), None),
        ((None, "2024-05-01T10:00:07Z"), None),
    ],
)
def test_recordings_that_say_they_were_begun_apart_are_told(make_video, begun, offset_ms):
    """Two cameras, each with a clock of its own that it does not put into its stamps."""
    tags = [{} if one is None else {"creation_time": one} for one in begun]
    rgb = make_video("rgb.mkv", colour(30), rate=3, tags=tags[0])
    aux = second(make_video, 30, rate=3, tags=tags[1])
    told = [text for text in inspect_pair(rgb, aux).warnings if "the second one began" in text]
    assert [f"--offset-ms {offset_ms}," in text for text in told] == ([] if offset_ms is None else [True])
    options = PairingOptions(offset_s=Fraction(offset_ms or 0, 1000))
    assert offset_ms is None or not any("begun" in text for text in inspect_pair(rgb, aux, options).warnings)


def test_no_common_time_is_a_warning_here(rgb, make_video):
    report = inspect_pair(rgb, second(make_video, 10, pts=range(100, 110)))
    assert report.match.overlap_s == 0
    assert report.match.expected_pairs == 0
    assert report.match.skew.missing == 30
    assert report.match.skew.median_s is None
    assert any("share no time" in warning for warning in report.warnings)


def test_an_offset_is_taken_into_account(rgb, make_video):
    aux = second(make_video, 10, pts=range(100, 110))
    report = inspect_pair(rgb, aux, PairingOptions(offset_s=Fraction(-10)))
    assert (report.match.overlap_s, report.match.skew.missing, report.warnings) == (1, 0, ())


def test_unknown_modality_is_a_warning_here(rgb, make_video):
    rng = np.random.default_rng(2)
    aux = make_video("b.mp4", [rng.integers(0, 256, (H, W, 3)).astype(np.uint8)] * 30)
    report = inspect_pair(rgb, aux)
    assert report.modality is None
    assert "cannot tell" in report.modality_reason
    assert any("--modality" in warning for warning in report.warnings)


def test_another_shape_and_folders_are_told(rgb, tmp_path):
    folder = pictures_in(tmp_path / "depth", thermal(1, (50, 50)) * 30)
    (folder / "0007.png").write_bytes(b"x")
    report = inspect_pair(rgb, folder)
    text = " ".join(report.warnings)
    assert "96x64 and 50x50" in text
    assert "depth is a folder: its times assume 30 pictures a second" in text
    assert "depth has damaged or missing frames" in text
    assert report.match.sync is Sync.INDEX


def test_one_stream(rgb, tmp_path):
    report = inspect_pair(rgb)
    assert (report.rgb.frame_count, report.aux, report.match, report.warnings) == (30, None, None, ())
    with pytest.raises(VideoError):
        inspect_pair(tmp_path / "nothing.mp4")


def test_what_is_told_of_times_and_shapes_is_told_when_tracking_too(rgb, make_video):
    aux = second(make_video, 10, size=(50, 50), pts=range(3, 13))
    told = inspect_pair(rgb, aux).warnings
    with open_pair(rgb, aux) as source:
        remarks = source.remarks
    assert set(remarks) <= set(told)
    text = " ".join(remarks)
    assert "starts 0.3 s after the first" in text
    assert "96x64 and 50x50" in text
    with open_pair(rgb, aux, pairing=PairingOptions(fit=Fit.LETTERBOX)) as source:
        assert "96x64" not in " ".join(source.remarks)


@pytest.mark.parametrize(("share", "is_told"), [(0.6, True), (0.3, False)])
def test_sparse_depth_is_told(share, is_told, rgb, tmp_path):
    counts = np.full((H, W), 2000, np.uint16)
    counts[20:40] = 1200
    counts[np.random.default_rng(0).random(counts.shape) < share] = 0
    folder = pictures_in(tmp_path / "depth", [counts] * 30)
    with open_pair(rgb, folder) as source:
        next(iter(source))
        remarks = source.remarks
    for told in (" ".join(remarks), " ".join(inspect_pair(rgb, folder).warnings)):
        assert ("--aux-norm percentile" in told) is is_told


def numbered(folder, numbers):
    folder.mkdir()
    for number in numbers:
        cv2.imwrite(str(folder / f"{number:04d}.png"), np.full((8, 8, 3), 9, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("{:04d}_cam1", "{:04d}_cam2"), "only in color 12"),
        (("a{:d}_1920x1080", "a{:d}_640x512"), "only in color 12"),
        (("{:04d}", "1{:03d}"), "(color counts from 0, depth counts from 1000): only in color 12"),
        (("{:d}", "00{:d}0000"), "nearest numbers"),
        (("20240101_1200{:02d}_000", "20240101_1200{:02d}_200"), ""),
        (("17000000{:02d}_000000000", "17000000{:02d}_200000000"), ""),
    ],
    ids=["camera behind", "size behind", "from elsewhere", "time", "date", "seconds and rest"],
)
def test_numbers_that_are_not_the_last_or_not_the_same_pair_too(names, told, tmp_path):
    folders = []
    for name, style, left_out in zip(("color", "depth"), names, (None, 12), strict=True):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(20):
            if number != left_out:
                long = 33_333 * number + 7 * (name == "depth")
                said = (f"{long:07d}" if "nearest" in told else style.format(number)) + ".png"
                cv2.imwrite(str(folder / said), np.full((8, 8, 3), number, np.uint8))
        folders.append(folder)
    with open_pair(*folders, modality=Modality.DEPTH) as source:
        pairs = list(source)
        assert told in " ".join(source.remarks)
        if told:
            assert source.rgb_info.frame_rate == pytest.approx(30, rel=0.01)
    shown = [None if pair.aux is None else int(pair.aux.pixels[0, 0, 0]) for pair in pairs]
    assert shown == [*range(12), *([None] if told else [11]), *range(13, 20)]


@pytest.mark.parametrize(
    ("first", "other", "told"),
    [
        ({5}, {12}, "only in color 12, only in depth 5"),
        ({5, 6, 7}, {12}, "only in color 12, only in depth 5, 6, 7"),
        (set(), {0, 1}, "only in color 0, 1"),
        ({0}, {19}, "by place: color counts from 1, depth counts from 0"),
        (set(), set(), ""),
        ({3, 4}, {3, 4}, "The names leave out 3, 4: the times continue as if no picture were missing."),
    ],
    ids=["one each", "several", "the begin", "shifted", "none", "the same"],
)
def test_folders_that_lack_different_numbers_do_not_pair_by_place(first, other, told, tmp_path):
    color = numbered(tmp_path / "color", [n for n in range(20) if n not in first])
    depth = numbered(tmp_path / "depth", [n for n in range(20) if n not in other])
    with open_pair(color, depth, modality=Modality.DEPTH) as source:
        pairs = list(source)
        if "only in" not in told:  # a shift may be how two cameras count
            assert source.pairing.sync is Sync.INDEX
        assert told in " ".join(source.remarks)
        if "only in" not in told:
            return
    numbers = [n for n in range(20) if n not in first]
    assert [pair.rgb.index for pair in pairs] == list(range(len(numbers)))
    for number, pair in zip(numbers, pairs, strict=True):
        assert (pair.aux is None) == (number in other)
        if pair.aux is not None:
            assert [n for n in range(20) if n not in other][pair.aux.index] == number
    with open_pair(color, depth, modality=Modality.DEPTH, pairing=PairingOptions(sync=Sync.INDEX)) as source:
        assert [pair.aux.index for pair in source if pair.aux is not None] == list(
            range(min(len(numbers), 20 - len(other)))
        )


def named(folder, style, moments, grey=False):
    """Write a picture a moment, in seconds; its red, or its level, is the moment."""
    folder.mkdir()
    for moment in moments:
        name = (datetime(2024, 1, 1, 11, 58) + timedelta(seconds=moment)).strftime(style)
        picture = np.full((8, 8) if grey else (8, 8, 3), moment, np.uint8)
        cv2.imwrite(str(folder / f"{name.replace('UNIX', str(1_700_000_000 + moment))}.png"), picture)
    return folder


SECONDS = [*range(100, 130, 2)]  # a minute and an hour begin


@pytest.mark.parametrize("style", ["IMG_%Y%m%d_%H%M%S", "%Y-%m-%d %H.%M.%S", "%Y%m%d%H%M%S_cam", "UNIX"])
@pytest.mark.parametrize(
    ("second", "said"),
    [
        (SECONDS, "by the times in their names"),
        ([one for one in SECONDS if one not in (118, 120)], "by the times in their names"),
        ([one + 1 for one in SECONDS[1:6]], "by the times in their names"),
        ([one + 60 for one in SECONDS], "by place: the times in their names are +60 s apart"),
    ],
    ids=["the same", "some are missing", "between", "another clock"],
)
def test_dates_without_a_fraction_are_times(style, second, said, tmp_path):
    """Their digits were taken for numbers that count pictures: of a minute, 60 to 99 were missing."""
    rgb, aux = named(tmp_path / "color", style, SECONDS), named(tmp_path / "depth", style, second)
    with open_pair(rgb, aux, modality=Modality.DEPTH) as source:
        pairs = list(source)
        assert said in " ".join(source.remarks)
    assert [pair.rgb.time_s - pairs[0].rgb.time_s for pair in pairs] == [one - 100 for one in SECONDS]
    for moment, pair in zip(SECONDS, pairs, strict=True):
        near = [one for one in second if abs(one - moment) <= 1]
        found = None if pair.aux is None else int(pair.aux.pixels[0, 0, 0])
        assert found == (moment + 60 if "apart" in said else near[0] if near else None)


@pytest.mark.parametrize("style", ["%Y%m%d_%H%M%S", "UNIX", "%Y%m%d_%H%M%S_n%S"])
def test_dates_of_one_folder_are_its_times_unless_a_number_counts(style, tmp_path, make_video):
    folder = named(tmp_path / "depth", style, range(8), grey=True)
    is_time = "_n" not in style
    with open_pair(folder) as source:
        frames = [pair.rgb for pair in source]
        assert ("assume" in " ".join(source.remarks)) is not is_time
    assert frames[7].time_s - frames[0].time_s == (7 if is_time else Fraction(7, 30))
    with open_pair(folder, pairing=PairingOptions(folder_rate=Fraction(5))) as source:
        assert source.rgb_info.frame_rate == 5
    rgb = make_video("rgb.mkv", colour(20), rate=2, pts=range(10, 30))
    with open_pair(rgb, folder, modality=Modality.DEPTH) as source:
        shown = [None if pair.aux is None else int(pair.aux.pixels[0, 0]) for pair in source]
        assert ("begin with rgb.mkv" in " ".join(source.remarks)) is is_time
    if is_time:
        assert shown[:16:2] == list(range(8))


@pytest.mark.parametrize(
    ("hours", "late_s", "shown_late_s"), [(0, 0, 0), (0, 3, 3), (0, -2, -2), (2, 3, 0), (-9, 0, 0)]
)
def test_whole_seconds_beside_a_clock_with_fractions_are_of_that_clock(hours, late_s, shown_late_s, tmp_path):
    """A second camera that began three seconds late was moved to the start of the first."""
    begin = datetime(2024, 1, 31, 23, 59, 55)
    for stream in ("rgb", "thermal"):
        (tmp_path / stream).mkdir()
    for step in range(40):
        name = f"{begin + timedelta(seconds=step / 4):%Y%m%d_%H%M%S_%f}.png"
        cv2.imwrite(str(tmp_path / "rgb" / name), np.zeros((8, 8, 3), np.uint8))
    for second in range(6):
        name = f"{begin + timedelta(hours=hours, seconds=late_s + second):%Y%m%d_%H%M%S}.png"
        cv2.imwrite(str(tmp_path / "thermal" / name), np.zeros((8, 8), np.uint8))
    with open_pair(tmp_path / "rgb", tmp_path / "thermal") as source:
        pairs = list(source)
        assert any("begin with rgb" in one for one in source.remarks) is bool(hours)
    met = [pair.rgb.index for pair in pairs if pair.aux is not None and not pair.skew_s]
    assert met == [4 * (second + shown_late_s) for second in range(6) if second + shown_late_s >= 0]


@pytest.mark.parametrize("first", [0, 10**9 + 1, 10**17])
def test_large_numbers_in_names_cost_no_memory(first, rgb, tmp_path):
    """A number of every tick of a clock: all that lie before the first picture were listed."""
    folder = tmp_path / "thermal"
    folder.mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / f"t{first + 7 * 10**7 * number}b.png"), np.full((8, 8), number, np.uint8))
    with open_pair(rgb, folder) as source:
        assert len(list(source)) == 30


@pytest.mark.parametrize("name", ["timestamps.txt", "Times.csv", "rgb_pts.txt"])
@pytest.mark.parametrize(
    ("rows", "place", "is_video"),
    [(5, ".", False), (5, "rgb", False), (6, ".", False), (0, ".", False), (5, ".", True), (6, ".", True)],
)
def test_times_beside_pictures_without_any_are_said(name, rows, place, is_video, tmp_path, make_video):
    """A Raspberry Pi writes `.h264` and the times apart; who forgets them pairs by a made-up rate."""
    source = numbered(tmp_path / "rgb", range(5))
    if is_video:
        source = make_video("rgb.mjpeg", colour(5), codec="mjpeg", pix_fmt="yuvj420p")
    (tmp_path / place / name).write_text("".join(f"{100 * row}\n" for row in range(rows)))
    with open_pair(source) as pairs:
        said = f"{name} has a time for each picture of {source.name}: --rgb-times takes them."
        assert (said in pairs.remarks) is (rows == 5)
    aux = make_video("thermal.mkv", colour(5))
    with open_pair(aux, source, modality=Modality.DEPTH) as pairs:
        assert any("--aux-times takes them" in remark for remark in pairs.remarks) is (rows == 5)


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        (["ir_times.txt", "rgb_times.txt"], "rgb_times.txt"),
        (["irTimes.txt", "rgbTimes.txt"], "rgbTimes.txt"),
        (["ir-pts.csv"], None),
        (["rgb2_times.txt", "times.txt"], "times.txt"),
        (["stamps.txt", "times.txt"], None),
        ([f"times{number}.txt" for number in range(8)], None),
    ],
    ids=["each its own", "without a mark", "of the other", "of one called alike", "two", "many"],
)
def test_times_of_another_stream_are_not_taken_for_its_own(lists, found, tmp_path):
    folder = numbered(tmp_path / "rgb", range(5))
    for other in ("ir", "rgb2"):
        (tmp_path / other).mkdir()
    for name in lists:
        (tmp_path / name).write_text("".join(f"{100 * row}\n" for row in range(5)))
    with open_pair(folder) as pairs:
        said = [one.partition(" has a time")[0] for one in pairs.remarks if "--rgb-times" in one]
    assert said == ([] if found is None else [found])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([1, 2, 3, 6], "leave out 4, 5:"),
        ([1, 9998, 9999], "leave out 2, 3, 4, 5, 6, 7, …:"),
        ([5, 10, 15, 25, 30], "leave out 20:"),
        ([5, 10, 15, 20], ""),
        ([3, 7, 20, 21, 40], ""),
        ([100, 133, 166, 233], ""),
    ],
    ids=["a gap", "counts anew", "every fifth", "even", "a choice", "times"],
)
def test_numbers_that_one_folder_leaves_out_are_said(numbers, said, tmp_path):
    with open_pair(numbered(tmp_path / "rgb", numbers)) as source:
        remarks = " ".join(source.remarks)
    assert said in remarks
    assert bool(said) is ("leave out" in remarks)


@pytest.mark.parametrize(
    ("first", "other", "is_swapped"),
    [
        ("thermal.mkv", "rgb.mp4", True),
        ("rgb.mp4", "thermal.mkv", False),
        ("a.mkv", "b.mp4", True),
        ("b.mp4", "a.mkv", False),
        ("DJI_0001_T.mkv", "DJI_0001_V.mp4", True),
        ("DJI_0001_W.mp4", "DJI_0001_T.mkv", False),
        ("rgbt_thermal.mkv", "rgbt_visible.mp4", True),
        ("rgbt_visible.mp4", "rgbt_thermal.mkv", False),
    ],
)
def test_streams_that_were_given_the_wrong_way_round_are_noticed(first, other, is_swapped, make_video):
    """By their names, or by what they show; inspect says it and tracking too."""
    ramp = np.tile(np.linspace(0, 255, W).astype(np.uint8), (H, 1))
    photograph = np.dstack([ramp, ramp[:, ::-1], np.full((H, W), 60, np.uint8)])
    rgb, aux = (
        make_video(name, thermal(5), codec="ffv1", pix_fmt="gray16le")
        if name.endswith(".mkv")
        else make_video(name, [photograph] * 5)
        for name in (first, other)
    )
    assert ("swapped" in " ".join(inspect_pair(rgb, aux).warnings)) is is_swapped
    with open_pair(rgb, aux, modality=Modality.THERMAL) as source:
        next(iter(source))
        assert ("swapped" in " ".join(source.remarks)) is is_swapped
    if is_swapped and first[0] in "tD":
        with pytest.raises(ConfigError, match="swapped"):
            open_pair(rgb, aux)


def test_a_video_goes_with_a_folder_that_lacks_a_number(rgb, tmp_path):
    depth = numbered(tmp_path / "depth", [n for n in range(30) if n not in (7, 8)])
    with open_pair(rgb, depth, modality=Modality.DEPTH) as source:
        partners = [None if pair.aux is None else pair.aux.index for pair in source]
        assert "only in rgb.mp4 7, 8" in " ".join(source.remarks)
    assert partners == [*range(7), None, None, *range(7, 28)]


@pytest.mark.parametrize("unit", [1, 10**9])
def test_folders_whose_names_are_times_pair_by_time(unit, tmp_path):
    """As TUM and `str(time.time())` write them: another rate, another begin, one lost."""
    for name, times in (("rgb", [i * 33 for i in range(20)]), ("depth", [i * 50 + 5 for i in range(14)])):
        (tmp_path / name).mkdir()
        for time_ms in times:
            stamp = Fraction(1305031102175 + time_ms, 1000)
            text = str(int(stamp * unit)) if unit > 1 else str(float(stamp))
            cv2.imwrite(str(tmp_path / name / f"{text}.png"), np.full((8, 8, 3), 9, np.uint8))
    with open_pair(tmp_path / "rgb", tmp_path / "depth", modality=Modality.DEPTH) as source:
        assert source.pairing.sync is Sync.PTS
        skews = [pair.skew_s for pair in source]
        assert source.counts.aux_missing == 0
    nearest = [min((d * 50 + 5 - i * 33 for d in range(14)), key=abs) for i in range(20)]
    assert [round(1000 * skew) for skew in skews] == nearest


def test_an_old_length_in_a_header_advises_nothing(make_video):
    """A Matroska file that still says ten minutes: nothing about rates, ends or damage."""
    rgb = make_video("rgb.mkv", colour(30))
    content = rgb.read_bytes()
    rgb.write_bytes(content.replace(b"00:00:01.0", b"00:10:00.0"))
    report = inspect_pair(rgb, second(make_video, 10))
    assert report.warnings == ()
    assert report.match.expected_pairs == 30
