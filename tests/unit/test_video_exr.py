"""Depth in EXR pictures: one written by hand to the published layout, others by OpenEXR."""

from __future__ import annotations

import struct
import sys

import numpy as np
import OpenEXR
import pytest

from dmtrack.errors import ConfigError, DecodeError, FormatError
from dmtrack.video.pictures.exr import decode_exr
from dmtrack.video.stream_files import open_source

METRES = np.random.default_rng(4).uniform(0.4, 6, (12, 17)).astype("<f4")
METRES[2, 3:6] = 1e10
METRES[3, 4] = 0
MILLIMETRES = np.where(METRES < 1e4, np.rint(METRES.astype(float) * 1000), 0)


def by_hand(pixels, name="Z", size=None):
    """Return an uncompressed EXR file: head, where each line lies, lines."""
    height, width = size or pixels.shape

    def attribute(key, kind, value):
        return key.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value

    window = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    channel = name.encode() + b"\0" + struct.pack("<iBxxxii", 2, 0, 1, 1) + b"\0"
    head = b"\x76\x2f\x31\x01" + struct.pack("<I", 2) + attribute("channels", "chlist", channel)
    head += attribute("compression", "compression", b"\0") + attribute("dataWindow", "box2i", window)
    head += attribute("displayWindow", "box2i", window) + attribute("lineOrder", "lineOrder", b"\0")
    head += attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0))
    head += attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0"
    begin, line_bytes = len(head) + 8 * len(pixels), 8 + 4 * pixels.shape[1]
    table = b"".join(struct.pack("<Q", begin + line_bytes * y) for y in range(len(pixels)))
    lines = [struct.pack("<ii", y, line.nbytes) + line.tobytes() for y, line in enumerate(pixels)]
    return head + table + b"".join(lines)


def test_depth_in_metres_becomes_millimetres(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.exr").write_bytes(by_hand(METRES))
    with open_source(tmp_path) as source:
        frames = list(source)
    assert source.info.depth_unit_mm == 1
    assert all(np.array_equal(frame.pixels, MILLIMETRES) for frame in frames)


@pytest.mark.parametrize("name", ["Z", "ViewLayer.Depth.Z", "depth.V", "Y", "R"])
@pytest.mark.parametrize("kind", ["f4", "f2"])
def test_channels_by_their_names(name, kind, tmp_path):
    path = str(tmp_path / "a.exr")
    pixels = np.where(METRES > 100, 0, METRES).astype(kind)
    head = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(head, {name: pixels}).write(path)
    assert np.array_equal(decode_exr((tmp_path / "a.exr").read_bytes(), 1 << 20), pixels.astype("f4"))


def test_bad_files_are_one_line(tmp_path, monkeypatch, capsys):
    for data in (by_hand(METRES)[:40], by_hand(METRES)[:400], by_hand(METRES, size=(30_000, 30_000))):
        with pytest.raises(FormatError):
            decode_exr(data, 1 << 20)
    assert not capsys.readouterr().out
    head = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(head, {"RGB": np.dstack([METRES] * 3)}).write(str(tmp_path / "1.exr"))
    with pytest.raises(DecodeError, match="its channels are B, G, R, and none is depth"):
        open_source(tmp_path)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(ConfigError, match=r"pip install \"dmtrack\[exr\]\""):
        open_source(tmp_path)
