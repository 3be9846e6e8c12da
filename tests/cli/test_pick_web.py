"""The drawing page over plain HTTP: what it serves, whom it refuses, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from dmtrack.boxes.reading import read_rows
from dmtrack.errors import BoxError, FormatError
from dmtrack.output.record import read_run_json
from dmtrack.run.start_boxes import DrawingScene
from dmtrack.tracking.start import TargetStart
from dmtrack.video.pairing import PairedSource, open_pair
from dmtrack.video.position import Position
from dmtrack_cli.console import Stopped
from dmtrack_cli.review import server as web
from dmtrack_cli.review.drawing import PickSession, draw_on_page
from dmtrack_cli.review.frames import FrameShelf
from dmtrack_cli.review.server import LARGEST_BODY_BYTES, PageServer

JSON = {"Content-Type": "application/json"}
BOX = {"frame": 2, "x": 22, "y": 16, "w": 16, "h": 16}
GOOD = {"boxes": [BOX]}


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


def ask(
    server: PageServer,
    path: str = "",
    body: object = None,
    *,
    token: str | None = None,
    method: str | None = None,
    **headers: str,
) -> Answer:
    """Send a request as a browser on this machine would; `body` is sent as JSON unless it is bytes."""
    connection = http.client.HTTPConnection(server.server_name, server.server_port, timeout=20)
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {} if data is None else JSON
    way = method or ("GET" if data is None else "POST")
    connection.request(way, f"/{server.token if token is None else token}/{path}", data, {**kind, **names})
    answer = connection.getresponse()
    got = Answer(answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()})
    connection.close()
    return got


@pytest.fixture
def opened() -> list[PairedSource]:
    """Every source that the page opened."""
    return []


@pytest.fixture
def scene(recording, opened) -> DrawingScene:
    def open_at(index: int) -> PairedSource:
        opened.append(open_pair(recording.rgb, recording.thermal, start=Position(index=index)))
        return opened[-1]

    with open_pair(recording.rgb, recording.thermal, start=Position(index=2)) as pairs:
        first = next(iter(pairs))
    return DrawingScene(first, open_at, lowest=1, last=11, ids=(3, 4, 7), name="<b>night & day</b>")


@pytest.fixture
def server(scene) -> Iterator[PageServer]:
    shelf = FrameShelf(scene)
    with PageServer(PickSession(scene, 60), shelf) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.02,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()
    shelf.close()


# --- what is served -----------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(server):
    page = ask(server)
    assert page.status == 200
    text = page.body.decode()
    assert "&lt;b&gt;night &amp; day&lt;/b&gt;" in text
    files = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert files == ["style.css", "main.js"]
    assert not re.search(r"<style|<script(?! id=\"setup\"| type=\"module\" src)|@@|\son\w+=", text), (
        "nothing inline"
    )
    for name in (*files, "stage.js", "store.js", "timeline.js"):
        answer = ask(server, name)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(
            "text/css" if name == "style.css" else "text/javascript"
        )
        assert not re.search(rb"https?:|@import|url\(", answer.body)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer", "the address holds the token"


def test_the_page_knows_the_recording(server):
    text = ask(server).body.decode()
    setup = json.loads(re.search(r'type="application/json"[^>]*>(.*?)</script>', text)[1])
    assert (setup["width"], setup["height"], setup["aux"]) == (96, 64, "thermal")
    assert (setup["first"], setup["lowest"], setup["last"], setup["ids"]) == (2, 1, 11, [3, 4, 7])


def test_frames_in_any_order(server, opened):
    for index in (2, 9, 3, 4, 11, 1):
        for stream in ("rgb", "aux"):
            answer = ask(server, f"frame/{index}/{stream}.jpg")
            assert answer.status == 200
            assert answer.headers["content-type"] == "image/jpeg"
            assert int(answer.headers["x-frame"]) == index
            assert answer.headers["x-clock"] == f"frame {index}  0:0{index / 10:.3f}"
            picture = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (64, 96, 3)
            row = picture[17, :, 2].astype(int)  # the upper edge of the bright square, red
            assert abs(int(np.argmax(np.diff(row))) - (19 + index)) <= 1
    assert len(opened) == 2, "9 is read anew, 3 is behind it and brings 1 along, 4 and 11 are read on to"


def test_colours_are_not_swapped(server):
    body = ask(server, "frame/5/rgb.jpg").body
    blue, green, red = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)[17, 30].astype(int)
    assert red > green + 30 > blue + 60


@pytest.mark.parametrize("path", ["frame/12/rgb.jpg", "frame/999999999/aux.jpg"])
def test_frames_behind_the_end(server, path):
    answer = ask(server, path)
    assert (answer.status, "there is no frame" in answer.error) == (404, True)
    assert ask(server, "frame/11/rgb.jpg").status == 200


@pytest.mark.parametrize("path", ["frame/x/rgb.jpg", "frame/-1/rgb.jpg", "../run.json", "page.html", "setup"])
def test_nothing_else_is_served(server, path):
    assert ask(server, path).status == 404


def test_one_stream_has_no_second_picture(recording):
    with open_pair(recording.rgb) as pairs:
        first = next(iter(pairs))
    scene = DrawingScene(first, lambda _: pairs, lowest=0, last=None, ids=(1,))
    assert FrameShelf(scene).frame(0).aux is None
    assert PickSession(scene, 9).setup()["aux"] is None


# --- who is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "evil.example#127.0.0.1", "[::1]:80", ""],
)
@pytest.mark.parametrize(("path", "body"), [("", None), ("frame/2/rgb.jpg", None), ("submit", GOOD)])
def test_foreign_host_names(server, host, path, body):
    answer = ask(server, path, body, Host=host)
    assert (answer.status, answer.error) == (403, "this page is not for other host names")
    assert ask(server, "submit", GOOD).status == 200, "the drawing was not over"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
    ],
)
@pytest.mark.parametrize("path", ["submit", "cancel", "alive"])
def test_foreign_origins(server, origin, path):
    answer = ask(server, path, GOOD, Origin=origin.format(port=server.server_port))
    assert (answer.status, answer.error) == (403, "this page is not for other sites")
    assert ask(server, "submit", GOOD).status == 200


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "localhost:8123"])
def test_the_own_page_also_through_a_tunnel(server, host):
    host = host.format(port=server.server_port)
    assert ask(server, "submit", GOOD, Host=host, Origin=f"http://{host}").status == 200


@pytest.mark.parametrize(
    "change", [lambda t: "", lambda t: t[:-1], lambda t: t + "A", lambda t: t.swapcase()]
)
@pytest.mark.parametrize(("path", "body"), [("", None), ("frame/2/rgb.jpg", None), ("submit", GOOD)])
def test_wrong_tokens(server, change, path, body):
    answer = ask(server, path, body, token=change(server.token))
    assert (answer.status, answer.error) == (403, "the token in the address is wrong")
    assert ask(server, "submit", GOOD).status == 200


def test_the_address_is_this_machine_alone_and_new_each_time(server, scene):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", server.url)
    with PageServer(PickSession(scene, 1), FrameShelf(scene)) as other:
        assert other.token != server.token


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"{boxes", "not JSON", id="no-json"),
        pytest.param(b"\xff\xfe", "not JSON", id="bytes"),
        pytest.param(b"[" * 9000, "not JSON", id="nested"),
        pytest.param([], 'no list "boxes"', id="no-object"),
        pytest.param({"boxes": {"0": BOX}}, 'no list "boxes"', id="no-list"),
        pytest.param({"boxes": []}, "no box was drawn", id="no-box"),
        pytest.param({"boxes": [7]}, "box 1 is not an object", id="number"),
        pytest.param({"boxes": [BOX] * 4}, "4 boxes are too many", id="too-many"),
        pytest.param({"boxes": [BOX, {**BOX, "x": "1"}]}, "box 2: x is '1', not a number", id="text"),
        pytest.param({"boxes": [{**BOX, "w": True}]}, "w is True, not a number", id="bool"),
        pytest.param({"boxes": [{**BOX, "w": 10**400}]}, "w is too large", id="beyond-float"),
        pytest.param({"boxes": [{k: v for k, v in BOX.items() if k != "h"}]}, "h is None", id="missing"),
        pytest.param(b'{"boxes": [{"frame": 2, "x": NaN, "y": 1, "w": 4, "h": 4}]}', "not finite", id="nan"),
        pytest.param({"boxes": [{**BOX, "w": -4}]}, "no area", id="negative"),
        pytest.param({"boxes": [{**BOX, "w": 1}]}, "too small", id="line"),
        pytest.param({"boxes": [{**BOX, "x": 96}]}, "outside the 96x64 frame", id="outside"),
        pytest.param({"boxes": [{**BOX, "frame": 0}]}, "0 is not a frame", id="before-the-lowest"),
        pytest.param({"boxes": [{**BOX, "frame": 12}]}, "12 is not a frame", id="behind-the-last"),
        pytest.param({"boxes": [{**BOX, "frame": 2.0}]}, "2.0 is not a frame", id="half-frames"),
        pytest.param({"boxes": [{**BOX, "frame": True}]}, "True is not a frame", id="bool-frame"),
    ],
)
def test_bad_boxes_are_answered_and_may_be_put_right(server, body, words):
    answer = ask(server, "submit", body)
    assert answer.status == 400
    assert words in answer.error
    assert ask(server, "submit", GOOD).status == 200
    assert [start.box.xywh for start in drawn(server)] == [(22, 16, 16, 16)]


def drawn(server: PageServer) -> tuple[TargetStart, ...]:
    session = server.session
    assert isinstance(session, PickSession)
    return session.wait()


@pytest.mark.parametrize(
    ("status", "path", "arguments"),
    [
        pytest.param(413, "submit", {"body": b" " * (LARGEST_BODY_BYTES + 1)}, id="too-large"),
        pytest.param(
            415, "submit", {"body": GOOD, "Content_Type": "text/plain"}, id="a-form-of-another-site"
        ),
        pytest.param(404, "elsewhere", {"body": GOOD}, id="no-such-place"),
        pytest.param(411, "submit", {"method": "POST", "Content_Length": "x"}, id="no-length"),
        pytest.param(501, "submit", {"method": "PUT"}, id="method"),
    ],
)
def test_other_requests(server, status, path, arguments):
    try:
        assert ask(server, path, **arguments).status == status
    except (ConnectionResetError, BrokenPipeError):
        assert status == 413, "only what is too large is not read to its end"
    assert ask(server, "submit", GOOD).status == 200


def test_boxes_are_taken_once(server):
    two = {"boxes": [BOX, {**BOX, "frame": 7, "x": 5}]}
    assert ask(server, "submit", two).status == 200
    assert "already" in ask(server, "submit", GOOD).error
    starts = drawn(server)
    assert [(start.target_id, start.frame_index, start.box.x) for start in starts] == [(3, 2, 22), (4, 7, 5)]


# --- how it ends --------------------------------------------------------------------------------


def test_time_runs_out_and_every_action_gives_more(scene):
    now = [0.0]
    session = PickSession(scene, 100, clock=lambda: now[0])
    now[0] = 90.0
    session.touch()
    now[0] = 189.0
    waiting = threading.Thread(target=lambda: time.sleep(0.3) or session.submit(json.dumps(GOOD).encode()))
    waiting.start()
    assert len(session.wait()) == 1
    waiting.join()
    late = PickSession(scene, 100, clock=lambda: now[0])
    now[0] += 100
    with pytest.raises(BoxError, match="nobody drew a box within 100 s; --pick-timeout"):
        late.wait()
    with pytest.raises(FormatError, match="already"):
        late.submit(json.dumps(GOOD).encode())


def test_cancel(server):
    assert ask(server, "cancel", {}).status == 200
    with pytest.raises(Stopped, match="nothing was tracked"):
        drawn(server)


@pytest.fixture
def visitor(monkeypatch) -> Callable[[Callable[[PageServer], object]], None]:
    """Let a function visit the page as soon as its address is said."""
    say_where = web._say_where

    def arrange(visit: Callable[[PageServer], object]) -> None:
        def said(server: PageServer, *what_for: str) -> None:
            say_where(server, *what_for)
            threading.Thread(target=visit, args=(server,), daemon=True).start()

        monkeypatch.setattr(web, "_say_where", said)

    return arrange


def test_tracking_starts_where_was_drawn(track, visitor):
    boxes = [{**BOX, "frame": 7}, {"frame": 4, "x": 24, "y": 16, "w": 16, "h": 16}]
    visitor(lambda server: ask(server, "submit", {"boxes": boxes}))
    outcome = track("--box", "--start", "6", "--end", "10", "-q")
    assert outcome.code == 0
    rows = read_rows(Path("out/boxes.txt"))
    assert [(row.frame_index, row.target_id) for row in rows][:5] == [(4, 2), (5, 2), (6, 2), (7, 1), (7, 2)]
    record = read_run_json(Path("out/run.json"))
    assert record["configuration"]["start"] == "4"
    assert record["configuration"]["boxes_from"] == "drawn"
    assert record["counts"]["frames"] == 6
    assert re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/\n", outcome.err), "said even with --quiet"
    assert "ssh -L" in outcome.err


@pytest.mark.parametrize(
    ("words", "display", "is_opened"),
    [
        pytest.param([], ":0", True, id="on-a-desktop"),
        pytest.param(["--pick", "window"], ":0", True, id="by-the-old-word"),
        pytest.param(["--pick", "web"], ":0", False, id="the-address-alone"),
        pytest.param([], "", sys.platform in ("darwin", "win32"), id="without-a-display"),
    ],
)
def test_the_page_opens_by_itself(track, monkeypatch, words, display, is_opened):
    opened = threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda _url: opened.set())
    monkeypatch.setenv("DISPLAY", display)
    outcome = track("--box", "--pick-timeout", "1", *words)
    assert "nobody drew" in outcome.err
    assert opened.is_set() == is_opened


def test_beside_a_given_box_nothing_starts_before_it(track, visitor):
    answers: list[Answer] = []

    def visit(server: PageServer) -> None:
        answers.append(ask(server, "submit", {"boxes": [{**BOX, "frame": 1}]}))
        answers.append(ask(server, "submit", GOOD))

    visitor(visit)
    assert track("--box", "--box", "40,20,10,10", "--start", "2", "--no-video").code == 0
    assert [answer.status for answer in answers] == [400, 200]
    assert [(row.target_id, row.box.x) for row in read_rows(Path("out/boxes.txt"))[:2]] == [(1, 40), (2, 22)]


def test_cancelling_on_the_page_leaves_nothing(track, visitor):
    visitor(lambda server: ask(server, "cancel", {}))
    outcome = track("--box")
    assert outcome.code == 130
    assert outcome.error_lines[-1] == "stopped: no box was drawn, nothing was tracked"
    assert not Path("out").exists()


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["as usual", "ignored"])
def test_ctrl_c_while_waiting(track, visitor, handler):
    """Ignored is how a shell starts a program in the background."""
    visitor(lambda _server: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, handler)
    try:
        outcome = track("--box")
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert outcome.code == 130
    assert outcome.error_lines[-1] == "stopped: no box was drawn, nothing was tracked"
    assert not Path("out").exists()


def test_the_end_leaves_no_thread_no_port_and_no_open_recording(scene, visitor, opened, monkeypatch):
    closed: list[PairedSource] = []
    close = PairedSource.close
    monkeypatch.setattr(PairedSource, "close", lambda source: closed.append(source) or close(source))
    ports: list[int] = []
    idle: list[socket.socket] = []

    def visit(server: PageServer) -> None:
        ports.append(server.server_port)
        idle.append(socket.create_connection(("127.0.0.1", server.server_port)))  # as browsers do
        ask(server, "frame/5/rgb.jpg")
        ask(server, "submit", GOOD)

    visitor(visit)
    begin = time.monotonic()
    assert [start.target_id for start in draw_on_page(scene, 30)] == [3]
    assert time.monotonic() - begin < 5, "a connection that says nothing does not hold it up"
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]))
    assert opened == closed
    idle[0].close()


def test_a_frame_that_is_missing_shows_the_next_one(scene, monkeypatch):
    whole = PairedSource.__iter__
    monkeypatch.setattr(
        PairedSource, "__iter__", lambda source: (pair for pair in whole(source) if pair.rgb.index != 5)
    )
    shelf = FrameShelf(scene)
    assert [shelf.frame(index).index for index in (4, 5, 6)] == [4, 6, 6]
    shelf.close()
