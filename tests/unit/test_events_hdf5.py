"""Events in HDF5: the layouts in use, times kept apart, filters that are and are not there."""

from __future__ import annotations

from pathlib import Path

import event_files as files
import h5py
import hdf5plugin
import numpy as np
import pytest
from clips import written

from dmtrack.errors import ConfigError, DecodeError, FormatError, InputError
from dmtrack.video.events import hdf5
from dmtrack.video.events.ecf import decode_ecf
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import EventReader, open_events
from dmtrack.video.time_file import TimestampUnit

EVENTS = files.some_events(5000)
C = files.columns(EVENTS)


TRIED_OUT = hdf5._require_harmless


@pytest.fixture(autouse=True)
def _harmless(monkeypatch) -> None:
    """Files that tests write need no process of their own to be tried out in."""
    monkeypatch.setattr(hdf5, "_require_harmless", lambda path, modified: None)


def read(path: Path) -> tuple[EventBatch, EventReader]:
    with open_events(path) as reader:
        return EventBatch.joined(list(reader)), reader


def check(batch: EventBatch, offset: int = 0) -> None:
    np.testing.assert_array_equal(batch.t, C["t"] + offset)
    for name in ("x", "y", "p"):
        np.testing.assert_array_equal(getattr(batch, name), C[name])


@pytest.mark.parametrize(
    "packing", [{}, hdf5plugin.Blosc(cname="zstd"), hdf5plugin.Zstd()], ids=["plain", "blosc", "zstd"]
)
def test_dsec(packing, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_ROWS", 700)
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            values = C[name].astype("u4") if name == "t" else C[name].astype("u1" if name == "p" else "u2")
            file.create_dataset(f"events/{name}", data=values, chunks=(512,), **packing)
        file["ms_to_idx"] = np.zeros(10, np.uint64)
        file["t_offset"] = np.int64(49_599_300_523)
    batch, reader = read(path)
    check(batch, 49_599_300_523)
    assert reader.format == "HDF5"
    assert "Its t_offset of 49599300523 is added." in reader.notes


def test_an_offset_is_added_in_any_unit(tmp_path):
    """DSEC's offset is more than its times, of 32 bits, can hold."""
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = C[name].astype("u4")
        file["t_offset"] = np.int64(49_599_300_523)
    with open_events(path, EventOptions(unit=TimestampUnit.MS)) as reader:
        times = np.concatenate([batch.t for batch in reader])
    assert times.tolist() == [(time + 49_599_300_523) * 1000 for time in C["t"].tolist()]


def test_prophesee(tmp_path):
    path = tmp_path / "events.hdf5"
    with h5py.File(path, "w") as file:
        rows = np.zeros(len(EVENTS), [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")])
        for name in "txyp":
            rows[name] = C[name]
        file["CD/events"] = rows
        file["CD/indexes"] = np.zeros(3, [("id", "u8"), ("ts", "i8")])
        file["EXT_TRIGGER/events"] = np.array(
            [(1, 6000, 2), (0, 7000, 2)], [("p", "i2"), ("t", "i8"), ("id", "i2")]
        )
        file.attrs["geometry"] = "640x480"
    batch, reader = read(path)
    check(batch)
    assert (reader.format, reader.size) == ("HDF5 (Prophesee)", (640, 480))
    assert reader.totals.triggers == 2


@pytest.mark.parametrize("kind", ["seconds", "table", "other names"])
def test_other_layouts(kind, tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        if kind == "seconds":
            file["raw_events/t"] = C["t"] / 1e6
            for name in "xyp":
                file[f"raw_events/{name}"] = C[name]
        elif kind == "table":
            file["davis/left/events"] = np.stack([C["x"], C["y"], C["t"] / 1e6, C["p"] * 2.0 - 1], axis=1)
        else:
            for name in "txyp":
                file[f"events/{name}s"] = C[name]
    check(read(path)[0])


def test_no_events(tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        file["images/left"] = np.zeros((3, 4, 5))
    with pytest.raises(FormatError, match=r"no events are found in it \(it holds images, images/left\)"):
        open_events(path)


@pytest.mark.parametrize("styles", [["masked"], ["xp"], ["yxp"], ["masked", "xp", "yxp"]], ids=str)
def test_prophesee_with_its_own_filter(styles, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_ROWS", 1700)  # parts of chunks, and several of them
    path = tmp_path / "events.hdf5"
    files.write_ecf(path, EVENTS, styles, 1024)
    batch, reader = read(path)
    check(batch)
    assert (reader.format, reader.size) == ("HDF5 (Prophesee)", (640, 480))


@pytest.mark.parametrize("style", ["masked", "xp", "yxp"])
def test_runs_and_steps_of_every_length(style):
    steps = [0, 1, 14, 15, 16, 255, 256, 1 << 20, 1 << 37, *[0] * 13, 3, *[0] * 14, 2, *[0] * 300, 15]
    t = np.cumsum(steps)
    events = [
        files.Event(int(at), (7 * n) % 640 if n % 3 else n % 11, 5 if n < 40 else 5 + n // 31, n % 400 > 90)
        for n, at in enumerate(t)
    ]
    found = decode_ecf(files.ecf_chunk(events, style))
    for name in "txyp":
        assert found[name].tolist() == [int(getattr(event, name)) for event in events]


def test_damaged_chunks_are_errors(tmp_path):
    data = files.ecf_chunk(EVENTS[:500], "masked")
    for damaged in (b"", data[:3], data[:30], data[:-3], b"\xff" * 8, data[:12] + b"\xff" * 900):
        with pytest.raises(FormatError):
            decode_ecf(damaged)
    path = tmp_path / "events.hdf5"
    files.write_ecf(path, EVENTS, ["xp"], 1024)
    chunk = files.ecf_chunk(EVENTS[2048:3072], "xp")
    path.write_bytes(path.read_bytes().replace(chunk[:40], bytes(40)))
    with pytest.raises(FormatError, match="too few events"):
        read(path)


@pytest.mark.parametrize("keep", [100, 4000])
def test_cut_short(keep, tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = C[name]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DecodeError, match=r"cannot be read|the HDF5 file is damaged after event"):
        read(path)


def test_columns_of_different_length(tmp_path, caplog):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = C[name][: 100 if name == "p" else None]
    batch, reader = read(path)
    assert (len(batch), reader.damaged) == (100, len(EVENTS) - 100)
    assert "columns differ in length" in caplog.text


def test_without_the_library(tmp_path, monkeypatch):
    path = written(tmp_path / "events.h5", hdf5.MAGIC + bytes(100))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(
        ConfigError, match=r"needs the libraries h5py and hdf5plugin; pip install 'dmtrack\[h5\]'"
    ):
        open_events(path)


@pytest.mark.parametrize("child", ["itself", "the file's begin"])
def test_an_index_that_leads_back(child, tmp_path, monkeypatch):
    """An index that is its own child sends the HDF5 library round for ever, or until its stack is full."""
    path = tmp_path / "loop.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = C[name]
    data = bytearray(path.read_bytes())
    tree = data.index(b"TREE")
    data[tree + 5] = 1  # one level higher: its children are indices, too
    data[tree + 32 : tree + 40] = (tree if child == "itself" else 0).to_bytes(8, "little")
    path.write_bytes(data)
    monkeypatch.setattr(hdf5, "_require_harmless", TRIED_OUT)
    with pytest.raises(InputError, match=str(path)):
        open_events(path)


@pytest.mark.parametrize("kind", ["links", "soft link"])
def test_links_that_go_round(kind, tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("a")
        group["again"] = group if kind == "links" else h5py.SoftLink("/a")
        for name in "txyp":
            file[f"a/events/{name}"] = C[name]
    check(read(path)[0])


def test_chunks_that_a_header_makes_large(tmp_path):
    path = tmp_path / "events.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            shape = {"shape": (1 << 31,), "chunks": (1 << 31,), "dtype": "u1", "compression": "gzip"}
            file.create_dataset(f"events/{name}", **shape)
    assert path.stat().st_size < 100_000
    with pytest.raises(FormatError, match="its rows or chunks are too large"):
        open_events(path)


@pytest.mark.parametrize("rows", [1 << 40, 1 << 26])
def test_rows_that_no_byte_holds_are_not_read(rows, tmp_path):
    """Two kilobytes that claim a million million events: reading what is not there would not end."""
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        for name, dtype in (("t", "i8"), ("x", "u2"), ("y", "u2"), ("p", "u1")):
            file.create_dataset(f"events/{name}", shape=(rows,), dtype=dtype, chunks=(1 << 16,))
    with pytest.raises(FormatError, match=rf"claims {rows} events, more than its \d+ bytes can hold"):
        open_events(path)
