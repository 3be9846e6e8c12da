"""AEDAT 4: packets of FlatBuffers, however they are compressed, cut and damaged."""

from __future__ import annotations

import contextlib

import event_files as files
import numpy as np
import pytest

from dmtrack.errors import ConfigError, DecodeError, InputError
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_reader import open_events

EVENTS = files.some_events(3000, (346, 260))
COLUMNS = files.columns(EVENTS)


@pytest.mark.parametrize("pack", ["NONE", "LZ4", "ZSTD"])
def test_events_and_triggers(pack, tmp_path):
    path = files.write_aedat4(tmp_path / "a.aedat4", EVENTS, pack, edges=[(7, 1), (9, 2), (11, 3)])
    with open_events(path) as reader:
        events = EventBatch.joined(list(reader))
        assert (reader.format, reader.size, reader.damaged) == ("AEDAT 4.0", (346, 260), 0)
        assert reader.totals.triggers == 2
    for name in "txyp":
        np.testing.assert_array_equal(getattr(events, name), COLUMNS[name])


def test_cut_in_the_middle_of_a_packet(tmp_path, caplog):
    path = files.write_aedat4(tmp_path / "a.aedat4", EVENTS)
    path.write_bytes(path.read_bytes()[:-3])
    with open_events(path) as reader:
        assert sum(map(len, reader)) == 2000
        assert reader.damaged == 1
    assert "ends in the middle of a packet, at byte" in caplog.text


def test_without_the_libraries(tmp_path, monkeypatch):
    path = files.write_aedat4(tmp_path / "a.aedat4", EVENTS[:10])
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"lz4 and zstandard; pip install 'dmtrack\[aedat\]'"):
        open_events(path)


def test_without_a_stream_of_events(tmp_path):
    path = files.write_aedat4(tmp_path / "a.aedat4", EVENTS[:10])
    path.write_bytes(path.read_bytes().replace(b"EVTS", b"FRME", 1))
    with pytest.raises(DecodeError, match=r"no stream of events \(streams: FRME, TRIG, IMUS"):
        open_events(path)


@pytest.mark.parametrize("pack", ["NONE", "LZ4", "ZSTD"])
def test_any_byte_of_it_may_be_wrong(pack, tmp_path):
    """What comes of it is events, or our own error; never another one."""
    whole = files.write_aedat4(tmp_path / "a.aedat4", EVENTS[:300], pack, edges=[(7, 1)]).read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / "b.aedat4"
    for _ in range(400):
        data = bytearray(whole)
        data[int(rng.integers(12, len(data)))] = int(rng.integers(0, 256))
        path.write_bytes(data)
        with contextlib.suppress(InputError), open_events(path) as reader:
            list(reader)
