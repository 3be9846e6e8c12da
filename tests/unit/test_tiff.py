"""TIFF of many pictures, classic and big: each is read by itself, as it is stored."""

from __future__ import annotations

import struct
from contextlib import suppress

import numpy as np
import pytest
from clips import written

from dmtrack.errors import FormatError
from dmtrack.video.pictures.folder import FolderReader
from dmtrack.video.pictures.picture_file import load_picture
from dmtrack.video.pictures.tiff import directories, page_bytes

H, W = 5, 7


def pictures(count: int) -> list[np.ndarray]:
    return [np.arange(H * W, dtype=np.uint16).reshape(H, W) + 1000 * number for number in range(count)]


def stack(
    pages: list[np.ndarray], order: str, *, is_big: bool, tags: dict[int, dict[int, int]], back: bool = False
) -> bytes:
    """Return a file with a directory after each picture; `tags` are those of some pictures, by number."""
    place, count, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    mark = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if is_big else 42)
    data = bytearray(mark + (struct.pack(f"{order}HH", 8, 0) if is_big else b"") + bytes(8 if is_big else 4))
    link, first = len(data) - struct.calcsize(place), 0
    for number, page in enumerate(pages):
        begin = len(data)
        data += page.astype(np.dtype(f"{order}u2")).tobytes()
        values = {256: W, 257: H, 258: 16, 259: 1, 262: 1, 273: begin, 277: 1, 278: H, 279: page.nbytes}
        values |= tags.get(number, {})
        struct.pack_into(order + place, data, link, len(data))
        first = first or len(data)
        data += struct.pack(order + count, len(values))
        for tag, value in sorted(values.items()):
            kind, form = (16, "Q") if is_big and tag in (273, 279) else (4, "I") if tag == 273 else (3, "H")
            packed = struct.pack(order + form, value).ljust(struct.calcsize(place), b"\0")
            data += struct.pack(order + entry, tag, kind, 1) + packed
        link = len(data)
        data += bytes(struct.calcsize(place))
    if back:
        struct.pack_into(order + place, data, link, first)
    return bytes(data)


@pytest.fixture(params=["<", ">"])
def order(request) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["classic", "big"])
def is_big(request) -> bool:
    return bool(request.param)


def test_every_picture_is_read_as_it_is_stored(tmp_path, order, is_big):
    """Turned or not, and however the directories are linked at the end."""
    tags = {number: {274: 1 + number % 8} for number in range(12)}
    file = written(tmp_path / "stack.tif", stack(pictures(12), order, is_big=is_big, tags=tags, back=True))
    with FolderReader(file) as reader:
        frames = [frame.pixels for frame in reader]
    assert len(frames) == reader.info.frame_count == 12
    assert all(map(np.array_equal, frames, pictures(12)))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("pages", [1, 2])
def test_counts_of_few_bits_are_read_as_they_are_stored(tmp_path, order, is_big, bits, pages):
    """OpenCV makes 16 bits of them, sixteen times as far for 12."""
    counts = np.random.default_rng(bits).integers(0, 1 << bits, (H, W)).astype(np.uint16)
    each = np.unpackbits(counts.astype(">u2").view(np.uint8).reshape(H, W, 2), axis=2)[:, :, 16 - bits :]
    packed = np.packbits(each.reshape(H, -1), axis=1).ravel()
    page = np.zeros(H * W * 2, np.uint8)
    page[: packed.size] = packed
    pictures = [page.view(np.dtype(order + "u2")).reshape(H, W)] * pages
    tags = {number: {258: bits, 279: packed.size} for number in range(pages)}
    (tmp_path / "0.tif").write_bytes(stack(pictures, order, is_big=is_big, tags=tags))
    with FolderReader(tmp_path) as reader:
        frames = list(reader)
    assert len(frames) == pages
    assert all(np.array_equal(frame.pixels, counts) for frame in frames)


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({258: 16, 339: 3}, "16-bit floats"),
        ({277: 2}, "2 channels of 16 bits"),
        ({277: 2, 284: 2, 258: 32, 339: 3}, "2 channels of 32 bits"),
        ({277: 3, 284: 2, 262: 2}, "channels apart"),
        ({277: 5, 258: 8}, "5 channels of 8 bits"),
    ],
    ids=["half floats", "grey and alpha", "floats and alpha", "planes", "a spectrum"],
)
@pytest.mark.parametrize("pages", [1, 2])
def test_what_opencv_misreads_is_refused(tmp_path, order, is_big, tags, what, pages):
    """It makes 8 bits of 16 beside alpha, tears planes apart, or calls the file damaged."""
    file = written(tmp_path / "0.tif", stack(pictures(pages), order, is_big=is_big, tags={0: tags}))
    with pytest.raises(FormatError, match=f"TIFF of .*{what}.* not read: save"):
        load_picture(file, page=0 if pages > 1 else None)


@pytest.mark.parametrize("alpha", [0, 1, 2], ids=["unsaid", "multiplied in", "apart"])
@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_is_dropped_whatever_it_is(tmp_path, order, is_big, alpha, bits):
    """OpenCV multiplied colours by an alpha that stands apart, as it did not in PNG."""
    most = (1 << bits) - 1
    colours = np.random.default_rng(alpha).integers(0, most + 1, (H, W, 4))
    colours[..., 3] = np.linspace(most // 2, most, H * W).reshape(H, W)
    stored = colours.astype(f"{order}u{bits // 8}")
    if alpha == 1:
        stored[..., :3] = np.rint(colours[..., :3] * (colours[..., 3:] / most))
    tags = {0: {258: bits, 262: 2, 277: 4, 279: stored.nbytes, 338: alpha}}
    page = stored.reshape(H, -1).view(np.dtype(order + "u2"))
    file = written(tmp_path / "0.tif", stack([page], order, is_big=is_big, tags=tags))
    read = load_picture(file).pixels
    assert np.abs(read - colours[..., :3] * (255 / most)).max() <= (alpha == 1) + (bits == 16)


def test_colours_beside_an_alpha_of_0_are_not_multiplied_by_it(tmp_path, order, is_big):
    """They became white."""
    stored = np.random.default_rng(0).integers(0, 256, (H, W, 4)).astype(np.uint8)
    stored[: H // 2, :, 3] = 0
    tags = {0: {258: 8, 262: 2, 277: 4, 279: stored.nbytes, 338: 1}}
    page = stored.reshape(H, -1).view(np.dtype(order + "u2"))
    file = written(tmp_path / "0.tif", stack([page], order, is_big=is_big, tags=tags))
    assert np.array_equal(load_picture(file).pixels[: H // 2], stored[: H // 2, :, :3])


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_zero_that_is_white_is_turned_round_or_told(tmp_path, order, is_big, bits, pages):
    """Grey levels are for looking at, deeper counts measure."""
    counts = [page & np.uint16((1 << bits) - 1) for page in pictures(pages)]
    stored = [
        np.frombuffer(one.astype(f"{order}u{bits // 8}").tobytes().ljust(one.nbytes), f"{order}u2")
        for one in counts
    ]
    tags = {number: {262: 0, 258: bits, 279: H * W * bits // 8} for number in range(pages)}
    (tmp_path / "0.tif").write_bytes(stack(stored, order, is_big=is_big, tags=tags))
    with FolderReader(tmp_path) as reader:
        frames = [frame.pixels for frame in reader]
    assert all(map(np.array_equal, frames, [255 - one for one in counts] if bits == 8 else counts))
    assert ("0 is white" in " ".join(reader.info.notes)) == (bits > 8)


def test_jpeg_whose_tables_lie_elsewhere_is_said_to_be_not_read_of_a_stack(tmp_path, order, is_big, caplog):
    file = written(tmp_path / "stack.tif", stack(pictures(3), order, is_big=is_big, tags={1: {259: 6}}))
    with FolderReader(file) as reader:
        assert [frame.index for frame in reader] == [0, 2]
    assert "JPEG of 1992 is not read" in caplog.text


def test_one_that_cannot_be_read_costs_itself_alone(tmp_path, order, is_big):
    file = tmp_path / "stack.tiff"
    file.write_bytes(stack(pictures(5), order, is_big=is_big, tags={0: {259: 50000}, 2: {259: 34925}}))
    with FolderReader(file) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == [1, 3, 4]
    assert all(np.array_equal(frame.pixels, pictures(5)[frame.index]) for frame in frames)
    assert reader.damaged_packets == 2


@pytest.mark.parametrize("kept", [0, 3, 9, 200, 400])
def test_a_file_that_is_cut_has_the_pictures_before(tmp_path, order, is_big, kept):
    file = written(tmp_path / "stack.tif", stack(pictures(4), order, is_big=is_big, tags={})[:kept])
    places = directories(file)
    head, each = (16, 266) if is_big else (8, 184)
    assert len(places) == max(0, kept - head) // each
    with pytest.raises(FormatError, match=f"has {len(places)} pictures"):
        page_bytes(file, len(places))


@pytest.mark.parametrize("place", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_places_beyond_any_file_are_no_pictures(tmp_path, order, place):
    """Of a directory, of the one behind the first picture, and numbers of entries."""
    whole = stack(pictures(2), order, is_big=True, tags={})
    (first,) = struct.unpack_from(f"{order}Q", whole, 8)
    for at in (8, first, first + 8 + 9 * 20):
        file = written(tmp_path / f"{at}.tif", whole[:at] + struct.pack(f"{order}Q", place) + whole[at + 8 :])
        assert len(directories(file)) == (at > first)


@pytest.mark.parametrize("gap", [1 << 20, (1 << 31) + 4096])
def test_pictures_of_a_file_larger_than_opencv_takes(tmp_path, order, is_big, gap):
    """The second one lies behind a hole, which takes no room on the disk."""
    whole = bytearray(stack(pictures(2), order, is_big=is_big, tags={1: {274: 6}}))
    place, head, entry = ("Q", 8, 20) if is_big else ("I", 4, 12)
    (first,) = struct.unpack_from(order + place, whole, head)
    second = first + (8 if is_big else 2) + 9 * entry + struct.calcsize(place)
    link = second - struct.calcsize(place)
    (directory,) = struct.unpack_from(order + place, whole, link)
    struct.pack_into(order + place, whole, link, directory + gap)
    strip = whole.index(struct.pack(f"{order}HH", 273, 16 if is_big else 4), directory) + entry
    strip -= struct.calcsize(place)
    struct.pack_into(order + place, whole, strip, second + gap)
    file = tmp_path / "stack.tif"
    with file.open("wb") as opened:
        opened.write(whole[:second])
        opened.seek(second + gap)
        opened.write(whole[second:])
    with FolderReader(file) as reader:
        frames = [frame.pixels for frame in reader]
    assert len(frames) == 2
    assert all(map(np.array_equal, frames, pictures(2)))


def test_a_damaged_byte_is_no_defect(tmp_path, order, is_big):
    whole = stack(pictures(2), order, is_big=is_big, tags={})
    for at in range(len(whole)):
        file = written(tmp_path / f"{at}.tif", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        for page in range(len(directories(file))):
            with suppress(FormatError):
                load_picture(file, page=page)
