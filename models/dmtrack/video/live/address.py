"""`LiveAddress`: where a live stream comes from, as a user writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dmtrack.errors import VideoError

PROTOCOLS: Final = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtp,udp,tcp,tls",
    "rtmp": "rtmp,tcp",
    "srt": "srt,udp",
    "udp": "udp",
    "tcp": "tcp",
    "http": "http,tcp,httpproxy",
    "https": "https,http,tls,tcp,httpproxy",
}
"""Schemes, and the protocols that libav may open for each: never files, whatever a stream asks for."""

_URL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_LISTEN: Final = re.compile(r"(?P<before>[?&])listen(=1)?(?=&|$)")
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]*:[^/@]*@")
_DEVICE: Final = re.compile(r"/dev/\w+")


@dataclass(frozen=True, slots=True)
class LiveAddress:
    """The address of a network stream or a camera."""

    text: str  # as it was written
    # Number or path of a camera of this machine; None for a network stream
    camera: int | str | None = None
    scheme: str | None = None  # of a network stream, lower case
    listens: bool = False  # an RTSP sender connects to us, instead of us to it (`?listen` at the end)

    @property
    def url(self) -> str:
        """What libav opens."""
        return _LISTEN.sub("", self.text) if self.scheme == "rtsp" else self.text

    @property
    def shown(self) -> str:
        """The address without a password in it."""
        return hide_password(self.text)

    @property
    def path(self) -> Path:
        """The address as a `Path`, for fields that need one; no such file exists."""
        return Path(self.shown)


def is_live(text: str) -> bool:
    """Return whether `text` can only be a live stream; False for `0`, which may be one."""
    match = _URL.fullmatch(text)
    return (match is not None and match["scheme"].lower() in PROTOCOLS) or bool(_DEVICE.fullmatch(text))


def parse_address(text: str) -> LiveAddress:
    """Read `rtsp://…`, `udp://…`, `tcp://…`, `0` or `/dev/video0`; `VideoError` for anything else."""
    word = text.strip()
    if re.fullmatch(r"\d{1,3}", word):
        return LiveAddress(word, camera=int(word))
    if _DEVICE.fullmatch(word):
        return LiveAddress(word, camera=word)
    match = _URL.fullmatch(word)
    if match is None or match["scheme"].lower() not in PROTOCOLS:
        raise VideoError(
            "this is no live stream",
            where=hide_password(text),
            hint=f"give {', '.join(f'{scheme}://…' for scheme in PROTOCOLS)}, 0 or /dev/video0; or no --live",
        )
    scheme = match["scheme"].lower()
    return LiveAddress(word, scheme=scheme, listens=scheme == "rtsp" and bool(_LISTEN.search(word)))


def hide_password(text: str) -> str:
    """Return `text` with the user name and password of an address in it masked."""
    return _CREDENTIALS.sub("***@", text)
