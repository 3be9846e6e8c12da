"""Damages files: bits, ends, blocks, lengths and numbers, also inside archives and behind checksums.

A tree is the files of an input by their relative names. Everything is drawn from a seeded generator, so that
an input is told by its reader and its number.
"""

from __future__ import annotations

import io
import json
import math
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

Tree = Mapping[str, bytes]

NUMBERS: Final = tuple(
    word.encode()
    for word in (
        *(
            "nan",
            "inf",
            "-inf",
            "1e999999999",
            "-1e308",
            "1e-400",
            "1_000",
            "0x7f",
            "-0",
            "0",
            "-1",
            "1",
            "1,5",
        ),
        *("2147483648", "4294967295", "9223372036854775807", "-9223372036854775809", "30000", "100000000"),
        *("1e15", "1" + "0" * 400, "9" * 5000, "\uff11\uff12", "\u0663", "1/0", "true", "null", ""),
    )
)
TEXTS: Final = (
    *(b"\x1b[31m\x07", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 20_000, b'{"a":' * 20_000, b'"' * 3),
    *(
        b"../" * 20,
        b"\n" * 50,
        b"," * 200,
        b";",
        b"=1+1",
        b"$\\frac{",
        b"x" * 70_000,
        b"\xe2\x80\xae",
        b"\x85",
    ),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 2**70, 10**400, 1e308, math.nan, "x", "", "\x1b[1m"),
    *([], {}, [[]], [None]),
)
_SIZES: Final = (0, 1, 2, 255, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40)
LENGTHS: Final = (*_SIZES, (1 << 63) - 1)
_NUMBER: Final = re.compile(rb"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|nan|inf|true|null")
_ZIP: Final = b"PK\x03\x04"
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def mutated(tree: Tree, draw: random.Random) -> dict[str, bytes]:
    """Return a tree with one of its files damaged, rarely with one missing or empty."""
    files = dict(tree)
    name = draw.choice(sorted(files))
    if len(files) > 1 and draw.random() < 0.02:
        del files[name]
        return files
    other = files[draw.choice(sorted(files))]
    files[name] = _within(files[name], other, draw)
    return files


def _within(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Damage a file; of archives, pictures and weights often what is inside, with sums put right."""
    if draw.random() < 0.6:
        if data.startswith(_ZIP):
            return _in_zip(data, draw)
        if data.startswith(_PNG):
            return _in_png(data, draw)
        if data[8:9] == b"{" and struct.unpack_from("<Q", data)[0] < len(data):
            return _in_safetensors(data, draw)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        data = _damaged(data, other, draw)
    return data


def _damaged(data: bytes, other: bytes, draw: random.Random) -> bytes:
    is_text = b"\0" not in data[:1000] and sum(one > 126 for one in data[:1000]) * 10 <= len(data[:1000])
    ways = (*_TEXT_WAYS, *_WAYS) if is_text else _WAYS
    return draw.choice(ways)(data, other, draw)


def _flip(data: bytes, _: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    # half of the time near the front, where headers are
    reach = len(data) if draw.random() < 0.5 else min(len(data), 256)
    for _again in range(draw.choice((1, 1, 2, 8)) if reach else 0):
        changed[draw.randrange(reach)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(data: bytes, _: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _block(data: bytes, _: bytes, draw: random.Random) -> bytes:
    begin, size = draw.randrange(len(data) + 1), draw.choice((1, 4, 16, 256, 4096))
    filling = draw.choice((b"\0" * size, b"\xff" * size, draw.randbytes(size)))
    return data[:begin] + filling + data[begin + (size if draw.random() < 0.7 else 0) :]


def _splice(data: bytes, other: bytes, draw: random.Random) -> bytes:
    begin, size = draw.randrange(len(other) + 1), draw.choice((4, 64, 1024, 65536))
    place = draw.randrange(len(data) + 1)
    return data[:place] + other[begin : begin + size] + data[place + draw.choice((0, size)) :]


def _length(data: bytes, _: bytes, draw: random.Random) -> bytes:
    size, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
    value = draw.choice(LENGTHS) & ((1 << 8 * size) - 1)
    place = draw.randrange(max(1, min(len(data), draw.choice((64, 512, 1 << 30))) - size + 1))
    return data[:place] + value.to_bytes(size, order) + data[place + size :]  # type: ignore[arg-type]


def _number(data: bytes, _: bytes, draw: random.Random) -> bytes:
    found = list(_NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    match = draw.choice(found)
    return data[: match.start()] + draw.choice(NUMBERS) + data[match.end() :]


def _insert(data: bytes, _: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    return data[:place] + draw.choice(TEXTS) + data[place:]


def _line(data: bytes, _: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    at = draw.randrange(len(lines))
    copies = draw.choice((0, 2, 3, 500))
    return b"".join((*lines[:at], *[lines[at]] * copies, *lines[at + 1 :]))


def _node(data: bytes, other: bytes, draw: random.Random) -> bytes:
    """Replace a value anywhere in a JSON document."""
    try:
        document = json.loads(data)
        holders = [node for node in _nodes(document) if isinstance(node, dict | list) and node]
    except (ValueError, RecursionError):
        return _number(data, other, draw)
    if holders:
        holder = draw.choice(holders)
        key = draw.choice(sorted(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[key] = draw.choice(VALUES)
    return json.dumps(document).encode()


def _nodes(document: object) -> list[object]:
    inner = list(document.values()) if isinstance(document, dict) else document
    return (
        [document, *(node for value in inner for node in _nodes(value))]
        if isinstance(inner, list)
        else [document]
    )


Way = Callable[[bytes, bytes, random.Random], bytes]
_WAYS: Final[tuple[Way, ...]] = (_flip, _flip, _cut, _block, _splice, _length, _length)
_TEXT_WAYS: Final[tuple[Way, ...]] = (_number, _number, _number, _insert, _insert, _line, _line, _node, _node)


def _in_zip(data: bytes, draw: random.Random) -> bytes:
    """Damage a member, or what the archive says of one; sums are right afterwards."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {one: source.read(one) for one in source.infolist()}
    chosen = draw.choice(list(members))
    members[chosen] = _damaged(members[chosen], draw.choice(list(members.values())), draw)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, content in members.items():
            name = member.filename
            if member is chosen and draw.random() < 0.1:
                name = draw.choice(("../x", "/x", "a" * 300, "x\x1b[1m.txt", name + ".txt"))
            archive.writestr(name, content, member.compress_type)
    return packed.getvalue()


def _in_png(data: bytes, draw: random.Random) -> bytes:
    """Damage a chunk and give it its sum."""
    place, chunks = len(_PNG), []
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    at = draw.randrange(len(chunks)) if draw.random() < 0.5 else 0
    kind, body = chunks[at]
    chunks[at] = kind, _damaged(body, body, draw)
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _in_safetensors(data: bytes, draw: random.Random) -> bytes:
    """Damage the header, or the JSON that is a text in it, and give it its length."""
    (size,) = struct.unpack_from("<Q", data)
    header = data[8 : 8 + size]
    document = json.loads(header)
    own = document.get("__metadata__", {}).get("dmtrack")
    if own is not None and draw.random() < 0.7:
        document["__metadata__"]["dmtrack"] = _damaged(own.encode(), b"", draw).decode("utf-8", "replace")
        header = json.dumps(document).encode()
    else:
        header = _damaged(header, header, draw)
    return struct.pack("<Q", len(header)) + header + data[8 + size :]
