"""What columns of numbers mean: the names they have, the units of times, arrays however they are stored."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
import pytest
from clips import archive

from dmtrack.errors import FormatError, InputError
from dmtrack.video.events.event_batch import EventBatch
from dmtrack.video.events.event_options import EventOptions
from dmtrack.video.events.event_reader import open_events
from dmtrack.video.events.event_source import EventSource
from dmtrack.video.stream_files import open_source

EVENTS = files.some_events(6000, step_us=400)  # a second of them
C = files.columns(EVENTS)


def read(path: Path, options: EventOptions | None = None) -> tuple[EventBatch, tuple[str, ...]]:
    with open_events(path, options) as reader:
        return EventBatch.joined(list(reader)), reader.notes


def check(batch: EventBatch, *, tolerance_us: int = 0) -> None:
    assert np.abs(batch.t - C["t"]).max() <= tolerance_us
    for name in "xyp":
        np.testing.assert_array_equal(getattr(batch, name), C[name])


TWO = [("sec", "nsec"), ("secs", "nsecs"), ("t_s", "t_us"), ("header.stamp.sec", "header.stamp.nanosec")]


@pytest.mark.parametrize(("names", "turned"), [*((one, False) for one in TWO), (TWO[1], True)], ids=str)
@pytest.mark.parametrize("kind", ["csv", "npy", "npz", "h5"])
def test_times_in_two_columns(names, turned, kind, tmp_path):
    """Of `t_s, t_us` the whole seconds alone were read: all events of a second were one moment."""
    times_us = C["t"] + 1_700_000_000_300_000  # over the end of a second
    rest = times_us % 1_000_000 * (1 if names[1] == "t_us" else 1000)
    columns = dict(zip(names, (times_us // 1_000_000, rest), strict=True))
    if turned:
        columns = dict(reversed(columns.items()))
    columns |= {name: C[name] for name in "xyp"}
    path = tmp_path / f"a.{kind}"
    table = np.zeros(len(times_us), [(name, np.int64) for name in columns])
    for name, column in columns.items():
        table[name] = column
    if kind == "csv":
        rows = "".join(",".join(str(int(cell)) for cell in row) + "\n" for row in table)
        path.write_text(",".join(columns) + "\n" + rows)
    elif kind == "npy":
        np.save(path, table)
    elif kind == "npz":
        np.savez(path, **columns)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, column in columns.items():
                file[f"events/{name}"] = column
    batch, notes = read(path)
    np.testing.assert_array_equal(batch.t, times_us)
    assert notes == ()


@pytest.mark.parametrize("whole", [False, True], ids=["fractions", "whole seconds"])
def test_the_same_times_in_two_units_are_not_added(whole, tmp_path):
    seconds = C["t"] * 3 // 1_000_000 if whole else C["t"] * 3 / 1e6
    rows = zip(seconds.tolist(), (C["t"] * 3).tolist(), C["x"], C["y"], C["p"], strict=True)
    text = "".join(f"{s},{t},{x},{y},{int(p)}\n" for s, t, x, y, p in rows)
    (tmp_path / "a.csv").write_text("t_s,t_us,x,y,p\n" + text)
    batch, _ = read(tmp_path / "a.csv")
    assert batch.t.max() <= 3 * C["t"].max()


@pytest.mark.parametrize("above", ["Sensor: DAVIS346\n", "A recording\nwidth,346\n\nof mine, in May\n"])
@pytest.mark.parametrize("order", [None, "txyp"])
def test_lines_above_the_names_are_passed_over(above, order, tmp_path):
    path = tmp_path / "a.csv"
    rows = "".join(f"{e.t},{e.x},{e.y},{int(e.p)}\n" for e in EVENTS)
    path.write_text(above + ("" if order else "t,x,y,p\n") + rows)
    options = EventOptions(columns=order)
    check(read(path, options)[0])
    path.write_text(above + rows)
    if order is None:
        with pytest.raises(FormatError, match="is neither numbers nor the names"):
            read(path)


def test_what_excel_calls_unicode_text_is_said(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("t\tx\ty\tp\n1\t2\t3\t1\n", encoding="utf-16")
    with pytest.raises(FormatError, match="UTF-16, which is not read; save it as"):
        open_events(path)


@pytest.mark.parametrize(
    "header",
    [
        "time(us),x,y,pol",
        "timestamp_us,x,y,polarity",
        "t[us],x[px],y[px],p",
        "Timestamp [us], X, Y, Polarity",
        '"t_us","x","y","on"',
        "t (usec),col,row,p",
        "# time_us x y p",
        "t [us], x [px], y [px], p [-]",
    ],
)
def test_names_with_units(header, tmp_path):
    separator = "," if "," in header else " "
    path = tmp_path / "a.csv"
    rows = "".join(separator.join(map(str, (e.t, e.x, e.y, int(e.p)))) + "\n" for e in EVENTS)
    path.write_text(f"{header}\n{rows}")
    batch, notes = read(path)
    check(batch)
    assert notes == (), "nothing had to be assumed"


@pytest.mark.parametrize(
    "header", ["temps,x,y,polarité", "Zeit;X;Y;Polarität", "时间,横坐标,纵坐标,极性", "a|b|c|d"]
)
def test_names_that_nobody_knows_are_said(header, tmp_path):
    """In any language: the order may be said, and whoever reads the file says so."""
    path = tmp_path / "a.csv"
    rows = "".join(",".join(f'"{value}"' for value in (e.t, e.x, e.y, int(e.p))) + "\n" for e in EVENTS)
    path.write_text(f"{header}\n{rows}")
    for opened in (lambda: open_events(path), lambda: open_source(path)):
        with pytest.raises(InputError, match=r"at byte 0, '.*, or give their order, such as --columns txyp"):
            opened()
    check(read(path, EventOptions(columns="txyp"))[0])
    with open_source(path, events=EventOptions(columns="txyp")) as source:
        assert len(list(source)) == 1 + 30 * int(C["t"][-1] - C["t"][0]) // 1_000_000


@pytest.mark.parametrize("size", [(4097, 10), (20000, 20000)])
def test_a_sensor_that_nobody_makes_is_refused(size, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,p\n1000,3000,3000,1\n41000,0,0,0\n")
    with pytest.raises(FormatError, match="no side is over 4096"):
        open_events(path, EventOptions(size=size))


@pytest.mark.parametrize(("unit", "per_us"), [("ms", 1e-3), ("ns", 1e3), ("s", 1e-6)])
def test_a_unit_in_a_name(unit, per_us, tmp_path):
    path = tmp_path / "a.npz"
    columns: dict[str, Any] = {f"t_{unit}": C["t"] * per_us, "x": C["x"], "y": C["y"], "p": C["p"]}
    np.savez(path, **columns)
    check(read(path)[0])


def test_an_order_that_is_given_passes_over_unknown_names(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("when,across,down,sign\n" + "".join(f"{e.t},{e.x},{e.y},{int(e.p)}\n" for e in EVENTS))
    check(read(path, EventOptions(columns="txyp"))[0])
    with pytest.raises(FormatError):
        read(path)


STORED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "whole us": lambda t: t,
    "whole us as floats": lambda t: t.astype(float),
    "us with fractions": lambda t: t + 0.25,
    "ms with fractions": lambda t: t / 1e3,
    "whole ns": lambda t: t * 1000,
    "whole ns of a fine clock": lambda t: t * 1000 + 7,
    "seconds": lambda t: t / 1e6,
    "whole ms": lambda t: t // 1000,
}


@pytest.mark.parametrize("writer", ["npy", "txt"])
@pytest.mark.parametrize("stored", STORED)
def test_units_are_told_from_the_numbers(stored, writer, tmp_path):
    rows = np.column_stack([STORED[stored](C["t"]), C["x"], C["y"], C["p"]])
    path = tmp_path / f"a.{writer}"
    if writer == "npy":
        np.save(path, rows)
    else:
        np.savetxt(path, rows, fmt="%d" if rows.dtype.kind == "i" else "%.9f")
    batch, notes = read(path, EventOptions(columns="txyp"))
    check(batch, tolerance_us=1000 if stored == "whole ms" else 1)
    assert any("Times are taken as" in note for note in notes)


@pytest.mark.parametrize("kind", ["whole", "with fractions"])
def test_dense_floats_are_microseconds(kind, tmp_path):
    """The first thousands of rows are within a millisecond, as of a camera that moves fast."""
    t = np.arange(200_000) / 8 if kind == "with fractions" else np.arange(200_000) // 8
    path = tmp_path / "a.npy"
    x, y, p = (np.arange(len(t)) % size for size in (640, 480, 2))
    np.save(path, np.column_stack([t, x, y, p]).astype(float))
    batch, _ = read(path, EventOptions(columns="txyp"))
    assert (batch.t[0], batch.t[-1]) == (0, round(float(t[-1])))


@pytest.mark.parametrize("kind", ["U5", "c16", "M8[us]", "f2"])
def test_tables_of_what_are_no_numbers(kind, tmp_path):
    with np.errstate(over="ignore"):
        np.save(tmp_path / "a.npy", np.stack([C[name] for name in "txyp"], axis=1).astype(float).astype(kind))
    with pytest.raises(FormatError, match=r"its columns are no lists of numbers|which column is which"):
        read(tmp_path / "a.npy")


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("order", ["C", "F", "fields", "C, a row a column", "F, a row a column"])
def test_tables_however_they_are_stored(order, suffix, tmp_path):
    if order == "fields":
        table = np.zeros(len(EVENTS), [("x", "u2"), ("y", "u2"), ("t", "u4"), ("p", "?")])
        for name in "txyp":
            table[name] = C[name]
    else:
        table = np.stack([C[name] for name in "txyp"], axis=0 if "row" in order else 1)
        table = np.asarray(table, order=order[0])
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, table)
    else:
        np.savez_compressed(path, events=table, exposure=np.arange(9), label="car")
    check(read(path)[0])


def npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(320)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<i8', 'fortran_order': False, 'shape': (10, 4), ",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (10, 4), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999999999, 4), }",
        "{'descr': '<i8', 'fortran_order': True, 'shape': (10, 999999999), }",
        "{'descr': '<i8', 'fortran_order': False, 'shape': (-3, 4), }",
        "{'descr': '<c16', 'fortran_order': False, 'shape': (10, 4), }",
        "{'descr': '<U900000', 'fortran_order': False, 'shape': (10,), }",
        "nonsense",
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_headers_that_are_none(header, suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        path.write_bytes(npy(header))
    else:
        archive(path, {"events.npy": npy(header)})
    with pytest.raises(InputError, match=str(path)) as caught:
        read(path)
    assert "((" not in str(caught.value), "the tuple of a parser is no reason"


@pytest.mark.parametrize("place", [0, 12, 16])
def test_an_archive_whose_directory_is_damaged(place, tmp_path):
    stored = io.BytesIO()
    np.savez(stored, t=np.arange(9), x=np.arange(9), y=np.arange(9), p=np.arange(9))
    data = bytearray(stored.getvalue())
    end = data.rfind(b"PK\5\6")
    data[end + place : end + place + 2] = b"\xff\xff"
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"{path}: .* (damaged|cannot be read)"):
        read(path)


@pytest.mark.parametrize("mark", [";", " ", "\t", "; "])
@pytest.mark.parametrize("heading", ["", "t{}x{}y{}p\n"], ids=["numbers", "names"])
@pytest.mark.parametrize("time", ["{:.6f}", "{:g}"], ids=["all", "but the first"])
def test_decimal_commas_are_said(mark, heading, time, tmp_path):
    rows = (mark.join((time.format(n / 1000).replace(".", ","), str(n % 9), "4", "1")) for n in range(20))
    path = tmp_path / "a.csv"
    path.write_text(heading.replace("{}", mark) + "\n".join(rows))
    with pytest.raises(FormatError, match=r"a\.csv: '0,00.* has decimal commas; write decimals with a point"):
        read(path)


@pytest.mark.parametrize("unit", ["s", "us"])
@pytest.mark.parametrize("step_us", [100, 1000, 10_000, 33_000])
@pytest.mark.parametrize("events", [60, 850, 5000, 60_000])
def test_evenly_spaced_times_are_what_is_usual(events, step_us, unit, tmp_path):
    """Somebody made them: at which rate they come says nothing, however many there are."""
    path = tmp_path / "a.txt"
    said = (f"{n * step_us / 1e6:.6f}" if unit == "s" else str(n * step_us) for n in range(events))
    path.write_text("".join(f"{t} {n % 640} {n % 480} {n % 2}\n" for n, t in enumerate(said)))
    batch, notes = read(path, EventOptions(columns="txyp"))
    assert f"Times are taken as {unit} " in " ".join(notes)
    assert batch.t[-1] == step_us * (events - 1)


class TestSensorSize:
    def written(self, path: Path, bad: tuple[int, int], events: list[files.Event] = EVENTS) -> Path:
        changed = events[:]
        changed[len(events) // 2] = changed[len(events) // 2]._replace(x=bad[0], y=bad[1])
        path.write_text("t,x,y,p\n" + "".join(f"{e.t},{e.x},{e.y},{int(e.p)}\n" for e in changed))
        return path

    @pytest.mark.parametrize("bad", [(30_000, 5), (5, 3000), (900, 5), (65_535, 65_535), (-7, 4)])
    def test_one_bad_coordinate_changes_nothing(self, bad, tmp_path):
        path = self.written(tmp_path / "a.csv", bad)
        with EventSource(path) as source:
            assert (source.info.width, source.info.height) == (640, 480)
            list(source)
            assert source.damaged_packets == 1

    def test_nothing_but_bad_ones(self, tmp_path):
        path = tmp_path / "bomb.csv"
        path.write_text("t,x,y,p\n1000,65535,65535,1\n41000,0,0,0\n")
        message = r"event at \(65535, 65535\) outside the 4096x4096 sensor, at byte 8"
        with pytest.raises(FormatError, match=message):
            EventSource(path)

    def test_a_header_that_states_none(self, tmp_path):
        path = files.write_raw(tmp_path / "a.raw", "EVT2", EVENTS[:5], (60_000, 60_000))
        with pytest.raises(FormatError, match="a sensor of 60000x60000 pixels: no side is over 4096"):
            open_events(path)


@pytest.mark.parametrize("word", ["0.85O", "nan", "inf", "1e999999999", "1" * 5000, "--1", "1_000"])
@pytest.mark.parametrize("row", [3, 850, 5500])
def test_a_cell_that_is_no_number(word, row, tmp_path):
    lines = [f"{e.t / 1e6:.6f} {e.x} {e.y} {int(e.p)}\n" for e in EVENTS]
    lines[row] = f"{word} 3 3 1\n"
    path = tmp_path / "a.txt"
    path.write_text("".join(lines))
    got: list[EventBatch] = []
    where = sum(map(len, lines[:row]))
    reader = open_events(path, EventOptions(columns="txyp"))
    with pytest.raises(InputError, match=f"the line at byte {where} is no event"):
        got.extend(reader)
    assert sum(map(len, got)) == row


_PER_US = {"s": 1e-6, "ms": 1e-3, "us": 1, "ns": 1000}


@pytest.mark.parametrize("since", [0, 1_700_000_000_000_000], ids=["from 0", "since 1970"])
@pytest.mark.parametrize("unit", list(_PER_US))
@pytest.mark.parametrize(
    ("events", "span_us"),
    [(20_000, 200_000), (20_000, 10_000), (50, 3000), (300, 2_000_000), (5, 2000)],
    ids=["usual", "dense", "short", "sparse", "five"],
)
@pytest.mark.parametrize("kind", ["text", "float text", "array"])
def test_a_unit_is_told_however_the_events_come(events, span_us, unit, since, kind, tmp_path):
    """The clock of a camera counts microseconds, whatever its file writes them in."""
    rng = np.random.default_rng(events)
    t = np.sort(rng.integers(1, span_us, events)) + since
    x, y, p = (rng.integers(0, size, events) for size in (640, 480, 2))
    if kind == "array":
        path = tmp_path / "a.npy"
        per_us = _PER_US[unit]
        scaled = t / (1 / per_us) if per_us < 1 else t * int(per_us)
        table = np.zeros(events, [("t", scaled.dtype), ("x", "u2"), ("y", "u2"), ("p", "u1")])
        table["t"], table["x"], table["y"], table["p"] = scaled, x, y, p
        np.save(path, table)
    else:
        path = tmp_path / "a.csv"
        digits = {"s": 6, "ms": 3}.get(unit, 0)
        words = [
            f"{value // 10**digits}.{value % 10**digits:0{digits}d}"
            if digits
            else f"{value * 1000 ** (unit == 'ns')}" + (".0" if kind == "float text" else "")
            for value in t.tolist()
        ]
        rows = zip(words, x, y, p, strict=True)
        path.write_text("t,x,y,p\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows))
    batch, notes = read(path)
    assert len(batch) == events
    assert f"Times are taken as {unit} " in " ".join(notes)
    assert abs(int(batch.t[-1] - batch.t[0]) - int(t[-1] - t[0])) <= 2


@pytest.mark.parametrize("heading", ["t,x,y,p\n", ""], ids=["names", "numbers"])
def test_the_mark_that_spreadsheets_put_before_text(heading, tmp_path):
    rows = "".join(f"{1000 * n},{n * 7 % 64},{n * 5 % 48},{n % 2}\n" for n in range(200))
    path = tmp_path / "e.csv"
    path.write_text(heading + rows, encoding="utf-8-sig")
    with open_events(path) as reader:
        events = [event for batch in reader for event in batch.t]
    assert len(events) == 200


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 0, 3), (1, 2, 3, 0)], ids=["txyp", "xytp", "xypt"])
def test_the_column_with_fractions_is_time_however_short_the_recording(order, tmp_path):
    """Coordinates of a moving thing rise as well, and further than seconds do."""
    path = tmp_path / "e.txt"
    columns = [(f"{n / 1000:.6f}", str(n), str(n * 5 % 48), str(n % 2)) for n in range(60)]
    path.write_text("".join(" ".join(row[i] for i in order) + "\n" for row in columns))
    with open_events(path) as reader:
        batches = list(reader)
    assert [int(t) for batch in batches for t in batch.t] == [1000 * n for n in range(60)]
    assert [int(x) for batch in batches for x in batch.x] == list(range(60))


@pytest.mark.parametrize("signs", [(0, 1), (-1, 1), (1, 2), (0, 255), (False, True)], ids=str)
@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_of_two_polarities_the_greater_is_positive(signs, suffix, tmp_path):
    path = tmp_path / f"e.{suffix}"
    polarity = [signs[n // 3 % 2] for n in range(300)]
    if suffix == "csv":
        rows = [f"{1000 * n + n % 7},{n * 7 % 64},{n * 5 % 48},{polarity[n]}\n" for n in range(300)]
        path.write_text("t,x,y,p\n" + "".join(rows))
    else:
        n = np.arange(300)
        np.savez(path, t=1000 * n + n % 7, x=n * 7 % 64, y=n * 5 % 48, p=np.array(polarity))
    batch, _ = read(path)
    assert batch.p.tolist() == [n // 3 % 2 > 0 for n in range(300)]
