"""Opening inputs: local files and URLs give the same bytes; what cannot be opened is named."""

import gzip
import pickle
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from fsspec.config import conf
from object_store import object_store
from range_server import range_server

from gpurefine.errors import InputError
from gpurefine.read import faults, ranges
from gpurefine.read.opening import Place, look_at, open_binary, tag_of


def test_open_local_and_url(tmp_path):
    """Both ways of naming a file give its bytes and its size."""
    path = tmp_path / "file"
    path.write_bytes(b"some bytes")
    for name in (str(path), f"file://{path}"):
        file, size = open_binary(name)
        with file:
            assert (file.read(), size) == (b"some bytes", 10)


@pytest.mark.parametrize("name", ["missing.warc.gz", "file:///missing.warc.gz", "nosuchprotocol://x/y"])
def test_what_cannot_be_opened_is_named(name):
    with pytest.raises(InputError, match=name):
        open_binary(name)


DATA = random.Random(7).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(faults, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(ranges, "LARGEST_BLOCK", 1 << 18)


@pytest.fixture
def web(tmp_path):
    (tmp_path / "file").write_bytes(DATA)
    (tmp_path / "empty").write_bytes(b"")
    with range_server(tmp_path) as server:
        yield server


def place_of(url):
    """A place as a run has it that looked at it before."""
    info = look_at(url, {})
    return Place(url, {}, info["size"], tag_of(info))


def read_all(place, size=100_000):
    file, whole = open_binary(place)
    with file:
        data = b"".join(iter(lambda: file.read(size), b""))
    assert len(data) == whole
    return data


def test_http(web):
    assert read_all(f"{web.address}/file") == DATA
    assert read_all(f"{web.address}/empty") == b""
    file, _ = open_binary(f"{web.address}/file")
    with file:
        for begin, size in ((2_999_990, 100), (5, 10), (1_500_000, 700_000)):
            file.seek(begin)
            assert file.read(size) == DATA[begin : begin + size]


def test_faults_pass_and_no_whole_block_is_fetched_twice(web, monkeypatch):
    monkeypatch.setattr(ranges, "LARGEST_BLOCK", 1 << 16)
    place = place_of(f"{web.address}/file")
    web.refusals, web.share_cut = {503: 0.1, 429: 0.1, 403: 0.1}, 0.2
    web.answers.clear()
    web.ranges_sent.clear()
    assert read_all(place, 1 << 18) == DATA
    assert min(web.answers[status] for status in (0, 403, 429, 503)) > 0
    sent = sorted((begin, end) for _, begin, end in web.ranges_sent)
    assert [begin for begin, _ in sent] == [0, *(end + 1 for _, end in sent[:-1])]
    assert sent[-1][1] == len(DATA) - 1


def test_a_server_that_asks_to_wait(web):
    place = place_of(f"{web.address}/file")
    for form in ("1", "%a, %d %b %Y %H:%M:%S GMT"):
        asked = (datetime.now(UTC) + timedelta(seconds=2.5)).strftime(form)
        web.refusals, web.asked_wait = {429: 1.0}, asked
        threading.Timer(0.3, web.refusals.clear).start()
        began = time.monotonic()
        file, _ = open_binary(place)
        file.close()
        assert 1 <= time.monotonic() - began < 6


def test_a_server_that_stays_away(web, monkeypatch):
    monkeypatch.setattr(faults, "TRIES", 4)
    place = place_of(f"{web.address}/file")
    file, _ = open_binary(place)
    with file:
        assert file.read(10) == DATA[:10]
        web.refusals = {503: 1.0}
        web.answers.clear()
        said = r"^cannot read http://.*/file: the server answers 503 .* \(tried 4 times\); give the same command again"
        for _ in range(2):
            with pytest.raises(InputError, match=said):
                file.read(1 << 18)
        assert web.answers[503] == 8
        web.refusals = {}
        # the same file goes on when it is back
        assert file.read(1 << 18) == DATA[10 : 10 + (1 << 18)]
    web.share_cut = 1.0
    with pytest.raises(InputError, match=r"cannot read http://.*/file: .*\(tried 4 times\)"):
        read_all(place)
    web.share_cut, web.refusals = 0.0, {403: 1.0}
    with pytest.raises(InputError, match=r"answers 403 .*tried 4 times.*see that the address is right and open"):
        read_all(place)


@pytest.mark.parametrize("tags", [True, False])
def test_a_file_that_changes_is_no_mixture(web, tags):
    """Whatever of size and ETag tells it."""
    web.tags = tags
    path = web.folder / "file"
    place = place_of(f"{web.address}/file")
    assert (place.tag is not None) == tags
    file, _ = open_binary(place)
    with file:
        assert file.read(10) == DATA[:10]
        path.write_bytes(bytes(reversed(DATA)) if tags else DATA[:2_000_000])
        if tags:
            with pytest.raises(InputError, match=r"/file is no longer what it was when the run began: put it back, or"):
                file.read(1 << 19)
    with pytest.raises(InputError, match="is no longer what it was"):
        open_binary(place)
    path.write_bytes(DATA)
    assert read_all(place) == DATA


def test_a_local_file_that_changed(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    place = Place(str(tmp_path / "file"), {}, 3)
    assert read_all(place) == b"abc"
    (tmp_path / "file").write_bytes(b"abcd")
    with pytest.raises(InputError, match="no longer what it was"):
        open_binary(place)


def test_servers_that_cannot_be_read_from(web):
    web.ranges = False
    with pytest.raises(InputError, match="sends no parts of files; fetch it, and name the file here"):
        read_all(f"{web.address}/file")
    web.ranges, web.tells_size = True, False
    with pytest.raises(InputError, match="does not tell its size; fetch it"):
        open_binary(f"{web.address}/file")
    with pytest.raises(InputError, match=r"cannot read the input http.*/none: there is no http"):
        open_binary(f"{web.address}/none")


def test_files_come_as_they_are(web):
    """A server that calls a file's own compression its way of sending does not have it taken off."""
    data = gzip.compress(DATA[:50_000])
    (web.folder / "file.gz").write_bytes(data)
    web.content_encoding = "gzip"
    assert read_all(f"{web.address}/file.gz") == data


def test_s3_tells_a_change(monkeypatch):
    with object_store() as store:
        bucket = store.make_bucket("bucket", ACL="public-read")
        storage = {"anon": True, "endpoint_url": store.endpoint}
        put = partial(store.client().put_object, Bucket="bucket", Key="file", ACL="public-read")
        put(Body=DATA)
        info = look_at(f"{bucket}/file", storage)
        place = Place(f"{bucket}/file", storage, info["size"], tag_of(info))
        store.share_of_503 = 0.3
        assert read_all(place) == DATA
        store.share_of_503 = 0.0
        file, _ = open_binary(place)
        with file:
            assert file.read(10) == DATA[:10]
            put(Body=bytes(reversed(DATA)))
            with pytest.raises(InputError, match="is no longer what it was"):
                file.read(1 << 20)
        with pytest.raises(InputError, match="is no longer what it was"):
            open_binary(place)


def test_headers_come_from_the_environment_and_from_options(web, monkeypatch):
    """A server that wants them sends nothing without."""
    web.wanted_headers = {"Authorization": "Bearer x", "X-More": "y"}
    url = f"{web.address}/file"
    with pytest.raises(InputError, match="answers 401"):
        open_binary(url)
    monkeypatch.setitem(conf, "https", {"headers": {"Authorization": "Bearer x"}})
    with pytest.raises(InputError, match="answers 401"):
        open_binary(url)
    assert read_all(Place(url, {"headers": {"X-More": "y"}})) == DATA


def test_places_travel_to_workers(web):
    place = pickle.loads(pickle.dumps(place_of(f"{web.address}/file")))
    assert read_all(place) == DATA


def test_what_follows_is_fetched_while_a_reader_works(web):
    file, _ = open_binary(place_of(f"{web.address}/file"))
    web.ranges_sent.clear()
    with file:
        read = sum(len(file.read(1 << 18)) for _ in range(6))
        assert read < len(DATA)
        waited = time.monotonic() + 60
        while not any(begin >= read for _, begin, _ in web.ranges_sent) and time.monotonic() < waited:
            time.sleep(0.01)
        assert any(begin >= read for _, begin, _ in web.ranges_sent)
