"""An HTTP server on loopback that sends ranges of the files of a folder, and can be told to fail, for tests."""

from __future__ import annotations

import hashlib
import random
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class RangeServer:
    """What the server does, and what it has done.

    Attributes
    ----------
    folder : whose files it has
    address : such as http://127.0.0.1:1234
    refusals : statuses that are answered, each with its share of requests
    asked_wait : what such answers say in ``Retry-After``
    share_cut : of transfers that end at a random byte
    ranges, tells_size, tags : whether it sends parts of files, tells sizes, has ETags
    wanted_headers : without which it answers 401
    content_encoding : what answers to GET are said to be encoded by
    answers : how often each status was answered; 0 for transfers that were cut
    ranges_sent : path, first and last byte of each part that was sent whole
    """

    folder: Path
    address: str = ""
    refusals: dict[int, float] = field(default_factory=dict)
    asked_wait: str | None = None
    share_cut: float = 0.0
    ranges: bool = True
    tells_size: bool = True
    tags: bool = True
    content_encoding: str | None = None
    wanted_headers: dict[str, str] = field(default_factory=dict)
    answers: Counter = field(default_factory=Counter)
    ranges_sent: list[tuple[str, int, int]] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self) -> float:
        with self.lock:
            return self.random.random()


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        server = self.server.told
        if any(self.headers.get(name) != value for name, value in server.wanted_headers.items()):
            return self.refuse(401)
        luck = server.draw()
        for status, share in server.refusals.items():
            if luck < share:
                return self.refuse(status, server.asked_wait)
            luck -= share
        name = unquote(urlsplit(self.path).path).lstrip("/")
        path = server.folder / name
        if path.is_dir():
            return self.send(200, self.listing(path), {"Content-Type": "text/html"}, with_body)
        if not path.is_file():
            return self.refuse(404)
        data = path.read_bytes()
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        if server.tags and self.headers.get("If-Match", tag) != tag:
            return self.refuse(412)
        headers = {"ETag": tag} if server.tags else {}
        if with_body and server.content_encoding:
            headers["Content-Encoding"] = server.content_encoding
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not asked or not server.ranges:
            return self.send(200, data, headers, with_body, tells_size=server.tells_size)
        begin, end = int(asked[1]), min(int(asked[2]), len(data) - 1)
        headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
        self.send(206, data[begin : end + 1], headers, with_body, part=(name, begin, end))

    def refuse(self, status, wait=None):
        self.send(status, b"no", {} if wait is None else {"Retry-After": wait}, self.command == "GET", whole=True)

    def send(self, status, body, headers, with_body, tells_size=True, whole=False, part=None):
        """Send an answer, of a file's ``part`` if it is one: noted before its reader can have all of it."""
        server = self.server.told
        cut = with_body and not whole and body and server.draw() < server.share_cut
        with server.lock:
            server.answers[0 if cut else status] += 1
            if part and not cut:
                server.ranges_sent.append(part)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if tells_size:
            self.send_header("Content-Length", str(len(body)))
        self.close_connection = cut or not tells_size or self.close_connection
        self.end_headers()
        if with_body:
            self.wfile.write(body[: int(len(body) * server.draw())] if cut else body)

    def listing(self, path):
        names = sorted(each.name + "/" * each.is_dir() for each in path.iterdir())
        return "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """One that is silent about clients that go away."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def range_server(folder: Path) -> Iterator[RangeServer]:
    """A server on a free port until the end of the block."""
    told = RangeServer(Path(folder))
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.told = told
    told.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
