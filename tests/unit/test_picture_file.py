"""Pictures that lie about their size, refused before anything is allocated for them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from dmtrack.errors import DecodeError
from dmtrack.video.folder import FolderReader
from dmtrack.video.picture_file import decode_picture, is_believable, read_picture


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


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    )


def _tiff(pixels: bytes, width: int, height: int, order: str) -> bytes:
    fields = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, height)]
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
    assert decode_picture(data) is None
    file = tmp_path / "0001.png"
    file.write_bytes(data)
    with pytest.raises(DecodeError, match=r"0001\.png"):
        read_picture(file)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
def test_every_cut_of_a_file_is_an_error_or_a_picture(suffix):
    whole = cv2.imencode(f".{suffix}", np.full((9, 9), 77, np.uint8))[1].tobytes()
    for length in range(len(whole)):
        decode_picture(whole[:length])


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(20), bytes(64)], ids=str)
def test_a_folder_of_bad_pictures_names_the_first(content, tmp_path):
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(DecodeError, match=r"1\.png"):
        FolderReader(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_one_cut_picture_of_sixteen_bits_is_skipped_and_counted(suffix, tmp_path):
    counts = np.random.default_rng(3).integers(0, 65536, (40, 40)).astype(np.uint16)
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.{suffix}"), counts)
    middle = tmp_path / f"1.{suffix}"
    middle.write_bytes(middle.read_bytes()[:60])
    with FolderReader(tmp_path) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 2]
    assert reader.damaged_packets == 1
    assert np.array_equal(frames[1].pixels, counts)
