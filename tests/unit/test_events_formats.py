"""Every event format decodes to what was written, whatever its blocks; bad files say where they are bad."""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
import pytest
from clips import written
from event_files import Event

from dmtrack.errors import ConfigError, DecodeError, DmtrackError, FormatError, VideoError
from dmtrack.video.events import event_batch as batch
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import EventReader, is_event_file, open_events
from dmtrack.video.time_file import TimestampUnit

EVENTS = files.some_events(3000)
SMALL = files.some_events(3000, (34, 34))
DAVIS = files.some_events(3000, (346, 260))


def read(path: Path, **options: Any) -> EventBatch:
    with open_events(path, EventOptions(**options)) as reader:
        batches = list(reader)
        assert reader.damaged == 0
        assert reader.totals.events == sum(len(batch) for batch in batches)
    return EventBatch.joined(batches)


def same(batch: EventBatch, events: Sequence[Event]) -> bool:
    expected = files.columns(events)
    for name, dtype in (("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.bool_)):
        got = getattr(batch, name)
        assert got.dtype == dtype, name
        np.testing.assert_array_equal(got, expected[name], err_msg=name)
    return True


def in_order_of_words(events: Sequence[Event]) -> list[Event]:
    """Vectors give the events of one time, row and polarity from left to right."""
    return [
        e for _, run in itertools.groupby(events, lambda e: (e.t, e.y, e.p, e.x // 32)) for e in sorted(run)
    ]


WRITERS: dict[str, tuple[Callable[[Path, Sequence[Event]], Path], Sequence[Event], str]] = {
    "evt2.raw": (lambda p, e: files.write_raw(p, "EVT2", e), EVENTS, "Prophesee EVT2"),
    "evt21.raw": (lambda p, e: files.write_raw(p, "EVT21", e), in_order_of_words(EVENTS), "Prophesee EVT21"),
    "evt3.raw": (lambda p, e: files.write_raw(p, "EVT3", e), EVENTS, "Prophesee EVT3"),
    "cd.dat": (files.write_dat, EVENTS, "Prophesee DAT"),
    "dvs.es": (files.write_es, EVENTS, "Event Stream DVS"),
    "caer.aedat": (files.write_aedat3, DAVIS, "AEDAT 3.1"),
}


@pytest.fixture(params=WRITERS, ids=list(WRITERS))
def sample(request, tmp_path) -> tuple[Path, Sequence[Event]]:
    write, events, _ = WRITERS[request.param]
    return write(tmp_path / request.param, events), events


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """Decode so little at a time that values are carried over thousands of block borders."""
    monkeypatch.setattr(batch, "BLOCK_BYTES", 64)


class TestExactlyGenerated:
    def test_every_event_comes_back(self, sample):
        assert same(read(sample[0]), sample[1])

    def test_blocks_do_not_matter(self, sample, small_blocks):
        assert same(read(sample[0]), sample[1])

    @pytest.mark.parametrize("name", WRITERS)
    def test_the_format_is_told_from_the_content(self, name, tmp_path):
        write, events, said = WRITERS[name]
        path = write(tmp_path / name, events)
        path = path.rename(tmp_path / "recording")
        assert is_event_file(path)
        with open_events(path) as reader:
            assert reader.format == said

    def test_sizes_are_those_of_the_headers(self, tmp_path):
        sizes = {}
        for name, (write, events, _) in WRITERS.items():
            with open_events(write(tmp_path / name, events)) as reader:
                sizes[name] = reader.size
        assert sizes.pop("caer.aedat") == (346, 260)
        assert set(sizes.values()) == {(640, 480)}

    @pytest.mark.parametrize(
        ("name", "head", "message"),
        [
            (
                "davis.aedat",
                b"#!AER-DAT2.0\r\n# AEChip: Davis346red\r\n",
                "AEDAT 2.0, which is not read; convert",
            ),
            ("digit.bin", bytes(50), "a .bin file, as of N-MNIST, is not read; convert"),
        ],
    )
    def test_what_is_no_longer_read_says_so(self, name, head, message, tmp_path):
        path = written(tmp_path / name, head)
        assert is_event_file(path)
        with pytest.raises(FormatError, match=message):
            open_events(path)

    def test_aedat3_leaves_out_what_the_camera_declared_invalid(self, tmp_path):
        path = files.write_aedat3(tmp_path / "a.aedat", DAVIS[:10])
        last = DAVIS[9].t + 1
        trigger = files.aedat3_packet(0, [(2 << 1 | 1, last + 5)])
        with path.open("ab") as file:
            file.write(files.aedat3_packet(1, [(0, last)]) + files.aedat3_packet(3, [(1, 2)]) + trigger)
        with open_events(path) as reader:
            assert same(EventBatch.joined(list(reader)), DAVIS[:10])
            assert reader.totals.triggers == 1


class TestEvt3:
    def test_time_high_comes_round_after_17_seconds(self, tmp_path, small_blocks):
        events = files.some_events(2000, step_us=300_000, start_us=(1 << 24) - 10_000_000)
        assert events[-1].t > 3 << 24
        assert same(read(files.write_raw(tmp_path / "a.raw", "EVT3", events)), events)

    def test_a_tick_sets_the_lower_bits_to_0_and_its_repetition_does_not(self, tmp_path):
        words = [0x8001, 0x0007, 0x6123, 0x2001, 0x8001, 0x2002, 0x8002, 0x2003]
        path = written(tmp_path / "a.raw", files.raw_header("EVT3") + files.packed(words, 2))
        assert read(path).t.tolist() == [0x1123, 0x1123, 0x2000]

    def test_vectors_move_their_base(self, tmp_path):
        words = [0x8000, 0x6001, 0x0007, 0x3800 | 100, 0x4001, 0x5080, 0x4800, 0x2005, 0x5001]
        path = written(tmp_path / "a.raw", files.raw_header("EVT3") + files.packed(words, 2))
        batch = read(path)
        assert batch.x.tolist() == [100, 112 + 7, 120 + 11, 5, 132]
        assert batch.p.tolist() == [True, True, True, False, True]

    def test_events_of_another_measurement_are_left_out(self, tmp_path):
        words = [0x8000, 0x6001, 0x2001, 0x0007, 0x2002, 0x1009, 0x2003, 0x3001, 0x4FFF, 0x0008, 0x2004]
        path = written(tmp_path / "a.raw", files.raw_header("EVT3") + files.packed(words, 2))
        batch = read(path)
        assert (batch.x.tolist(), batch.y.tolist()) == ([2, 4], [7, 8])

    @pytest.mark.parametrize("name", ["EVT3", "EVT2"])
    def test_triggers_are_counted(self, name, tmp_path):
        path = tmp_path / "a.raw"
        if name == "EVT3":
            words = [0xA001, 0x8001, 0x6010, 0x0007, 0x2001, 0xA301, 0x6020, 0xA300]
            path.write_bytes(files.raw_header("EVT3") + files.packed(words, 2))
            expected = 3
        else:
            expected = 2
            words = files.evt2_words(EVENTS[:50], [(5100, 3, True), (5200, 3, False)])
            path.write_bytes(files.raw_header("EVT2") + files.packed(words, 4))
        with open_events(path) as reader:
            list(reader)
        assert reader.totals.triggers == expected


class TestProphesee:
    def test_big_endian_as_the_header_says(self, tmp_path):
        path = tmp_path / "a.raw"
        header = files.raw_header("EVT3;endianness=big")
        path.write_bytes(header + files.packed(files.evt3_words(EVENTS), 2, ">"))
        assert same(read(path), EVENTS)

    def test_evt21_with_its_halves_swapped_is_noticed(self, tmp_path):
        words = [(word << 32 | word >> 32) & (1 << 64) - 1 for word in files.evt21_words(EVENTS)]
        path = written(tmp_path / "a.raw", files.raw_header("EVT21") + files.packed(words, 8))
        assert same(read(path), in_order_of_words(EVENTS))

    def test_evt2_time_high_comes_round_after_5_hours(self, tmp_path):
        period = 1 << 34
        events = [Event(period - 100, 1, 2, True), Event(period + 100, 3, 4, False)]
        assert same(read(files.write_raw(tmp_path / "a.raw", "EVT2", events)), events)

    def test_dat_time_comes_round_after_71_minutes(self, tmp_path):
        events = [Event((1 << 32) - 5, 1, 2, True), Event((1 << 32) + 5, 3, 4, False)]
        assert same(read(files.write_dat(tmp_path / "a.dat", events)), events)

    @pytest.mark.parametrize(
        ("lines", "size"),
        [
            (["evt 3.0", "plugin_name hal_plugin_gen41_evk3"], (1280, 720)),
            (["evt 3.0", "geometry 320x320"], (320, 320)),
            (["evt 3.0"], None),
        ],
    )
    def test_old_headers(self, lines, size, tmp_path):
        path = tmp_path / "a.raw"
        header = "".join(f"% {line}\n" for line in lines).encode()
        path.write_bytes(header + files.packed(files.evt3_words(SMALL[:20]), 2))
        with open_events(path) as reader:
            assert reader.size == size
            assert len(EventBatch.joined(list(reader))) == 20

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (b"% date today\n% end\n", "its header names no encoding; EVT2, EVT21 and EVT3 are read"),
            (b"% evt 4.0\n", "names the encoding 'EVT4'"),
            (b"% format HISTO3D;height=320\n% end\n", "names the encoding 'HISTO3D'"),
        ],
    )
    def test_unknown_encodings(self, header, message, tmp_path):
        path = written(tmp_path / "a.raw", header + bytes(64))
        with pytest.raises(FormatError, match=message):
            open_events(path)


class TestColumns:
    ROWS = EVENTS[:500]

    def table(self, order: str, separator: str = ",", *, seconds: bool = False) -> str:
        lines = []
        for e in self.ROWS:
            t = f"{e.t / 1e6:.6f}" if seconds else str(e.t)
            values = {"t": t, "x": str(e.x), "y": str(e.y), "p": str(int(e.p)), "-": "7"}
            lines.append(separator.join(values[name] for name in order))
        return "\n".join(lines)

    @pytest.mark.parametrize("separator", [",", " ", "\t", "; ", ", "])
    @pytest.mark.parametrize("order", ["txyp", "xytp", "pxyt", "xypt"])
    def test_text_without_names(self, order, separator, tmp_path):
        path = written(tmp_path / "a.csv", self.table(order, separator))
        assert same(read(path), self.ROWS)

    @pytest.mark.parametrize("header", ["timestamp,x,y,polarity", "# t x y p", "ts,xs,ys,ps"])
    def test_text_with_names_in_another_order(self, header, tmp_path):
        path = written(tmp_path / "a.txt", f"{header}\n{self.table('txyp')}\n")
        with open_events(path) as reader:
            assert same(EventBatch.joined(list(reader)), self.ROWS)
            assert reader.notes == ("Times are taken as us (--time-unit).",)

    def test_stated_order_with_a_column_to_skip(self, tmp_path):
        path = written(tmp_path / "a.csv", self.table("yx-pt"))
        assert same(read(path, columns="yx-pt"), self.ROWS)

    def test_seconds_are_told_by_their_fractions_and_said(self, tmp_path):
        path = written(tmp_path / "a.txt", "640 480\n" + self.table("txyp", " ", seconds=True) + "\n")
        with open_events(path) as reader:
            assert same(EventBatch.joined(list(reader)), self.ROWS)
            assert reader.size == (640, 480)
            assert "Times are taken as s (--time-unit)." in reader.notes

    @pytest.mark.parametrize(("unit", "factor"), [("s", 1_000_000), ("ms", 1000), ("us", 1)])
    def test_stated_units(self, unit, factor, tmp_path):
        path = written(tmp_path / "a.txt", "1 10 20 0\n3 11 20 1\n")
        assert read(path, columns="txyp", unit=TimestampUnit(unit)).t.tolist() == [factor, 3 * factor]

    def test_words_for_polarity(self, tmp_path):
        path = written(tmp_path / "a.csv", "t,x,y,p\n5,1,2,True\n6,3,4,False\n")
        assert read(path).p.tolist() == [True, False]

    def test_unix_times_keep_their_microseconds(self, tmp_path):
        path = written(tmp_path / "a.txt", "1605537493.718345 1 2 0\n1605537493.718346 1 2 1\n")
        assert read(path, columns="txyp").t.tolist() == [1605537493718345, 1605537493718346]

    @pytest.mark.parametrize("kind", ["structured", "plain", "float", "archive", "compressed", "one by one"])
    def test_numpy_files(self, kind, tmp_path, monkeypatch):
        monkeypatch.setattr("dmtrack.video.events.arrays._ROWS", 64)
        c = files.columns(self.ROWS)
        path = tmp_path / ("a.npz" if kind in ("archive", "compressed", "one by one") else "a.npy")
        if kind == "structured":
            rows = np.zeros(len(self.ROWS), [("x", "u2"), ("y", "u2"), ("p", "i1"), ("t", "i8")])
            for name in "txyp":
                rows[name] = c[name]
            np.save(path, rows)
        elif kind == "plain":
            np.save(path, np.stack([c["x"], c["y"], c["t"], c["p"]], axis=1).astype(np.int64))
        elif kind == "float":
            np.save(path, np.stack([c["t"] / 1e6, c["x"], c["y"], c["p"] * 2.0 - 1], axis=1))
        elif kind == "archive":
            np.savez(path, **c)
        elif kind == "compressed":
            np.savez_compressed(path, ts=c["t"], xs=c["x"], ys=c["y"], ps=c["p"])
        else:
            np.savez(path, timestamp=c["t"], x=c["x"].astype(">i4"), y=c["y"].astype(float), pol=c["p"])
        assert same(read(path), self.ROWS)

    def test_frame_times_of_an_archive(self, tmp_path):
        np.savez(tmp_path / "a.npz", frame_t=[5000, 6000], **files.columns(self.ROWS))
        with open_events(tmp_path / "a.npz") as reader:
            assert reader.frame_times is not None
            assert reader.frame_times.tolist() == [5000, 6000]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("1 2 3\n4 5 6\n", "3 columns; four are needed"),
            ("5 1 1 1\n6 0 0 0\n", "cannot tell which column is which"),
            ("x,y,time\n1,2,3\n", "which column|columns"),
        ],
    )
    def test_columns_that_cannot_be_told(self, text, message, tmp_path):
        path = written(tmp_path / "a.csv", text)
        with pytest.raises(FormatError, match=message):
            open_events(path)

    def test_an_order_that_is_none(self, tmp_path):
        path = written(tmp_path / "a.csv", "1,2,3,4\n")
        with pytest.raises(ConfigError, match="'txyy' is no order of columns"):
            open_events(path, EventOptions(columns="txyy"))


def damaged_read(path: Path) -> tuple[EventBatch, EventReader, DmtrackError | None]:
    reader = open_events(path)
    got: list[EventBatch] = []
    error = None
    try:
        got.extend(reader)
    except DecodeError as caught:
        error = caught
    return EventBatch.joined(got), reader, error


class TestDamage:
    def test_a_file_cut_short_keeps_every_whole_event(self, sample, caplog):
        path, events = sample
        data = path.read_bytes()
        offsets = []
        for kept in range(len(data) * 2 // 3, len(data) * 2 // 3 + 8):
            path.write_bytes(data[:kept])
            caplog.clear()
            batch, reader, error = damaged_read(path)
            assert error is None
            assert len(events) // 2 < len(batch) < len(events)
            assert same(batch, events[: len(batch)])
            if reader.damaged:
                assert (reader.damaged, "ends in the middle of" in caplog.text) == (1, True)
                offsets.append(kept - int(caplog.text.rsplit("at byte ", 1)[1].split()[0]))
        assert len(offsets) >= 4
        assert all(0 <= torn < 900 for torn in offsets)

    @pytest.mark.parametrize("name", WRITERS)
    def test_only_a_header(self, name, tmp_path):
        write, events, _ = WRITERS[name]
        path = write(tmp_path / name, events[:1])
        data = path.read_bytes()
        path.write_bytes(data[: -2 if name == "evt3.raw" else -5])
        batch, _, error = damaged_read(path)
        assert len(batch) == 0
        assert error is None

    @pytest.mark.parametrize("suffix", [".raw", ".dat", ".aedat4", ".npz", ".csv", ".h5", ".es", ".bin"])
    def test_empty_files(self, suffix, tmp_path):
        path = tmp_path / f"a{suffix}"
        path.touch()
        with pytest.raises(VideoError, match="the file is empty"):
            open_events(path)

    @pytest.mark.parametrize("suffix", [".raw", ".dat", ".aedat4", ".npz", ".npy", ".csv", ".h5", ".es"])
    def test_wrong_magic_names_the_known_formats(self, suffix, tmp_path):
        path = written(tmp_path / f"a{suffix}", bytes(range(254, 0, -1)) * 8)
        with pytest.raises((FormatError, DecodeError)) as caught:
            open_events(path)
        assert "Prophesee RAW" in str(caught.value) or suffix == ".npz"
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(("name", "word"), [("EVT2", 4), ("EVT3", 2), ("EVT21", 8)])
    def test_bytes_in_another_order_than_the_header_says(self, name, word, tmp_path):
        path = files.write_raw(tmp_path / "a.raw", name, EVENTS)
        header = len(files.raw_header(name))
        data = path.read_bytes()
        swapped = np.frombuffer(data[header:], f"<u{word}").byteswap().tobytes()
        path.write_bytes(data[:header] + swapped)
        _, reader, error = damaged_read(path)
        assert error is not None or reader.damaged > 0
        if error is not None:
            assert "at byte" in str(error) or "from byte" in str(error)

    @pytest.mark.parametrize(("name", "word"), [("EVT2", 4), ("EVT3", 2)])
    def test_garbage_in_the_middle_keeps_what_came_before(self, name, word, tmp_path):
        path = files.write_raw(tmp_path / "a.raw", name, EVENTS)
        data = bytearray(path.read_bytes())
        header = len(files.raw_header(name))
        middle = header + (len(data) - header) // 2 // word * word
        data[middle : middle + 4000] = b"\xdd" * 4000
        path.write_bytes(data)
        batch, _, error = damaged_read(path)
        assert error is not None
        assert f"at byte {middle} " in str(error)
        assert len(batch) > 1000
        assert same(batch, EVENTS[: len(batch)])

    def test_a_few_unknown_words_are_counted(self, tmp_path):
        words = files.evt3_words(EVENTS)
        words.insert(100, 0xB123)
        path = written(tmp_path / "a.raw", files.raw_header("EVT3") + files.packed(words, 2))
        batch, reader, error = damaged_read(path)
        assert (len(batch), reader.damaged, error) == (len(EVENTS), 1, None)

    def test_events_outside_the_sensor_are_dropped_with_their_byte(self, tmp_path, caplog):
        bad = EVENTS[:]
        bad[1000] = bad[1000]._replace(x=640)
        bad[1500] = bad[1500]._replace(y=480)
        path = files.write_dat(tmp_path / "a.dat", bad)
        batch, reader, error = damaged_read(path)
        assert error is None
        assert same(batch, [e for i, e in enumerate(EVENTS) if i not in (1000, 1500)])
        assert reader.damaged == 2
        where = path.stat().st_size - 8 * (len(EVENTS) - 1000)
        assert f"event at (640, {bad[1000].y}) outside the 640x480 sensor, at byte {where}" in caplog.text

    def test_the_byte_of_an_event_of_evt3(self, tmp_path, caplog):
        words = [0x8000, 0x6001, 0x0007, 0x3001, 0x4FFF, 0x2000 | 700, 0x2004]
        path = written(tmp_path / "a.raw", files.raw_header("EVT3") + files.packed(words, 2))
        _, reader, _ = damaged_read(path)
        assert reader.damaged == 1
        assert caplog.text.rstrip().endswith(f"at byte {path.stat().st_size - 4}")

    def test_nothing_but_events_outside_ends_the_reading(self, tmp_path):
        events = EVENTS[:500] + [e._replace(x=700) for e in EVENTS[500:]]
        path = files.write_dat(tmp_path / "a.dat", events)
        batch, _, error = damaged_read(path)
        assert same(batch, EVENTS[:500])
        where = path.stat().st_size - 8 * (len(EVENTS) - 500)
        assert f"from byte {where} on, 1000 events in a row cannot be right" in str(error)

    def test_time_that_runs_backwards(self, tmp_path):
        events = EVENTS[:2000] + [e._replace(t=e.t - 50_000) for e in EVENTS[2000:]]
        path = tmp_path / "a.npy"
        rows = np.zeros(len(events), [(n, d) for n, d in zip("txyp", ("i8", "u2", "u2", "?"), strict=True)])
        for name, values in files.columns(events).items():
            rows[name] = values
        np.save(path, rows)
        batch, reader, error = damaged_read(path)
        recovered = [e for e in events[2000:] if e.t >= EVENTS[1999].t - 1000]
        assert len(batch) == 2000 + len(recovered)
        assert (np.diff(batch.t) >= 0).all()
        if error is None:
            assert reader.damaged == len(events) - len(batch)
        else:
            assert "time runs backwards to" in str(error)

    def test_small_disorder_is_lifted_not_lost(self, tmp_path):
        events = [
            Event(1000, 1, 1, True),
            Event(2000, 2, 1, True),
            Event(1500, 3, 1, True),
            Event(2500, 4, 1, True),
        ]
        assert read(files.write_dat(tmp_path / "a.dat", events)).t.tolist() == [1000, 2000, 2000, 2500]

    def test_a_line_that_is_no_event(self, tmp_path):
        path = tmp_path / "a.csv"
        good = "".join(f"{e.t},{e.x},{e.y},{int(e.p)}\n" for e in EVENTS[:200])
        path.write_text(good + "5999,hello,3,1\n7000,1,1,1\n")
        batch, _, error = damaged_read(path)
        assert same(batch, EVENTS[:200])
        assert f"the line at byte {len(good)} is no event: '5999,hello,3,1'" in str(error)

    def test_an_archive_damaged_inside(self, tmp_path):
        path = tmp_path / "a.npz"
        np.savez_compressed(path, **files.columns(files.some_events(50_000)))
        data = bytearray(path.read_bytes())
        data[40_000:40_100] = bytes(100)
        path.write_bytes(data)
        with pytest.raises((DecodeError, FormatError)) as caught:
            list(open_events(path))
        assert str(path) in str(caught.value)


class TestHeadersThatLie:
    """A header that promises more than there is must not cost memory or time."""

    def test_npy(self, tmp_path):
        path = tmp_path / "a.npy"
        rows = np.zeros(10, [("t", "i8"), ("x", "u2"), ("y", "u2"), ("p", "?")])
        np.save(path, rows)
        whole = path.read_bytes()
        grown = whole.replace(b"(10,), }             ", b"(9999999999999,), }  ")
        assert len(grown) == len(whole)
        assert grown != whole
        path.write_bytes(grown)
        batch, reader, error = damaged_read(path)
        assert (len(batch), error) == (10, None)
        assert reader.damaged == 9999999999999 - 10

    def test_aedat3_packet(self, tmp_path):
        path = files.write_aedat3(tmp_path / "a.aedat", DAVIS[:100])
        head = struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 2**31 - 1, 2**31 - 1, 0)
        with path.open("ab") as file:
            file.write(head)
        batch, reader, error = damaged_read(path)
        assert (len(batch), reader.damaged, error) == (100, 1, None)

    def test_aedat3_packet_that_is_none(self, tmp_path):
        path = files.write_aedat3(tmp_path / "a.aedat", DAVIS[:100])
        where = path.stat().st_size
        with path.open("ab") as file:
            file.write(bytes(range(200, 256)))
        batch, _, error = damaged_read(path)
        assert len(batch) == 100
        assert f"no packet begins at byte {where}" in str(error)

    @pytest.mark.parametrize("mark", [b"% ", b"#!AER-DAT3.1\r\n#"])
    def test_a_header_without_end(self, mark, tmp_path):
        path = written(tmp_path / "a.raw", mark + b"x" * (1 << 21))
        with pytest.raises(DecodeError, match="the header does not end by byte"):
            open_events(path)


@pytest.fixture(autouse=True)
def _warnings_are_seen(caplog) -> None:
    caplog.set_level(logging.INFO, "dmtrack")


@pytest.mark.parametrize("name", ["rgb.mp4", "notes.txt", "picture.png"])
def test_what_is_no_event_file(name, tmp_path):
    path = written(tmp_path / name, "dear diary, today I saw 4 events")
    assert not is_event_file(path)
    assert not is_event_file(tmp_path)
    assert not is_event_file(tmp_path / "missing.raw")
