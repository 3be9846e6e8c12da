import logging
from datetime import datetime, timedelta
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import pictures_in
from PIL import Image

from dmtrack.errors import ConfigError, DecodeError, VideoError
from dmtrack.geometry.box import Box
from dmtrack.video.frame import Frame, Modality
from dmtrack.video.pairing import open_pair
from dmtrack.video.pictures import folder as folder_module
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_file import load_picture
from dmtrack.video.pictures.picture_list import list_images
from dmtrack.video.pictures.picture_names import natural_order, times_in_names
from dmtrack.video.position import Position
from dmtrack.video.stream_files import open_source


def colour(red=200, green=100, blue=50):
    return np.full((6, 8, 3), (red, green, blue), np.uint8)


def save(path, picture):
    """Write an RGB or grey picture."""
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])


def numbered(folder, count, suffix=".png"):
    for i in range(count):
        save(folder / f"{i + 1}{suffix}", colour(red=i))
    return folder


def test_natural_order_and_made_up_times(tmp_path):
    folder = numbered(tmp_path / "seq", 12)
    with FolderReader(folder, frame_rate=Fraction(25)) as reader:
        frames = list(reader)
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == list(range(12))  # 2.png before 10.png
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == [Fraction(i, 25) for i in range(12)]
    assert (reader.info.frame_rate, reader.info.frame_count) == (25, 12)
    assert (reader.info.width, reader.info.height) == (8, 6)


def test_mixed_case_names_and_prefixes_sort_by_number(tmp_path):
    for name in ("img10.png", "IMG2.PNG", "img1.jpg", "._img0.png", "groundtruth.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_images(tmp_path)] == ["img1.jpg", "IMG2.PNG", "img10.png"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
def test_16_bit_grey_is_exact(tmp_path, suffix):
    depth = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365
    save(tmp_path / "d" / f"1{suffix}", depth)
    reader = FolderReader(tmp_path / "d")
    (frame,) = reader
    assert frame.pixels.dtype == np.uint16
    assert np.array_equal(frame.pixels, depth)
    assert (reader.info.bit_depth, reader.info.channels, reader.info.pixel_format) == (16, 1, "gray16le")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_8_bit_colour_is_rgb(tmp_path, suffix):
    save(tmp_path / "c" / f"1{suffix}", colour(1, 2, 3))
    (frame,) = FolderReader(tmp_path / "c")
    assert frame.pixels[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_colour_and_grey(tmp_path, suffix):
    save(tmp_path / "c" / f"1{suffix}", colour())
    save(tmp_path / "g" / f"1{suffix}", colour()[..., 0])
    (rgb,), (gray,) = FolderReader(tmp_path / "c"), FolderReader(tmp_path / "g")
    assert np.abs(rgb.pixels[0, 0].astype(int) - (200, 100, 50)).max() <= 3
    assert gray.pixels.shape == (6, 8)


def test_16_bit_colour_loses_its_lower_byte(tmp_path):
    save(tmp_path / "c" / "1.png", np.full((6, 8, 3), (0x1234, 0x5678, 0x9ABC), np.uint16))
    reader = FolderReader(tmp_path / "c")
    (frame,) = reader
    assert frame.pixels[0, 0].tolist() == [0x12, 0x56, 0x9A]
    assert (frame.pixels.dtype, reader.info.bit_depth) == (np.uint8, 16)


def test_alpha_is_dropped(tmp_path):
    bgra = np.dstack([colour(1, 2, 3)[..., ::-1], np.zeros((6, 8), np.uint8)])
    cv2.imwrite(str(tmp_path / "1.png"), bgra)
    (frame,) = FolderReader(tmp_path)
    assert frame.pixels.shape == (6, 8, 3)
    assert frame.pixels[0, 0].tolist() == [1, 2, 3]


def test_exif_orientation_is_ignored(tmp_path):
    save(tmp_path / "1.jpg", colour())
    plain = (tmp_path / "1.jpg").read_bytes()
    # an APP1 segment with one entry: orientation 6, a quarter turn
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + b"\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    app1 = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    (tmp_path / "1.jpg").write_bytes(plain[:2] + app1 + plain[2:])
    turned = cv2.imread(str(tmp_path / "1.jpg"))
    assert turned.shape == (8, 6, 3)  # the tag is there
    with FolderReader(tmp_path) as reader:
        (frame,) = reader
    assert frame.pixels.shape == (6, 8, 3)
    assert "EXIF says to turn or mirror the pictures" in " ".join(reader.info.notes)
    (tmp_path / "1.jpg").write_bytes(plain)
    assert FolderReader(tmp_path).info.notes == ()


@pytest.mark.parametrize("suffix", [".png", ".ppm", ".tif"])
@pytest.mark.parametrize(("bits", "factor"), [(10, 64), (12, 16), (14, None), (16, None)])
def test_colours_in_the_lower_of_sixteen_bits_are_told(tmp_path, suffix, bits, factor):
    numbers = np.random.default_rng(bits).integers(0, 1 << bits, (6, 8, 3)).astype(np.uint16)
    numbers[0, 0] = (1 << bits) - 1
    save(tmp_path / f"1{suffix}", numbers)
    with FolderReader(tmp_path) as reader:
        said = " ".join(reader.info.notes)
    assert ("nearly black" in said) == (factor is not None)
    assert factor is None or f"multiply colours by {factor}." in said


def exif_jpeg(orientation):
    stored = bytes(cv2.imencode(".jpg", colour())[1])
    payload = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0%c\0\0\0\0\0\0\0" % orientation
    return stored[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + stored[2:]


def turned_tiff(orientation):
    stored = bytearray(bytes(cv2.imencode(".tif", colour(), (cv2.IMWRITE_TIFF_COMPRESSION, 1))[1]))
    entry = stored.find(b"\x1c\x01\x03\0")  # planar configuration, which is 1 unsaid
    stored[entry : entry + 12] = b"\x12\x01\x03\0\x01\0\0\0%c\0\0\0" % orientation
    return bytes(stored)


def exif_png(orientation):
    """Return a picture whose EXIF Pillow wrote: other readers turn it."""
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(colour()).save(file, "PNG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "write"),
    [(".jpg", exif_jpeg), (".tif", turned_tiff), (".png", exif_png)],
    ids=["jpeg", "tiff", "png"],
)
@pytest.mark.parametrize("turned", [range(12), [11], []], ids=["all", "the last", "none"])
def test_pictures_that_say_to_be_turned_or_mirrored_are_told(tmp_path, suffix, write, orientation, turned):
    for number in range(12):
        (tmp_path / f"{number}{suffix}").write_bytes(write(orientation if number in turned else 1))
    with FolderReader(tmp_path) as reader:
        assert {frame.pixels.shape for frame in reader} == {(6, 8, 3)}
    assert ("EXIF says to turn or mirror" in " ".join(reader.info.notes)) is (
        orientation > 1 and bool(turned)
    )


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("several", [[0], [1, 2], [2]], ids=str)
def test_a_folder_of_stacks_says_that_one_picture_of_each_is_read(tmp_path, suffix, several):
    """Stacks of TIFF, animated PNG."""
    pictures = [Image.fromarray(colour(red=80 * number)) for number in range(3)]
    for number in range(3):
        more = pictures[1:] if number in several else []
        pictures[0].save(tmp_path / f"rec_{number}{suffix}", save_all=True, append_images=more)
    reader = FolderReader(tmp_path)
    assert [int(frame.pixels[0, 0, 0]) for frame in reader] == [0, 0, 0]
    said = f"{tmp_path.name}: rec_{several[0]}{suffix} holds 3 pictures; of each file one is read."
    assert said in reader.info.notes
    with open_source(tmp_path / f"rec_{several[0]}{suffix}") as source:
        assert [int(frame.pixels[0, 0, 0]) for frame in source] == [0, 80, 160]
        assert source.info.notes == ()


def test_a_folder_of_tables_is_told(tmp_path):
    """Thermal cameras' programs write the degrees of a picture as a table."""
    (tmp_path / "Rec-0001.csv").write_text("21,5;21,6\n")
    with pytest.raises(VideoError, match="tables are not read: save them as TIFF of floats"):
        FolderReader(tmp_path)
    (tmp_path / "rgb").mkdir()
    with pytest.raises(VideoError, match="sub-folders rgb: name one"):
        FolderReader(tmp_path)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["1.heic", "2.HEIC", "3.heic"], "3 files are not read, such as 1.heic"),
        (["7.webp"], "1 file is not read, such as 7.webp"),
        (["thumbnail.dng", "._2.jp2", "labels.json", "Thumbs.db"], ""),
        (["K.npy", "poster.webp", "preview.gif", "sky.hdr"], ""),
    ],
    ids=["a few were converted", "one", "beside one that is read", "no frames"],
)
def test_pictures_that_are_not_read_are_told(tmp_path, others, said):
    save(tmp_path / "thumbnail.jpg", colour())
    for name in others:
        (tmp_path / name).write_bytes(b"x")
    notes = FolderReader(tmp_path).info.notes
    assert notes == ((f"{tmp_path.name}: {said}: save pictures as PNG or TIFF.",) if said else ())
    (tmp_path / "thumbnail.jpg").unlink()
    if said:
        with pytest.raises(VideoError, match="save them as PNG or TIFF"):
            FolderReader(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rgb.mp4", "its pictures are read, not rgb.mp4"),
        ("3 (1).png", "looks like a copy counts as a frame, such as '3 (1)'"),
        ("7 - Copy.png", "such as '7 - Copy'"),
        ("7_edited.png", "such as '7_edited'"),
        ("77 (1).png", ""),
        ("groundtruth.txt", ""),
    ],
)
def test_what_lies_among_pictures_and_may_not_be_meant_is_told(tmp_path, name, said):
    """A thumbnail beside the video was the recording; a copy moved every later frame by one."""
    folder = numbered(tmp_path / "seq", 20)
    (folder / name).write_bytes((folder / "3.png").read_bytes())
    (notes,) = FolderReader(folder).info.notes or [""]
    assert said in notes
    assert bool(notes) is bool(said)


@pytest.mark.parametrize(
    ("names", "is_told"),
    [
        (["2024-05-01 11.59.59 AM", "2024-05-01 01.00.00 PM"], True),
        (["at 12.59.59 p.m", "at 1.00.00 p.m"], True),
        (["03-04-05.250 PM", "03-04-06.500 PM"], False),
        (["30-04-2024 23.59.59", "01-05-2024 00.00.00"], True),
        (["30042024_235959", "01052024_000000"], True),
        (["29-04-2024 23.59.59", "30-04-2024 00.00.00"], False),
        (["12.31.2023 23.59.59", "01.01.2024 00.00.00"], True),
        (["04.30.2024 23.59.59", "05.01.2024 00.00.00"], False),
        (["2024-04-30 23.59.59", "2024-05-01 00.00.00"], False),
        (["31312024_1", "00002024_2"], False),
        (["12_34_amber", "1_34_pm_1"], False),
        (["a_23-59-59.900", "a_00-00-00.000"], True),
        (["11-59-59.900", "12-00-00.000"], False),
        (["11-59-59.900 AM", "01-00-00.000 PM"], True),
        (["2024-05-01_23-59-59.900", "2024-05-02_00-00-00.000"], False),
        (["2024-Mar-31_23-59-59", "2024-Apr-01_00-00-00"], True),
        (["30Apr2024_235959", "01May2024_000000"], True),
        (["31. März 2024 23.59.59", "1. April 2024 00.00.00"], True),
        (["Dec 31, 2023 235959", "Jan 01, 2024 000000"], True),
        (["05Mar2024_123001", "05Mar2024_123002"], False),
        (["march_1", "march_2", "march_3"], False),
    ],
)
def test_names_whose_numbers_do_not_rise_with_time_are_told(tmp_path, names, is_told):
    for name in names:
        save(tmp_path / f"{name}.png", colour())
    notes = FolderReader(tmp_path).info.notes
    assert ["not that of time: name them by year" in note for note in notes] == [True] * is_told


def test_seconds_of_a_clock_are_no_times_of_their_own():
    """Pictures across midnight were a minute."""
    names = [f"{clock}.{tenth}00.png" for clock in ("00-00-00", "23-59-59") for tenth in range(10)]
    assert times_in_names([Path(name) for name in names]) is None


@pytest.mark.parametrize("name", ["01_02_1305031102.{}5.png", "cam-01-02-13050311020{}.png"])
def test_times_since_1970_are_times_behind_any_two_numbers(name):
    assert times_in_names([Path(name.format(number)) for number in range(10, 13)]) is not None


def test_a_series_of_windows_is_no_row_of_copies(tmp_path):
    for name in ("image", *(f"image ({number})" for number in range(2, 20))):
        save(tmp_path / f"{name}.png", colour())
    assert FolderReader(tmp_path).info.notes == ()


def test_a_folder_of_videos_says_which(tmp_path):
    (tmp_path / "rgb.mp4").write_bytes(b"x")
    (tmp_path / "poster.webp").write_bytes(b"x")
    with pytest.raises(VideoError, match=r"it has rgb\.mp4: name one of them"):
        FolderReader(tmp_path)


def test_a_folder_of_folders_says_which(tmp_path):
    for name in ("color", "depth"):
        (tmp_path / name).mkdir()
    (tmp_path / "K.npy").write_bytes(b"x")
    with pytest.raises(VideoError, match="it has the sub-folders color, depth: name one of them"):
        FolderReader(tmp_path)


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 40), (0x1FF0, 40), (0xFFF, 40), pytest.param(0, 2900, id="a00 and b00 are no two streams")],
)
def test_hexadecimal_numbers_are_in_order(first, count, tmp_path, caplog):
    names = [f"{number:04x}.png" for number in range(first, first + count)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in list_images(tmp_path)] == names
    assert not caplog.records


@pytest.mark.parametrize("most", [255, 4095, 65535])
def test_netpbm_is_exact(tmp_path, most):
    counts = (np.arange(48).reshape(6, 8) * (most // 47)).astype(np.uint16)
    body = counts.astype(">u2").tobytes() if most > 255 else counts.astype(np.uint8).tobytes()
    (tmp_path / "1.PGM").write_bytes(b"P5\n# of a camera\n8 6\n%d\n" % most + body)
    (frame,) = FolderReader(tmp_path)
    assert np.array_equal(frame.pixels, counts)
    assert frame.pixels.dtype == (np.uint16 if most > 255 else np.uint8)
    (tmp_path / "1.PGM").write_bytes(b"P5\n30000 30000\n65535\n" + body)
    with pytest.raises(DecodeError, match="larger than the file can hold"):
        FolderReader(tmp_path)


def test_names_outside_ascii(tmp_path):
    folder = tmp_path / "Wärmebild 熱"
    folder.mkdir()
    (folder / "é 1.png").write_bytes(cv2.imencode(".png", colour())[1].tobytes())
    assert len(list(FolderReader(folder))) == 1


def test_bad_pictures_are_skipped_counted_and_keep_the_others_in_place(tmp_path, caplog):
    folder = numbered(tmp_path / "seq", 8)
    (folder / "3.png").write_bytes(b"no picture")
    (folder / "5.png").write_bytes(b"")
    (folder / "6.png").write_bytes((folder / "7.png").read_bytes()[:60])
    reader = FolderReader(folder)
    with caplog.at_level(logging.WARNING):
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1, 3, 6, 7]
    assert [frame.pts for frame in frames] == [0, 1, 3, 6, 7]
    assert reader.damaged_packets == 3
    assert "3.png" in caplog.text


@pytest.mark.parametrize(
    ("day", "night"),
    [
        (((8, 10, 3), np.uint8), ((4, 5, 3), np.uint8)),
        (((8, 10, 3), np.uint8), ((8, 10), np.uint16)),
        (((8, 10), np.uint16), ((8, 10), np.uint8)),
        (((8, 10), np.uint8), ((16, 20), np.uint16)),
        (((8, 10), np.uint16), ((8, 10, 3), np.uint8)),
    ],
    ids=["size", "colour to counts", "bits", "size and bits", "counts to colour"],
)
@pytest.mark.parametrize("turns", [1, 5], ids=["by turns", "once"])
def test_a_folder_may_change_between_day_and_night(day, night, turns, tmp_path, caplog):
    kinds = [(day, night)[number // turns % 2] for number in range(10)]
    for number, (shape, dtype) in enumerate(kinds):
        save(tmp_path / f"{number}.png", np.full(shape, 50 + number, dtype))
    with caplog.at_level(logging.WARNING):
        frames = list(FolderReader(tmp_path))
    assert [frame.index for frame in frames] == list(range(10))
    assert {frame.pixels.shape[:2] for frame in frames} == {(8, 10)}
    assert [frame.pixels.dtype for frame in frames] == [dtype for _, dtype in kinds]
    assert [int(frame.pixels.flat[0]) for frame in frames] == list(range(50, 60))
    assert caplog.text.count("scaled") == (day[0][:2] != night[0][:2])


def test_names_that_are_times_are_the_frames_times(tmp_path):
    for name in ("1305031102.175304", "1305031102.2", "1305031102.25", "1305031103.5"):
        save(tmp_path / f"{name}.png", np.zeros((4, 5, 3), np.uint8))
    reader = FolderReader(tmp_path)
    frames = list(reader)
    assert reader.has_clock
    assert [frame.time_s for frame in frames] == [
        Fraction(text) for text in ("1305031102.175304", "1305031102.2", "1305031102.25", "1305031103.5")
    ]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    beside = FolderReader(tmp_path, start_s=Fraction(5), is_beside=True)
    assert [frame.time_s for frame in beside] == [5 + frame.time_s - frames[0].time_s for frame in frames]


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["1700000000123456789", "1700000000156789123"], Fraction("1700000000.123456789")),
        (["1700000000123456", "1700000000156789"], Fraction("1700000000.123456")),
        (["rgb_1700000000123", "rgb_1700000000156"], Fraction("1700000000.123")),
        (["0.000000", "0.033333", "0.066667"], Fraction(0)),
        (["0.0", "0.05", "0.1", "0.15"], Fraction(0)),
        (["00000001", "00000002"], None),
        (["000000001", "000000002"], None),
        (["20240115123456", "20240115123457"], None),
        (["DJI_20240115123456_0001_V", "DJI_20240115123459_0002_V"], None),
        (["20240115_235959_900", "20240116_000000_100"], Fraction("1705363199.9")),
        (["cam 2024-01-15T23-59-59.900000", "cam 2024-01-16T00-00-00.100000"], Fraction("1705363199.9")),
        (["20240115_235959_001", "20240115_235959_002", "20240115_235959_004"], None),
        (["20241315_235959_001", "20241315_235959_101"], None),
        (["1700000000_100000000", "1700000000_200000000"], Fraction("1700000000.1")),
        (["1700000000_000001", "1700000000_000002"], None),
        (["1.2", "1.3", "1.10"], None),
        (["seq1.001", "seq1.001"], None),
        (["1700000000.5", "frame"], None),
    ],
)
def test_which_names_are_times(names, seconds):
    times_s = times_in_names([Path(f"{name}.png") for name in names])
    assert (times_s or [None])[0] == seconds


STYLES = {
    "%Y-%m-%dT%H:%M:%S.%f": 6,
    "%Y-%m-%d %H.%M.%S.%f": 3,
    "cam2 %Y%m%d-%H%M%S.%f": 2,
    "%Y-%m-%d %H-%M-%S,%f": 3,
    "%Y%m%d_%H%M%S_%f_rgb": 3,
    "%H:%M:%S.%f": 6,
    "%H-%M-%S-%f": 3,
    "%Hh%Mm%Ss%f": 3,
    "%H%M%S.%f": 3,
    "%d-%m-%Y_%H-%M-%S_%f": 3,
    "%d%m%Y_%H%M%S_%f": 3,
    "%y%m%d_%H%M%S.%f": 4,
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("step_ms", "pause_ms"), [(40, 0), (110, 0), (1500, 0), (110, 7_200_000), (99_900, 9)]
)
def test_times_of_the_day_in_names_are_times_across_minutes_and_hours(style, step_ms, pause_ms):
    """235959.9 was 235959.9 seconds, and names with colons none: folders went together by place.

    So did those of a camera that waits for something to move, or takes a picture now and then.
    """
    begin = datetime(2024, 1, 31, 11, 59, 58, 430_000)
    steps_ms = [step_ms * number + pause_ms * (number > 9) for number in range(60)]
    moments = [begin + timedelta(milliseconds=one) for one in steps_ms]
    digits = STYLES[style]
    names = [
        Path(one.strftime(style.replace("%f", f"{one.microsecond:06d}"[:digits])) + ".png") for one in moments
    ]
    found = times_in_names(natural_order(names))
    expected = [Fraction(one, 1000) for one in steps_ms]
    assert max(abs(time_s - found[0] - one) for time_s, one in zip(found, expected, strict=True)) < 0.01


def test_a_fraction_of_zero_that_python_leaves_out_is_one():
    moments = [datetime(2024, 1, 31, 23, 59, 58) + timedelta(milliseconds=100 * n) for n in range(50)]
    names = natural_order([Path(f"{one.isoformat()}.png") for one in moments])
    found = times_in_names(names)
    assert [time_s - found[0] for time_s in found] == [Fraction(n, 10) for n in range(50)]


@pytest.mark.parametrize(
    "name", ["01_02_03_{:03}", "cam 10-20-30_{:06}", "310124_101010_{:03}", "12:34:56,{:04}"]
)
@pytest.mark.parametrize("step", [2, 5, 10])
def test_every_fifth_number_of_a_shot_is_no_time_of_the_day(name, step):
    assert times_in_names([Path(f"{name.format(step * number)}.png") for number in range(60)]) is None


@pytest.mark.parametrize("options", [(), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3)], ids=["plain", "restarts"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_that_lacks_data_is_used_and_counted(tmp_path, caplog, channels, options):
    noise = np.random.default_rng(5).integers(90, 160, (96, 128, channels)).astype(np.uint8)
    noise[:32] = 128  # grey by itself
    data = cv2.imencode(".jpg", noise, options)[1].tobytes()
    place = data.find(b"\xff\xda") + len(data) // 2
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    (tmp_path / "2.jpg").write_bytes(data[:place] + b"\xff" * 40 + data[place + 40 :])
    reader = FolderReader(tmp_path)
    with caplog.at_level(logging.WARNING):
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert reader.damaged_packets == 1
    assert "2.jpg: a part" in caplog.text


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(96, 128), (33, 47)])
def test_a_progressive_jpeg_lacks_no_grey(tmp_path, channels, size):
    """What its other scans hold of a part that is damaged is shown there."""
    noise = np.random.default_rng(5).integers(90, 160, (*size, channels)).astype(np.uint8)
    data = cv2.imencode(".jpg", noise, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    place = len(data) * 2 // 3
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    (tmp_path / "2.jpg").write_bytes(data[:place] + bytes(60) + data[place + 60 :])
    reader = FolderReader(tmp_path)
    assert [frame.index for frame in reader] == [0, 1, 2, 3]
    assert reader.damaged_packets == 1


@pytest.mark.parametrize("deep", [0, 1])
def test_pictures_of_other_bits_are_said_and_not_measured(tmp_path, caplog, deep):
    """Degrees of -272 and depths of centimetres were read off what had become pictures of 8 bits."""
    warm = [np.full((24, 32), 29_315, np.uint16), np.full((24, 32), 120, np.uint8)]
    pictures_in(tmp_path / "rgb", [np.full((24, 32, 3), 90, np.uint8)] * 5)
    pictures_in(tmp_path / "thermal", [warm[n in (2, 3)] if deep else warm[1] for n in range(5)])
    with open_pair(tmp_path / "rgb", tmp_path / "thermal", modality=Modality.THERMAL) as source:
        found = [pair.measure(Box(8, 8, 9, 9)) for pair in source]
    assert [one is not None for one in found] == [bool(deep) and n not in (2, 3) for n in range(5)]
    assert caplog.text.count("8 bits, unlike the first") == deep


@pytest.mark.parametrize("first", [0, 61, 9950])
def test_seconds_that_are_counted_are_no_time_of_the_day(first):
    seconds = [first + number / 4 for number in range(400)]
    found = times_in_names([Path(f"{one:010.3f}.png") for one in seconds])
    assert [float(one) for one in found] == seconds


def test_a_bad_first_picture_does_not_matter(tmp_path):
    folder = numbered(tmp_path / "seq", 3)
    (folder / "1.png").write_bytes(b"no picture")
    reader = FolderReader(folder)
    assert [frame.index for frame in reader] == [1, 2]
    assert reader.damaged_packets == 1


def test_a_link_to_nothing_is_one_bad_picture(tmp_path):
    folder = numbered(tmp_path / "seq", 3)
    (folder / "0.png").symlink_to("gone.png")
    (folder / "2b.png").mkdir()
    reader = FolderReader(folder)
    assert [frame.index for frame in reader] == [1, 2, 4]
    assert reader.damaged_packets == 2


def test_damage_is_bounded_and_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("dmtrack.video.source.MAX_CONSECUTIVE_DAMAGED", 3)
    folder = numbered(tmp_path / "seq", 9)
    for i in range(4, 10):
        (folder / f"{i}.png").write_bytes(b"no picture")
    frames: list[Frame] = []
    with pytest.raises(DecodeError, match=r"6\.png: 3 pictures in a row"):
        frames.extend(FolderReader(folder))
    assert len(frames) == 3


def test_only_bad_pictures_is_an_error_at_once(tmp_path):
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(DecodeError, match=r"1\.png"):
        FolderReader(tmp_path)


def test_range_does_not_open_what_lies_before(tmp_path, monkeypatch):
    folder = numbered(tmp_path / "seq", 10)
    reader = FolderReader(folder)
    opened = []
    load = load_picture
    monkeypatch.setattr(
        folder_module, "load_picture", lambda file, *rest: opened.append(file.name) or load(file, *rest)
    )
    frames = list(reader.read(Position(index=6), Position(time_s=Fraction(8, 30))))
    assert [frame.index for frame in frames] == [6, 7]
    assert opened == ["7.png", "8.png"]


@pytest.mark.parametrize("start_s", [Fraction(0), Fraction(5, 9), Fraction(-3, 2), Fraction(7)])
def test_times_from_another_start_are_exact(tmp_path, start_s):
    folder = numbered(tmp_path / "seq", 4)
    rate = Fraction(30_000, 1001)
    frames = list(FolderReader(folder, frame_rate=rate, start_s=start_s))
    assert [frame.time_s for frame in frames] == [start_s + i / rate for i in range(4)]


def test_errors_say_what_is_there_instead(tmp_path):
    with pytest.raises(VideoError, match="no such folder"):
        FolderReader(tmp_path / "nothing")
    (tmp_path / "visible").mkdir()
    with pytest.raises(VideoError, match="sub-folders visible"):
        FolderReader(tmp_path)
    with pytest.raises(ConfigError, match="rate"):
        FolderReader(numbered(tmp_path / "seq", 1), frame_rate=Fraction(0))


@pytest.mark.parametrize(
    ("first", "later"), [(20.0, -15.0), (1.5, 80.0), (300.0, 262.0)], ids=["degrees", "metres", "kelvin"]
)
def test_the_first_picture_does_not_decide_which_numbers_fit(first, later, tmp_path):
    slope = np.linspace(0, 1, 32, dtype=np.float32)[None, :].repeat(24, 0)
    pictures = (slope + np.float32(middle) for middle in (first, first, later, first))
    reader = FolderReader(pictures_in(tmp_path, pictures, "{}.tif"))
    scale = reader.info.counts
    shown = [float(np.median(frame.pixels)) / scale.per_unit + scale.zero for frame in reader]
    assert shown == pytest.approx([first + 0.5, first + 0.5, later + 0.5, first + 0.5], abs=0.03)


@pytest.mark.parametrize(
    "names",
    [
        ("{:03}_rgb.png", "{:03}_thermal.png"),
        ("color{}.png", "depth{}.png"),
        ("{:04}.tiff", "{:04}.jpg"),
        ("IR_{:04}_a.PNG", "ir_{}_b.png"),
    ],
)
@pytest.mark.parametrize("others", [6, 30])
def test_two_streams_in_one_folder_are_not_one(names, others, tmp_path):
    for name, count in zip(names, (others, 6), strict=True):
        for number in range(count):
            (tmp_path / name.format(number)).write_bytes(b"x")
    with pytest.raises(VideoError, match=r"two series of pictures, as .*0.* and .*0.*a folder of its own"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        ["12 copy.png", "13b.png"],
        [f"night_{number:03}.jpg" for number in range(40, 50)],
        ["a.png", "b.png", "c.png", "d.png"],
    ],
    ids=["a few put in", "another camera goes on", "names without numbers"],
)
def test_names_of_other_kinds_may_be_of_the_same_series(more, tmp_path):
    for name in [*(f"{number}.png" for number in range(30)), *more]:
        (tmp_path / name).write_bytes(b"x")
    assert len(list_images(tmp_path)) == 30 + len(more)


@pytest.mark.parametrize(
    ("numbered", "stray", "is_frame"),
    [
        ("{}.png", "thumbnail.jpg", False),
        ("frame_{:05}.png", "background.png", False),
        ("image ({}).png", "image.png", True),
        ("Screenshot-{}.png", "screenshot.png", True),
    ],
)
def test_a_picture_without_a_number_among_many_with_one_is_no_frame(
    numbered, stray, is_frame, tmp_path, caplog
):
    for name in [*(numbered.format(number) for number in range(2, 12)), stray]:
        (tmp_path / name).write_bytes(b"x")
    assert (stray in [file.name for file in list_images(tmp_path)]) is is_frame
    assert (stray in caplog.text) is not is_frame


@pytest.mark.parametrize("again", ["thermal", "./thermal", "link"])
def test_a_folder_is_not_both_streams(tmp_path, monkeypatch, again):
    pictures_in(tmp_path / "thermal", [np.zeros((8, 8), np.uint8)] * 2)
    (tmp_path / "link").symlink_to("thermal")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match="given for both streams and holds one; name the file of the second"):
        open_pair("thermal", again)
