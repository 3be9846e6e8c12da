"""A real sender of live video for the tests: H.264 over UDP, TCP or RTSP on this machine, in real time.

Every picture carries its number as 16 black or white blocks, so that a receiver can tell which one it sees
and how old it is. The sender is a process of its own, as cameras are: this file run as a program.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import av
import numpy as np

WIDTH: Final = 128
HEIGHT: Final = 96
BITS: Final = 16
_BLOCK_PX = WIDTH // BITS


def free_port() -> int:
    """Return a port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def numbered_picture(number: int) -> np.ndarray:
    """Return a grey picture with its number in blocks at the top, and a bright square that moves."""
    picture = np.full((HEIGHT, WIDTH), 60, np.uint8)
    for bit in range(BITS):
        picture[:16, bit * _BLOCK_PX : (bit + 1) * _BLOCK_PX] = 235 if number >> bit & 1 else 16
    left = 40 + number % 30
    picture[40:64, left : left + 24] = 200
    picture[46:58, left + 6 : left + 18] = 120
    return picture


def number_of(picture: np.ndarray) -> int:
    """Return the number that a picture carries."""
    grey = picture if picture.ndim == 2 else picture[..., :3].mean(axis=2)
    return sum(1 << bit for bit in range(BITS) if grey[8, bit * _BLOCK_PX + _BLOCK_PX // 2] > 128)


class Sender:
    """Sends numbered pictures from another process until it is stopped; a context manager.

    Args:
        url: Where to; `serve:PORT` serves whoever connects to that TCP port.
        rate: Pictures a second.
        kind: libav's name of the format: `mpegts` or `rtsp`.
        look: `colour`, or `grey` as thermal cameras send.
        pictures: So many, then the stream is closed; -1 goes on until it is stopped.
    """

    def __init__(
        self, url: str, *, rate: int = 25, kind: str = "mpegts", look: str = "colour", pictures: int = -1
    ) -> None:
        self.rate = rate
        self._words = [url, kind, str(rate), look, str(pictures)]
        self._start_s: float | None = None

    def __enter__(self) -> Sender:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), *self._words], stdout=subprocess.PIPE, text=True
        )
        if self._words[0].startswith("serve:"):
            self._line("listening")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop sending at once, as a camera does that loses its power; twice is harmless."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def sent_s(self, number: int) -> float:
        """Return when a picture was sent, on `time.monotonic`, which all processes share."""
        if self._start_s is None:
            self._start_s = float(self._line("start"))
        return self._start_s + number / self.rate

    def _line(self, word: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        assert line[:1] == [word], line
        return line[-1]


def send(url: str, kind: str, rate: int, look: str, pictures: int) -> None:
    """Send until killed, or until there are enough pictures; wait for the receiver first."""
    while True:
        with contextlib.suppress(av.error.FFmpegError, OSError), contextlib.closing(_open(url, kind)) as sink:
            _send_pictures(sink, rate, look, pictures)
            return
        time.sleep(0.05)  # nobody listens yet


def _open(url: str, kind: str) -> av.container.OutputContainer:
    if not url.startswith("serve:"):
        options = {"rtsp_transport": "tcp"} if kind == "rtsp" else {"flush_packets": "1"}
        return av.open(url, "w", format=kind, options=options)
    with socket.create_server(("127.0.0.1", int(url.removeprefix("serve:")))) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        connection, _ = server.accept()
        file = connection.makefile("wb", buffering=0)
        return av.open(file, "w", format=kind, options={"flush_packets": "1"}, buffer_size=1316)


def _send_pictures(container: av.container.OutputContainer, rate: int, look: str, pictures: int) -> None:
    options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(max(1, rate // 3)), "crf": "12"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    number, start_s = 0, time.monotonic()
    while number != pictures:
        time.sleep(max(0.0, start_s + number / rate - time.monotonic()))
        grey = numbered_picture(number)
        picture = np.stack([grey, grey // 2 + 30, 255 - grey], axis=2) if look == "colour" else grey
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if look == "colour" else "gray")
        frame.pts = number
        container.mux(stream.encode(frame))
        if number == 0:
            sys.stdout.write(f"start {start_s}\n")
            sys.stdout.flush()
        number += 1
    container.mux(stream.encode(None))


if __name__ == "__main__":
    url, kind, rate, look, pictures = sys.argv[1:]
    send(url, kind, int(rate), look, int(pictures))
