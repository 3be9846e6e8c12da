"""A page on 127.0.0.1 on which a person draws and corrects boxes, here or through a tunnel.

Whoever can open the page can change results, so its address holds a random token, and requests whose `Host`
or `Origin` is another site's are refused: a foreign page in the same browser must not reach this one, not
even if its name resolves to 127.0.0.1 (DNS rebinding). Only names count, not the port, because `ssh -L` may
use another one at its near end.
"""

from __future__ import annotations

import contextlib
import hmac
import html
import json
import logging
import os
import re
import secrets
import socketserver
import sys
import threading
import webbrowser
from collections.abc import Callable, Collection, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any, Final, Protocol, cast

from rich.text import Text

from dmtrack.errors import DmtrackError
from dmtrack.run.review import OutOfDateError
from dmtrack_cli.console import err
from dmtrack_cli.review.frames import FrameShelf

ADDRESS: Final = "127.0.0.1"
LARGEST_BODY_BYTES: Final = 65_536
_FILES: Final = {
    "style.css": "text/css; charset=utf-8",
    **dict.fromkeys(("main.js", "stage.js", "store.js", "timeline.js"), "text/javascript; charset=utf-8"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TOKEN_BYTES: Final = 24
_SOCKET_TIMEOUT_S: Final = 20
_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.IGNORECASE)
_FRAME: Final = re.compile(r"frame/(\d{1,9})/(rgb|aux)\.jpg")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_log = logging.getLogger("dmtrack.review")


Send = Callable[[dict[str, Any]], None]


class PageSession(Protocol):
    """The program behind the page; called by several threads."""

    @property
    def name(self) -> str:
        """The name of the recording."""

    @property
    def questions(self) -> Collection[str]:
        """The requests that the page may send."""

    def setup(self) -> dict[str, Any]:
        """Return what the page needs at its start."""

    def touch(self) -> None:
        """Record that the person did something."""

    def answer(self, question: str, body: bytes, send: Send) -> None:
        """Answer one of `questions`; the text of a `DmtrackError` is shown to the person."""


@contextlib.contextmanager
def served(session: PageSession, shelf: FrameShelf, *what_for: str, opens_browser: bool) -> Iterator[None]:
    """Serve the page inside the `with` block, and print its address.

    `what_for` are lines to print before the address; `opens_browser` opens the page if there is a desktop.
    """
    with PageServer(session, shelf) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            _say_where(server, *what_for)
            if opens_browser and _has_desktop():
                # In a thread: a browser in the terminal would block the program.
                threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
            yield
        finally:
            server.shutdown()
            thread.join()
            shelf.close()


def _has_desktop() -> bool:
    is_always = sys.platform in ("darwin", "win32")
    return is_always or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say_where(server: PageServer, *what_for: str) -> None:
    """Print the address even with `--quiet`: without it nobody could go on."""
    port = server.server_port
    lines = (
        *what_for,
        f"    {server.url}",
        f"from another machine, first: ssh -L {port}:{ADDRESS}:{port} THIS_MACHINE",
    )
    for line in lines:
        err.print(Text(line), soft_wrap=True)
    sys.stderr.flush()


class PageServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1."""

    allow_reuse_address = False  # on Windows it would let another program take over the port
    daemon_threads = True  # browsers open connections in advance and never use them

    def __init__(self, session: PageSession, shelf: FrameShelf) -> None:
        self.session = session
        self.shelf = shelf
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        super().__init__((ADDRESS, 0), _Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"

    def server_bind(self) -> None:
        """Bind without asking a name server for the name of this machine."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = ADDRESS, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Log the error of a request; the page can ask again."""
        _log.info("a request failed", exc_info=True)


class _Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A request to answer with a status and a sentence."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers one request: checks the sender, then the token, then looks up what is asked for."""

    timeout = _SOCKET_TIMEOUT_S
    server_version = "dmtrack"
    sys_version = ""

    def do_GET(self) -> None:
        """Send the page, one of its files, or a frame."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Answer a request of the page."""
        self._answer(self._post)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the first line of a request holds the token."""

    @property
    def _page(self) -> PageServer:
        return cast(PageServer, self.server)

    def _answer(self, action: Callable[[str, bytes], None]) -> None:
        try:
            body = self._body()
            self._require_own_page()
            path = self._path_behind_token()
            action(path, body)
        except _Refused as refused:
            self._send_json(refused.status, {"error": str(refused)})
        except OutOfDateError as error:
            self._send_json(HTTPStatus.CONFLICT, {"error": str(error)})
        except DmtrackError as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _body(self) -> bytes:
        """Read the body, also of a request that will be refused: otherwise the answer may not arrive."""
        if self.command == "GET":
            return b""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,9}", length):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "the length of the request is missing")
        if int(length) > LARGEST_BODY_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too large")
        return self.rfile.read(int(length))

    def _require_own_page(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not _OWN_HOST.fullmatch(hosts[0]):
            raise _Refused(HTTPStatus.FORBIDDEN, "this page is not for other host names")
        if any(origin != f"http://{hosts[0]}" for origin in self.headers.get_all("Origin", [])):
            raise _Refused(HTTPStatus.FORBIDDEN, "this page is not for other sites")

    def _path_behind_token(self) -> str:
        token, _, path = self.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self._page.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "the token in the address is wrong")
        return path

    def _get(self, path: str, _body: bytes) -> None:
        frame = _FRAME.fullmatch(path)
        if path == "":
            self._send_page()
        elif path in _FILES:
            self._send(HTTPStatus.OK, _FILES[path], _page_file(path), {})
        elif frame is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        else:
            self._send_frame(int(frame[1]), frame[2])

    def _post(self, path: str, body: bytes) -> None:
        session = self._page.session
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the request is not JSON")
        if path not in session.questions:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing here")
        session.touch()
        session.answer(path, body, lambda values: self._send_json(HTTPStatus.OK, values))

    def _send_page(self) -> None:
        session = self._page.session
        session.touch()
        setup = json.dumps(session.setup()).replace("<", "\\u003c")
        page = _page_file("index.html").decode()
        for place, text in (("NAME", html.escape(session.name)), ("SETUP", setup)):
            page = page.replace(f"@@{place}@@", text)
        self._send(
            HTTPStatus.OK, "text/html; charset=utf-8", page.encode(), {"Content-Security-Policy": _POLICY}
        )

    def _send_frame(self, index: int, stream: str) -> None:
        self._page.session.touch()
        try:
            frame = self._page.shelf.frame(index)
        except DmtrackError as error:
            raise _Refused(HTTPStatus.NOT_FOUND, str(error)) from None
        picture = frame.rgb if stream == "rgb" else frame.aux
        if picture is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is no second stream")
        self._send(
            HTTPStatus.OK, "image/jpeg", picture, {"X-Frame": str(frame.index), "X-Clock": frame.clock}
        )

    def _send_json(self, status: HTTPStatus, values: dict[str, object]) -> None:
        self._send(status, "application/json", json.dumps(values).encode(), {})

    def _send(self, status: HTTPStatus, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **headers, "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _page_file(name: str) -> bytes:
    return resources.files("dmtrack_cli.review").joinpath("page", name).read_bytes()
