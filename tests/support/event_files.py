"""Writes event files of every format, by the letter of its description and one event at a time.

Slow on purpose: nothing here shares a line of thought with the decoders.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Event(NamedTuple):
    t: int
    x: int
    y: int
    p: bool


def some_events(
    count: int, size: tuple[int, int] = (640, 480), *, seed: int = 1, step_us: int = 40, start_us: int = 5000
) -> list[Event]:
    """Return events in order of time, clustered in rows as a real sensor gives them."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    t = start_us
    while len(events) < count:
        t += int(rng.integers(0, step_us + 1))
        y, p = int(rng.integers(0, size[1])), bool(rng.integers(0, 2))
        first = int(rng.integers(0, size[0]))
        for x in range(first, min(size[0], first + int(rng.integers(1, 6)))):
            events.append(Event(t, x, y, p))
    return events[:count]


def raw_header(name: str, *lines: str, size: tuple[int, int] | None = (640, 480)) -> bytes:
    geometry = "" if size is None else f";height={size[1]};width={size[0]}"
    text = [f"format {name}{geometry}", *lines, "end"]
    return "".join(f"% {line}\n" for line in text).encode()


def evt2_words(events: Sequence[Event], triggers: Sequence[tuple[int, int, bool]] = ()) -> list[int]:
    words, high = [], -1
    todo: list[tuple[int, int, Any]] = [(e.t, 0, e) for e in events]
    todo += [(t, 1, (channel, edge)) for t, channel, edge in triggers]
    for t, kind, what in sorted(todo, key=lambda item: item[:2]):
        if t >> 6 != high:
            high = t >> 6
            words.append(0x8 << 28 | high & 0xFFFFFFF)
        if kind == 0:
            words.append(int(what.p) << 28 | (t & 63) << 22 | what.x << 11 | what.y)
        else:
            words.append(0xA << 28 | (t & 63) << 22 | what[0] << 8 | int(what[1]))
    return words


def evt21_words(events: Sequence[Event]) -> list[int]:
    """Give every event a word of its own, or share one with its right neighbours of the same time."""
    words: list[int] = []
    high, last = -1, None
    for e in events:
        if e.t >> 6 != high:
            high, last = e.t >> 6, None
            words.append((0x8 << 28 | high & 0xFFFFFFF) << 32)
        base = e.x & ~31
        key = (e.t, base, e.y, e.p)
        if key != last:
            head = int(e.p) << 28 | (e.t & 63) << 22 | base << 11 | e.y
            words.append(head << 32)
            last = key
        words[-1] |= 1 << (e.x - base)
    return words


def evt3_words(events: Sequence[Event], *, vectors: bool = True) -> list[int]:
    words: list[int] = []
    high = low = row = None
    index = 0
    while index < len(events):
        e = events[index]
        if e.t >> 12 != high:
            high, low = e.t >> 12, None
            words.append(0x8000 | high & 0xFFF)
        if e.t & 0xFFF != low:
            low = e.t & 0xFFF
            words.append(0x6000 | low)
        if e.y != row:
            row = e.y
            words.append(row)
        run = 1
        while index + run < len(events) and events[index + run] == (e.t, e.x + run, e.y, e.p) and run < 20:
            run += 1
        if vectors and run > 2:
            words.append(0x3000 | int(e.p) << 11 | e.x)
            first = min(run, 12)
            words.append(0x4000 | (1 << first) - 1)
            if run > 12:
                words.append(0x5000 | (1 << run - 12) - 1)
            index += run
        else:
            words.append(0x2000 | int(e.p) << 11 | e.x)
            index += 1
    return words


def packed(words: Sequence[int], bytes_each: int, byte_order: str = "<") -> bytes:
    return np.array(words, dtype=np.dtype(f"{byte_order}u{bytes_each}")).tobytes()


def write_raw(
    path: Path, name: str, events: Sequence[Event], size: tuple[int, int] | None = (640, 480)
) -> Path:
    words = {"EVT2": evt2_words, "EVT21": evt21_words, "EVT3": evt3_words}[name](events)
    path.write_bytes(raw_header(name, size=size) + packed(words, {"EVT2": 4, "EVT21": 8, "EVT3": 2}[name]))
    return path


def write_dat(path: Path, events: Sequence[Event]) -> Path:
    header = b"% Data file containing CD events.\n% Version 2\n% Width 640\n% Height 480\n\x0c\x08"
    records = (struct.pack("<II", e.t & 0xFFFFFFFF, int(e.p) << 28 | e.y << 14 | e.x) for e in events)
    path.write_bytes(header + b"".join(records))
    return path


def write_es(path: Path, events: Sequence[Event], size: tuple[int, int] = (640, 480)) -> Path:
    data = bytearray(b"Event Stream\x02\x00\x00\x01" + struct.pack("<HH", *size))
    now = 0
    for e in events:
        wait = e.t - now
        data += b"\xff" * (wait // 127)
        data += struct.pack("<BHH", (wait % 127) << 1 | int(e.p), e.x, size[1] - 1 - e.y)
        now = e.t
    path.write_bytes(data)
    return path


def aedat3_packet(kind: int, records: Sequence[tuple[int, int]], overflow: int = 0) -> bytes:
    head = struct.pack("<hhiiiiii", kind, 1, 8, 4, overflow, len(records), len(records), len(records))
    return head + b"".join(struct.pack("<Ii", *record) for record in records)


def write_aedat3(path: Path, events: Sequence[Event], per_packet: int = 100) -> Path:
    data = bytearray(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS346\r\n#!END-HEADER\r\n")
    for begin in range(0, len(events), per_packet):
        part = events[begin : begin + per_packet]
        overflow = part[0].t >> 31
        same = [e for e in part if e.t >> 31 == overflow]
        rest = [e for e in part if e.t >> 31 != overflow]
        for chosen in (same, rest):
            if chosen:
                over = chosen[0].t >> 31
                records = [(e.x << 17 | e.y << 2 | int(e.p) << 1 | 1, e.t & 0x7FFFFFFF) for e in chosen]
                data += aedat3_packet(1, records, over)
    path.write_bytes(data)
    return path


def flat_packet(kind: bytes, elements: bytes, count: int) -> bytes:
    """Return a FlatBuffer with its length before it: a table whose only field is a vector."""
    head = struct.pack("<I4s", 16, kind)  # where the table begins
    fields = struct.pack("<HHHxx", 6, 8, 4)  # lengths of this list and of the table, place of the field
    table = struct.pack("<iII", 8, 4, count)  # back to the fields; on to the vector
    body = head + fields + table + elements
    return struct.pack("<I", len(body)) + body


def trigger_packet(edges: Sequence[tuple[int, int]]) -> bytes:
    """Return a packet of trigger tables: a time and a kind each."""
    fields = struct.pack("<HHHHxxxx", 8, 16, 4, 12)
    begin = 4 * len(edges) + len(fields)  # of the first table, from the begin of the vector's elements
    offsets = b"".join(struct.pack("<I", begin + 16 * i - 4 * i) for i in range(len(edges)))
    tables = b"".join(
        struct.pack("<iqbxxx", len(fields) + 16 * i, t, kind) for i, (t, kind) in enumerate(edges)
    )
    return flat_packet(b"TRIG", offsets + fields + tables, len(edges))


def write_aedat4(
    path: Path, events: Sequence[Event], pack: str = "LZ4", edges: Sequence[tuple[int, int]] = ()
) -> Path:
    import lz4.frame
    import zstandard

    number, packed_ = {
        "NONE": (0, bytes),
        "LZ4": (1, lz4.frame.compress),
        "ZSTD": (3, zstandard.ZstdCompressor().compress),
    }[pack]
    node = '<node name="{}"><attr key="typeIdentifier" type="string">{}</attr>{}</node>'
    size = '<attr key="sizeX" type="int">346</attr><attr key="sizeY" type="int">260</attr>'
    info = node.format(0, "EVTS", size) + node.format(1, "TRIG", "") + node.format(2, "IMUS", "")
    text = f"<dv>{info}</dv>".encode()
    # fields: 0 how packets are packed, 1 where the table at the end begins (left out), 2 the text
    table = struct.pack("<HHHHHxx", 10, 12, 4, 0, 8) + struct.pack("<iiII", 12, number, 4, len(text)) + text
    header = struct.pack("<I4s", 20, b"IOHE") + table
    data = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(header)) + header
    packets = [(2, flat_packet(b"IMUS", bytes(8), 1)), (1, trigger_packet(edges))]
    for begin in range(0, len(events), 1000):
        part = events[begin : begin + 1000]
        records = b"".join(struct.pack("<qhhBxxx", e.t, e.x, e.y, e.p) for e in part)
        packets.append((0, flat_packet(b"EVTS", records, len(part))))
    for stream, packet in packets:
        payload = packed_(packet)
        data += struct.pack("<iI", stream, len(payload)) + payload
    path.write_bytes(data)
    return path


def columns(events: Sequence[Event]) -> dict[str, Any]:
    t, x, y, p = zip(*events, strict=True)
    return {
        "t": np.array(t, dtype=np.int64),
        "x": np.array(x, dtype=np.uint16),
        "y": np.array(y, dtype=np.uint16),
        "p": np.array(p, dtype=np.bool_),
    }


def ecf_chunk(events: Sequence[Event], style: str) -> bytes:
    """Return events packed with Prophesee's ECF, property after property: `masked`, `xp` or `yxp`."""
    head = len(events) << 2 | {"masked": 0, "xp": 1, "yxp": 2}[style]
    data = struct.pack("<Iq", head, events[0].t) + _ecf_times(events)
    if style == "yxp":
        return data + _ecf_groups([e.y << 12 | e.x << 1 | e.p for e in events], 24)
    data += _ecf_runs([e.y for e in events], 5, 2)
    if style == "xp":
        return data + _ecf_groups([e.x << 1 | e.p for e in events], 12)
    place = 0
    while place < len(events):
        x, mask, place = events[place].x, 0, place + 1
        for step in range(1, 6):
            if place < len(events) and events[place].x == x + step:
                mask, place = mask | 1 << 5 - step, place + 1
        data += struct.pack("<H", x << 5 | mask)
    return data + _ecf_runs([int(e.p) for e in events], 7, 1)


def _ecf_times(events: Sequence[Event]) -> bytes:
    data, now = bytearray(), events[0].t
    for t, group in itertools.groupby(event.t for event in events):
        number, step = len(list(group)), t - now
        if step >= 15:
            while step:
                data.append(0xF0 | step & 15)
                step >>= 4
        data += (
            bytes([step << 4 | 15]) + struct.pack("<H", number)
            if number > 14
            else bytes([step << 4 | number])
        )
        now = t
    return bytes(data)


def _ecf_runs(values: Sequence[int], bits: int, size: int) -> bytes:
    data, most = bytearray(), (1 << bits) - 1
    for value, group in itertools.groupby(values):
        number = len(list(group))
        data += (value << bits | min(number, most)).to_bytes(size, "little")
        data += struct.pack("<H", number) if number >= most else b""
    return bytes(data)


def _ecf_groups(values: Sequence[int], bits: int) -> bytes:
    """Return values of so many bits, four in three words, the first one highest and the rest spread."""
    data, spare = bytearray(), bits // 3
    padded = [*values, *[0] * (-len(values) % 4)]
    for first, second, third, fourth in zip(*[iter(padded)] * 4, strict=True):
        words = (
            first << spare | second & (1 << spare) - 1,
            (second >> spare) << 2 * spare | third & (1 << 2 * spare) - 1,
            (third >> 2 * spare) << 3 * spare | fourth,
        )
        data += b"".join(word.to_bytes(bits // 6, "little") for word in words)
    return bytes(data)


def write_ecf(path: Path, events: Sequence[Event], styles: Sequence[str], rows: int) -> None:
    """Write Prophesee's HDF5 with chunks of so many rows.

    The filter's number is put into the place of one that can be written.
    """
    import h5py
    import hdf5plugin

    kind = np.dtype(
        {"names": [*"xypt"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8], "itemsize": 16}
    )
    with h5py.File(path, "w") as file:
        table = file.create_dataset("CD/events", (len(events),), kind, chunks=(rows,), **hdf5plugin.LZ4())
        for place, begin in enumerate(range(0, len(events), rows)):
            part = list(events[begin : begin + rows])
            part += [part[-1]] * (rows - len(part))
            table.id.write_direct_chunk((begin,), ecf_chunk(part, styles[place % len(styles)]))
        file.attrs["geometry"] = "640x480"
    data = path.read_bytes()
    path.write_bytes(data.replace((32004).to_bytes(2, "little"), (0x8ECF).to_bytes(2, "little"), 1))
