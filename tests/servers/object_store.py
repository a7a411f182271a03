"""An S3-compatible server on loopback that can be told to fail, for tests."""

from __future__ import annotations

import random
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


@dataclass
class ObjectStore:
    """The server.

    Attributes
    ----------
    endpoint : its address
    share_of_503 : how many requests are answered 503, between 0 and 1
    share_cut : how many answers to GET end at a random byte
    cut : how many did
    refused : given method and path, whether the answer is 403
    requests : method and path of each request that was let through
    """

    endpoint: str = ""
    share_of_503: float = 0.0
    share_cut: float = 0.0
    cut: int = 0
    refused: Callable[[str, str], bool] = lambda method, path: False
    requests: list[tuple[str, str]] = field(default_factory=list)
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def client(self):
        keys = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything"}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def make_bucket(self, name: str, **options: str) -> str:
        self.client().create_bucket(Bucket=name, **options)
        return f"s3://{name}"

    def reset(self) -> None:
        self.share_of_503, self.share_cut, self.refused = 0.0, 0.0, lambda method, path: False
        self.requests.clear()


class Faults:
    """The WSGI application that fails as it is told, before the one that answers."""

    def __init__(self, store: ObjectStore) -> None:
        self._store, self._application = store, DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        method, path, store = environ["REQUEST_METHOD"], environ["PATH_INFO"], self._store
        with self._lock:
            unlucky = store.random.random() < store.share_of_503
            cut, amount = store.random.random() < store.share_cut, store.random.random()
        if unlucky or store.refused(method, path):
            status, code = ("503 Slow Down", b"SlowDown") if unlucky else ("403 Forbidden", b"AccessDenied")
            body = b"<?xml version='1.0'?><Error><Code>" + code + b"</Code><Message>no</Message></Error>"
            # a connection is used again, so what was sent must be read
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        store.requests.append((method, path))
        answer = self._application(environ, start_response)
        if not cut or method != "GET":
            return answer
        body = b"".join(answer)
        store.cut += bool(body)
        return [body[: int(len(body) * amount)]]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A server without buckets on a free port until the end of the block; one at a time in a process."""
    store = ObjectStore()
    server = make_server("127.0.0.1", 0, Faults(store), threaded=True)
    store.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # moto keeps for the whole process what servers hold
    urllib.request.urlopen(urllib.request.Request(f"{store.endpoint}/moto-api/reset", method="POST")).close()
    store.requests.clear()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
