"""Writes FLIR's radiometric files, from what is published of them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

import av
import cv2
import numpy as np

CAMERA: Final[dict[str, float]] = {
    "r1": 21106.77, "b": 1501.0, "f": 1.0, "o": -7340, "r2": 0.012545258,
    "emissivity": 0.95, "distance_m": 5.0, "reflected_k": 293.15, "air_k": 288.15, "humidity": 0.5,
    "alpha1": 0.006569, "alpha2": 0.01262, "beta1": -0.002276, "beta2": -0.00667, "x": 1.9,
    "hottest_k": 393.15,
}  # fmt: skip
"""Constants of a usual camera."""
_PLACES: Final = {
    "emissivity": 0x20, "distance_m": 0x24, "reflected_k": 0x28, "air_k": 0x2C, "humidity": 0x3C,
    "r1": 0x58, "b": 0x5C, "f": 0x60, "alpha1": 0x70, "alpha2": 0x74, "beta1": 0x78, "beta2": 0x7C, "x": 0x80,
    "hottest_k": 0x90, "r2": 0x30C,
}  # fmt: skip

RAMP_OF_12_BITS: Final = (np.arange(8)[:, None] * 37 + np.arange(16) * 211).astype(np.uint16)
TWELVE_BITS: Final = {
    "jpegls": base64.b85decode(
        "|JeWc01FHN2mlZP0TBTI+5iXv0RR910D#H{P%^Y_3qH=XY|AdnvTTbU#-$}BBO)One);RiZk)I!C2rWMLS%@LefOPp!a_$JZ"
        "MK?erdef{7$YNLh8JCR*Ii|nSz;n3mRV(5*0rr`7(znEF^pptwXJJe0Rq;wt!rA;r72Iq|Je"
    ),
    "sof3": base64.b85decode(
        "|JeV;02crO0RaI30000000000000052nG!Q!vG5m00;mO0RRyI|Jncu0RR97008Iz0JQBpPSdpQJ5JNI?K@7>wCy`jN}6e=n"
        "rWt*X{MTK=~GQK(@iwfO*GR@Jt}FYnrWt*X{MTKr=?9a(@iwfO*GR@H1w&anrWt*X{MTKrk<5F(@iwfO*GR@G}F?inrWt*X{"
        "MTKrkY^?*#"
    ),
    "sof1": base64.b85decode(
        "|JeWF01!$>Nk#wx0RR9200961|JwjV009930RaI40RaI40RaI40s#R50RaL50RaL60s;a80s;a90|WyD0|NsB0s{mC0|W#F1"
        "Ox&D1qB2I1q1{H1pmPR3k(1V01yEI5di<h02BZL0000000000000000000E|HJ?s5C8xM0{{R30000000000000UMCpkq{Vs"
        "!u700;pA002J#Ha>&stFYSKV0By?hL{LGin|T1#s^iwsQ=j"
    ),
}
"""The ramp as JPEG-LS, lossless JPEG, and JPEG of 12 bits, which is off by 1."""


def camera_record(camera: Mapping[str, float], time_ms: int, order: str = "<") -> bytes:
    data = bytearray(0x500)
    struct.pack_into(f"{order}H", data, 0, 2)
    for name, place in _PLACES.items():
        struct.pack_into(f"{order}f", data, place, camera[name])
    struct.pack_into(f"{order}i", data, 0x308, int(camera["o"]))
    struct.pack_into(f"{order}II", data, 0x384, time_ms // 1000, time_ms % 1000)
    return bytes(data)


def stored(raw: np.ndarray, kind: str, order: str = "<") -> bytes:
    """Return a raw picture: `plain`, `png` (with the bytes as cameras swap them) or `jpegls`."""
    if kind == "plain":
        return raw.astype(f"{order}u2").tobytes()
    if kind == "png":
        return bytes(cv2.imencode(".png", raw.byteswap())[1].tobytes())
    encoder: Any = av.CodecContext.create("jpegls", "w")
    encoder.width, encoder.height, encoder.pix_fmt = raw.shape[1], raw.shape[0], "gray16le"
    encoder.time_base = Fraction(1, 30)
    frame = av.VideoFrame.from_ndarray(raw, format="gray16le")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def fff(
    raw: np.ndarray,
    kind: str = "plain",
    *,
    camera: Mapping[str, float] | None = CAMERA,
    time_ms: int = 0,
    order: str = "<",
    directory_order: str = "<",
) -> bytes:
    """Return a file of records with one picture; in a JPEG the directory is in big-endian order."""
    picture = struct.pack(f"{order}HHH", 2, raw.shape[1], raw.shape[0]) + bytes(26) + stored(raw, kind, order)
    records = [(0x01, picture)]
    if camera is not None:
        records.insert(0, (0x20, camera_record(camera, time_ms, order)))
    at = 64 + 32 * len(records)
    directory, body = b"", b""
    for kind_number, data in records:
        entry = (kind_number, 1, 100, 1, at + len(body), len(data), 0, 0, 0)
        directory += struct.pack(f"{directory_order}HHIIIIIII", *entry)
        body += data
    head = (
        b"FFF\0" + b"CAMCTRL".ljust(16, b"\0") + struct.pack(f"{directory_order}III", 101, 64, len(records))
    )
    return head.ljust(64, b"\0") + directory + body


def radiometric_jpeg(picture: np.ndarray, data: bytes, part_bytes: int = 9000) -> bytes:
    """Return a JPEG of what the camera shows, with a file of records in its segments."""
    jpeg = bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    parts = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]
    segments = b"".join(
        b"\xff\xe1" + struct.pack(">H", len(part) + 10) + b"FLIR\0\1" + bytes((number, len(parts) - 1)) + part
        for number, part in enumerate(parts)
    )
    return jpeg[:2] + segments + jpeg[2:]
