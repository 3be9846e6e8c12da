"""Pictures that lie about their size, refused before anything is allocated for them."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest
from clips import pictures_in, written

from dmtrack.errors import DecodeError, FormatError
from dmtrack.video.frame import Modality
from dmtrack.video.pictures.counts import CountScale
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_file import decode_picture, encoded_picture, is_believable, read_picture
from dmtrack.video.pictures.picture_list import list_images
from dmtrack.video.second.aux_encoder import AuxEncoder, EncodingOptions, mm_per_count
from dmtrack.video.stream_files import open_source


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
@pytest.mark.parametrize("shape", [(30, 41, 3), (30, 41), (500, 3, 3)], ids=str)
def test_a_picture_of_any_kind_is_believed(suffix, shape):
    picture = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    data = cv2.imencode(f".{suffix}", picture)[1].tobytes()
    assert is_believable(data)


def test_a_big_endian_tiff_is_read_exactly():
    counts = np.random.default_rng(2).integers(0, 65536, (5, 7)).astype(np.uint16)
    data = _tiff(counts.astype(">u2").tobytes(), 7, 5, ">")
    assert np.array_equal(decode_picture(data).pixels, counts)
    wrong = decode_picture(_tiff(counts.astype("<u2").tobytes(), 7, 5, ">")).pixels
    assert np.array_equal(wrong.byteswap(), counts), "the header's byte order counts, not the machine's"


@pytest.mark.parametrize("shape", [(64, 64), (2000, 2000)])
def test_a_picture_of_one_colour_is_believed(shape):
    """It packs better than any other: what is asked of a file must not shut it out."""
    for suffix in (".png", ".jpg", ".tiff"):
        for dtype in (np.uint8, np.uint16):
            if suffix == ".jpg" and dtype == np.uint16:
                continue
            data = cv2.imencode(suffix, np.zeros(shape, dtype))[1].tobytes()
            assert is_believable(data), (suffix, dtype)


@pytest.mark.parametrize("packing", [1, 4, 8], ids=["plain", "fax", "deflate"])
def test_a_tiff_of_one_bit_and_one_colour_is_read(packing, tmp_path):
    """Event pictures in which nothing happens, as black and white."""
    width, height = 1280, 720
    rows = bytes(width // 8 * height)
    packed = {1: rows, 4: b"\xff" * (height // 8) + b"\0\x10\1\0\x10\1", 8: zlib.compress(rows)}[packing]
    data = _tiff(packed, width, height, "<", bits=1, packing=packing)
    assert np.ptp(decode_picture(data).pixels) == 0
    assert decode_picture(data).pixels.shape == (height, width)
    with pytest.raises(FormatError, match="larger than the file can hold"):
        decode_picture(_tiff(packed[:999], 60_000, 60_000, "<", bits=1, packing=packing))


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return _chunks((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))


def _chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _tiff(pixels: bytes, width: int, height: int, order: str, bits: int = 16, packing: int = 1) -> bytes:
    fields = [
        (256, width),
        (257, height),
        (258, bits),
        (259, packing),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
    ]
    fields.append((279, len(pixels)))
    directory = 8 + len(pixels)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, directory)
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in fields)
    return head + pixels + struct.pack(f"{order}H", len(fields)) + entries + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        _png(60_000, 60_000),
        _png(2**31 - 1, 2**31 - 1),
        _tiff(bytes(70), 50_000, 50_000, "<"),
        b"BM" + bytes(16) + struct.pack("<ii", 60_000, -60_000) + bytes(30),
        b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(20),
    ],
    ids=["png", "largest png", "tiff", "bmp", "jpeg"],
)
def test_a_small_file_that_claims_much_is_not_decoded(data, tmp_path, monkeypatch):
    assert not is_believable(data)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(FormatError, match="larger than the file can hold"):
        decode_picture(data)
    file = written(tmp_path / "0001.png", data)
    with pytest.raises(DecodeError, match=r"0001\.png"):
        read_picture(file)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
def test_every_cut_of_a_file_is_an_error_or_a_picture(suffix):
    whole = cv2.imencode(f".{suffix}", np.full((9, 9), 77, np.uint8))[1].tobytes()
    for length in range(len(whole)):
        with suppress(FormatError):
            decode_picture(whole[:length])


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20), bytes(64)], ids=str)
def test_a_folder_of_bad_pictures_names_the_first(content, tmp_path):
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(DecodeError, match=r"1\.png"):
        FolderReader(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_one_cut_picture_of_sixteen_bits_is_skipped_and_counted(suffix, tmp_path):
    counts = np.random.default_rng(3).integers(0, 65536, (40, 40)).astype(np.uint16)
    pictures_in(tmp_path, [counts] * 3, f"{{}}.{suffix}")
    middle = tmp_path / f"1.{suffix}"
    middle.write_bytes(middle.read_bytes()[:60])
    with FolderReader(tmp_path) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 2]
    assert reader.damaged_packets == 1
    assert np.array_equal(frames[1].pixels, counts)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_an_empty_palette_picture_of_few_bits_is_believed(bits, tmp_path):
    """A blank event picture: 1280x720 in 200 bytes, eight pixels a byte before deflate."""
    width, height = 1280, 720
    header = struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0)
    rows = bytes((1 + width * bits // 8) * height)
    parts = (
        (b"IHDR", header),
        (b"PLTE", b"\xff\xff\xff\xff\0\0"),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    assert decode_picture(data).pixels.shape[:2] == (height, width)


def _turned(shape, dtype, orientation, order="<"):
    counts = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    body, depth = counts.astype(np.dtype(dtype).newbyteorder(order)).tobytes(), np.dtype(dtype).itemsize * 8
    fields = [
        (256, shape[1]),
        (257, shape[0]),
        (258, depth),
        (259, 1),
        (262, 1),
        (273, 8),
        (274, orientation),
    ]
    fields += [(277, 1), (278, shape[0]), (279, len(body))]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(body))
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 3, 1) + struct.pack(f"{order}HH", value, 0) for tag, value in fields
    )
    return counts, head + body + struct.pack(f"{order}H", len(fields)) + entries + bytes(4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_ignored_in_tiff_as_in_every_format(dtype, orientation, order):
    counts, data = _turned((5, 7), dtype, orientation, order)
    assert np.array_equal(decode_picture(data).pixels, counts)


@pytest.mark.parametrize(("packing", "name"), [(34925, "LZMA"), (50000, "ZSTD"), (34887, "LERC")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_that_cannot_be_unpacked_says_how_it_is_packed(packing, name, order):
    _, data = _turned((5, 7), np.uint16, 1, order)
    plain, packed = (struct.pack(f"{order}HHIH", 259, 3, 1, value) for value in (1, packing))
    with pytest.raises(FormatError, match=f"packed by {name}"):
        decode_picture(data.replace(plain, packed))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_of_several_pages_is_so_many_pictures(dtype, tmp_path):
    pages = [np.full((8, 9), value + 1, dtype) for value in range(3)]
    (tmp_path / "stack").mkdir()
    file = tmp_path / "stack" / "rec.tiff"
    assert cv2.imwritemulti(str(file), pages)
    for place in (file, file.parent):
        with open_source(place) as source:
            factor = 1000 if dtype is np.float32 else 1
            assert [int(frame.pixels[0, 0]) for frame in source] == [factor, 2 * factor, 3 * factor]
            assert source.damaged_packets == 0


_RAMP = np.linspace(0, 1, 1200).reshape(30, 40)


@pytest.mark.parametrize(
    ("stored", "unit_mm", "counts"),
    [
        ((0.5 + 5 * _RAMP).astype(np.float32), 1, 500 + 5000 * _RAMP),
        ((0.5 + 5 * _RAMP).astype(np.float64), 1, 500 + 5000 * _RAMP),
        ((500 + 5000 * _RAMP).astype(np.float32), 1, 500 + 5000 * _RAMP),
        (
            np.where(_RAMP < 0.3, -1, 1 + _RAMP).astype(np.float32),
            1,
            np.where(_RAMP < 0.3, 0, 1 + _RAMP) * 1000,
        ),
        (np.where(_RAMP < 0.3, np.nan, 1 + _RAMP), 1, np.where(_RAMP < 0.3, 0, 1 + _RAMP) * 1000),
        (np.where(_RAMP < 0.3, 1e10, 1 + _RAMP), 1, np.where(_RAMP < 0.3, 0, 1 + _RAMP) * 1000),
        (
            np.where(_RAMP < 0.3, np.finfo(np.float32).max, 1 + _RAMP).astype(np.float32),
            1,
            np.where(_RAMP < 0.3, 0, 1 + _RAMP) * 1000,
        ),
        ((20 + 17 * _RAMP).astype(np.float32), None, (20 + 17 * _RAMP) * 100),
        ((40 * _RAMP - 20).astype(np.float32), None, (40 * _RAMP - 20 + 273.15) * 100),
        ((290 + 20 * _RAMP).astype(np.float32), None, (290 + 20 * _RAMP) * 100),
        ((7000 + 600 * _RAMP).astype(np.int16), None, 7000 + 600 * _RAMP),
        ((2000 * _RAMP - 900).astype(np.int16), None, 2000 * _RAMP - 900 + 32768),
        ((30_000 + 9000 * _RAMP).astype(np.int32), None, 30_000 + 9000 * _RAMP),
        ((50_000 + 15_000 * _RAMP).astype(np.int32), None, 50_000 + 15_000 * _RAMP),
        ((60_000 * _RAMP - 30_000).astype(np.int16), None, 60_000 * _RAMP + 2768),
    ],
    ids=[
        *(
            "metres",
            "metres, double",
            "millimetres",
            "metres, -1 is none",
            "metres, NaN is none",
            "metres of a renderer",
        ),
        *("metres, the largest number is none", "degrees"),
        *("degrees below 0", "kelvin", "signed", "signed below 0", "32 bits", "16 of 32 bits", "all signed"),
    ],
)
def test_numbers_of_any_kind_become_counts(stored, unit_mm, counts, tmp_path):
    with FolderReader(pictures_in(tmp_path, [stored, stored * 0], "{}.tiff")) as reader:
        first, second = (frame.pixels for frame in reader)
    assert first.dtype == np.uint16
    assert np.abs(first - counts).max() <= 1
    assert second[0, 0] == round(reader.info.counts.count_of(0)), "the scale is that of the stream"
    if unit_mm is not None:
        assert (reader.info.depth_unit_mm or 1) == unit_mm


@pytest.mark.parametrize("nothing", [np.nan, np.inf, 1e10])
@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_a_stream_that_begins_with_nothing_has_its_scale(nothing, unit, tmp_path):
    pictures = (np.full_like(_RAMP, nothing), ((1 + _RAMP) * unit).astype(np.float32))
    with FolderReader(pictures_in(tmp_path, pictures, "{}.tiff")) as reader:
        first, second = (frame.pixels for frame in reader)
    assert reader.info.depth_unit_mm in (1, None)
    assert not first.any()
    assert np.abs(second - 1000 * (1 + _RAMP)).max() <= 1
    assert CountScale.of(np.full((2, 2), nothing)).counts(np.array([[1.5]])) == 1500


@pytest.mark.parametrize(
    ("scene", "target"),
    [(22.0, 120.0), (12.0, 600.0), (5.0, 90.0), (8.0, 1000.0), (3.4, 65_504.0), (5.0, 1e10)],
    ids=["engine", "flame", "exhaust in winter", "sky", "sky of half floats", "nothing"],
)
@pytest.mark.parametrize("share", [0.002, 0.05, 0.4])
def test_what_is_far_from_the_scene_changes_neither_it_nor_what_fits(scene, target, share):
    """A hot spot was cut to 65.5 degrees, and a sky of 1000 m made decimetres of all depth."""
    numbers = np.full(5000, scene, np.float32)
    numbers[: round(share * len(numbers))] = target
    scale = CountScale.of(numbers)
    counts = scale.counts(numbers)
    assert scale.is_metres
    assert counts[-1] / scale.per_unit == pytest.approx(scene, abs=0.006)
    assert counts[0] in ((0,) if target > 1e9 else (65_535, round(target * scale.per_unit)))
    assert target > 655 or counts[0] < 65_535, "which would be no measurement"


@pytest.mark.parametrize("hottest", [60, 300, 650, 700, 1000, 2700])
@pytest.mark.parametrize(("low", "zero"), [(20, 0), (-15, 0), (-15, 273.15), (20, 273.15)])
@pytest.mark.parametrize("share", [0.001, 0.1])
def test_degrees_hold_a_target_however_hot_it_is(low, zero, hottest, share):
    """Above 655 degrees, and above 382 where something is below 0, nothing was measured."""
    degrees = np.linspace(low, low + 12, 20_000, dtype=np.float32) + np.float32(zero)
    count = round(share * len(degrees))
    degrees[:count] = np.linspace(0.8 * hottest, hottest, count) + zero
    scale = CountScale.of(degrees)
    counts = scale.counts(degrees)
    assert counts.max() < 65_535
    assert np.abs(counts / scale.per_unit + scale.zero - degrees).max() <= 0.026
    encoder = AuxEncoder(Modality.THERMAL, counts=scale)
    encoder(counts[None])
    assert encoder.meaning is not None
    assert counts[0] * encoder.meaning.per_count + encoder.meaning.zero == pytest.approx(
        0.8 * hottest, abs=0.03
    )
    assert encoder.remarks == ()
    encoder(scale.counts(np.full((1, 5), 9000.0)))
    assert len(encoder.remarks) == 1
    assert "hotter than" in encoder.remarks[0]


@pytest.mark.parametrize("nothing", [1e308, -1e308, np.inf, np.nan])
@pytest.mark.parametrize("scale", [CountScale(1000.0), CountScale(100.0, -273.15)])
def test_the_largest_double_is_no_measurement(nothing, scale):
    assert scale.counts(np.array([[nothing, 1.5]])).tolist() == [[0, round(scale.count_of(1.5))]]


@pytest.mark.parametrize(("unit", "scale"), [(1.0, 1000), (1000.0, 1), (100.0, 10), (25.0, 40)])
def test_a_depth_scale_is_that_of_what_is_stored(unit, scale, tmp_path):
    """Metres, millimetres, centimetres, something of its own: nothing is clipped before it."""
    cv2.imwrite(str(tmp_path / "1.tiff"), ((1 + _RAMP) * unit).astype(np.float32))
    with FolderReader(tmp_path) as reader:
        (frame,) = reader
    options = EncodingOptions(depth_scale_mm=scale)
    per_count = mm_per_count(options, reader.info.depth_unit_mm, reader.info.counts)
    assert np.abs(frame.pixels * float(per_count) - 1000 * (1 + _RAMP)).max() <= scale / 2 + 0.6


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_stored_three_times_stay_sixteen(suffix, tmp_path):
    counts = np.random.default_rng(2).integers(0, 65536, (6, 7)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"1{suffix}"), np.dstack([counts] * 3))
    with FolderReader(tmp_path) as reader:
        assert np.array_equal(next(iter(reader)).pixels, counts)
    assert (reader.info.bit_depth, reader.info.channels) == (16, 1)


@pytest.mark.parametrize(
    "names",
    [
        ["1650000000.0", "1650000000.05", "1650000000.1", "1650000000.15", "1650000000.2", "1650000001.05"],
        ["a", "a (1)", "a (2)", "a (10)"],
        ["frame", "frame1", "frame2", "frame10"],
        ["1.2", "1.3", "1.10"],
        ["x1.25", "x1.5"],
        ["0.0", "0.05", "0.1", "0.15000000000000002", "0.2"],
        ["1305031102.175304", "1305031102.2", "1305031103.1"],
    ],
    ids=["times", "copies", "numbers", "versions", "short", "seconds", "TUM"],
)
def test_names_are_in_the_order_that_they_mean(names, tmp_path):
    for name in reversed(names):
        (tmp_path / f"{name}.png").write_bytes(b"")
    assert [file.stem for file in list_images(tmp_path)] == names


@pytest.mark.parametrize("first", ["grey", "colour"])
def test_grey_and_colour_may_take_turns(first, tmp_path):
    """Night and day, or a fade-in that was saved as grey: no picture is lost."""
    for number in range(6):
        is_grey = (number % 2 == 0) == (first == "grey")
        picture = np.full((8, 9) if is_grey else (8, 9, 3), number, np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    with FolderReader(tmp_path) as reader:
        assert [frame.index for frame in reader] == list(range(6))
    assert reader.damaged_packets == 0


def test_a_part_of_a_png_that_claims_to_be_long_is_not_read(monkeypatch):
    data = bytearray(cv2.imencode(".png", np.zeros((24, 32, 3), np.uint8))[1].tobytes())
    data[33:37] = b"\xff\xff\xff\x23"  # the length of what follows the head
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(FormatError, match="larger than the file"):
        decode_picture(bytes(data))


@pytest.mark.parametrize("lost", [1, 11, 12, 13, 20, 9000, 18000, 18500])
def test_a_png_that_was_broken_off_is_told_by_us_alone(lost, capfd):
    """A copy that was broken off: libpng wrote lines of its own to standard error."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    whole = encoded_picture(picture)
    assert np.array_equal(decode_picture(whole + b"what follows").pixels, picture)
    with pytest.raises(FormatError, match=r"no whole picture|larger than the file"):
        decode_picture(whole[:-lost])
    assert capfd.readouterr() == ("", "")


def _bmp(rgba: np.ndarray, bits: int, masks: tuple[int, ...], head: int, *, from_top: bool) -> bytes:
    """Return a BMP with its masks behind a head of 40 bytes, else in it."""
    height, width = rgba.shape[:2]
    packed = np.zeros((height, width), np.uint64)
    for channel, mask in enumerate(masks):
        lowest = mask & -mask
        packed |= np.rint(rgba[..., channel] * (mask // max(1, lowest) / 255)).astype(np.uint64) * lowest
    rows = packed.astype(f"<u{bits // 8}").view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, -width * bits // 8 % 4)))[:: 1 if from_top else -1]
    about = struct.pack("<IiiHHI20x4I", head, width, height * (-1 if from_top else 1), 1, bits, 3, *masks)
    about = about[: max(head, 52)].ljust(head, b"\0")
    begin = 14 + len(about)
    return b"BM" + struct.pack("<IHHI", begin + rows.size, 0, 0, begin) + about + rows.tobytes()


@pytest.mark.parametrize("head", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("from_top", [True, False])
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF0000, 0xFF00, 0xFF, 0)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0xFF00, 0xFF0000, 0xFF000000, 0xFF)),
        (32, (0x3FF, 0xFFC00, 0x3FF00000, 0)),
        (16, (0xF800, 0x7E0, 0x1F, 0)),
        (16, (0x1F, 0x7E0, 0xF800, 0)),
        (16, (0x1F, 0x3E0, 0x7C00, 0x8000)),
    ],
    ids=["BGRX", "RGBA", "ARGB", "10 bits", "565", "565 the other way round", "555 the other way round"],
)
def test_colours_of_a_bmp_lie_where_its_masks_say(head, bits, masks, from_top):
    rgba = np.random.default_rng(head).integers(0, 256, (6, 7, 4)).astype(np.uint8)
    data = _bmp(rgba, bits, masks, head, from_top=from_top)
    near = 1 if bits == 32 else 5
    assert np.abs(decode_picture(data).pixels.astype(int) - rgba[..., :3]).max() <= near
    with pytest.raises(FormatError, match="no whole picture"):
        decode_picture(data[: 70 if masks[0] != 0xFF0000 else 60])


@pytest.mark.parametrize(
    ("at", "form", "number"),
    [(18, "<i", 0), (22, "<i", 0), (18, "<i", -7), (22, "<i", 7), (28, "<H", 8), (28, "<H", 16)],
    ids=["no columns", "no rows", "fewer than none", "cut off", "8 bits", "masks of more bits"],
)
def test_a_bmp_with_masks_that_makes_no_sense_is_no_whole_picture(at, form, number):
    """Empty ones ended the run, and others were told in words of NumPy."""
    masks = (0xFF, 0xFF00, 0xFF0000, 0)
    data = bytearray(_bmp(np.zeros((6, 7, 4), np.uint8), 32, masks, 40, from_top=False))
    struct.pack_into(form, data, at, number)
    with pytest.raises(FormatError, match=r"^this is no whole picture$"):
        decode_picture(bytes(data))


def test_masks_of_a_bmp_that_are_not_filled_in_say_nothing():
    rgba = np.random.default_rng(0).integers(0, 256, (6, 7, 4)).astype(np.uint8)
    data = _bmp(rgba, 32, (0xFF0000, 0xFF00, 0xFF, 0), 40, from_top=False)
    assert np.array_equal(decode_picture(data[:54] + bytes(12) + data[66:]).pixels, rgba[..., :3])


@pytest.mark.parametrize("end", ["", "\n", " \n", "\n\n"])
@pytest.mark.parametrize(("kind", "channels"), [("P2", 1), ("P3", 3)])
def test_a_text_picture_needs_no_line_end(kind, channels, end):
    numbers = np.arange(2 * 3 * channels).reshape(2, 3, channels)
    text = f"{kind}\n3 2\n255\n{' '.join(map(str, numbers.ravel()))}{end}"
    assert np.array_equal(decode_picture(text.encode()).pixels.reshape(numbers.shape), numbers)


@pytest.mark.parametrize("white", [1, 15, 100, 254, 255, 1023, 4095, 60000, 65535])
@pytest.mark.parametrize("kind", ["P6", "P3", "P5", "P2"])
def test_the_maximum_of_netpbm_is_white_in_colour_and_counts_stay(tmp_path, kind, white):
    """Colours of 4 bits were nearly black; counts of one channel may be depth."""
    is_grey, is_text = kind in ("P2", "P5"), kind in ("P2", "P3")
    numbers = np.random.default_rng(white).integers(0, white + 1, (6, 7) if is_grey else (6, 7, 3))
    body = numbers.astype(np.uint8 if white < 256 else ">u2").tobytes()
    if is_text:
        body = " ".join(map(str, numbers.ravel())).encode() + b"\n"
    suffix = "pgm" if is_grey else "ppm"
    (tmp_path / f"1.{suffix}").write_bytes(f"{kind} # a camera\n7 6\n{white}\n".encode() + body)
    with FolderReader(tmp_path) as reader:
        (frame,) = reader
    meant = numbers if is_grey else numbers * (255 / white)
    assert np.abs(frame.pixels - meant).max() < 1
    assert ["is white in its PGM" in note for note in reader.info.notes] == [True] * (is_grey and white < 255)
