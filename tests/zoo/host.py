"""A host of files on this machine, which can fail in the ways that hosts do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Host:
    """What the host has, how it fails, and what it was asked for.

    Attributes:
        files: Bytes by path.
        cut_after: Bytes of a body after which the connection is cut, for the next answers in turn.
        statuses: Given in place of the next answers in turn.
        redirects: Paths by path.
        ranges: Whether it can begin in the middle of a file.
        etag: Whether it says which version of a file it gives.
        length: Whether it says how many bytes it gives.
        requests: Path and range of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    etag: bool = True
    length: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


class Server(ThreadingHTTPServer):
    host: Host


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        host, path = self.server.host, self.path.lstrip("/")
        asked = self.headers.get("Range")
        host.requests.append((path, asked))
        if host.statuses:
            self.send_error(host.statuses.pop(0))
        elif path in host.redirects:
            self.send_response(302)
            self.send_header("Location", host.url(host.redirects[path]))
            self.end_headers()
        elif path not in host.files:
            self.send_error(404)
        else:
            self._give(host, host.files[path], asked)

    def _give(self, host: Host, content: bytes, asked: str | None) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
        start, size = 0, len(content)
        if asked and host.ranges and self.headers.get("If-Range") in (None, tag):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= size:
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        if host.etag:
            self.send_header("ETag", tag)
        if host.length:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        end = start + host.cut_after.pop(0) if host.cut_after else size
        self.wfile.write(content[start:end])


@contextmanager
def serving() -> Iterator[Host]:
    server = Server(("127.0.0.1", 0), Handler)
    host = server.host = Host(address=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
