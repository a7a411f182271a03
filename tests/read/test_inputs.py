"""Which files a run reads: lists, globs and URLs give the same files as paths; all that is missing is named at once."""

import gzip
import os
import random
import sys
import threading

import pytest
from object_store import object_store
from pydantic import ValidationError
from range_server import range_server
from warc_tools import member, record

from gpurefine.errors import InputError
from gpurefine.read import faults
from gpurefine.read.inputs import find_inputs, look_for_inputs
from gpurefine.read.options import InputOptions

NAMES = ["CC-MAIN-2024-10/segments/1.5/warc/a.warc.gz", "CC-MAIN-2024-10/segments/1.5/warc/b.warc.gz", "c.warc.gz"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(faults, "LONGEST_WAIT", 0.02)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A folder with WARC files of different sizes, and lists of them."""
    folder = tmp_path_factory.mktemp("crawl")
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"".join(map(member, map(record, range(number + 1)))))
    listed = "\n".join(NAMES[:2]) + "\n\n" + NAMES[2]
    (folder / "warc.paths").write_text(listed)
    (folder / "warc.paths.gz").write_bytes(gzip.compress(listed.replace("\n", "\r\n").encode()))
    return folder


@pytest.fixture(scope="module")
def web(crawl):
    with range_server(crawl) as server:
        yield server


@pytest.fixture(scope="module")
def store(crawl):
    with object_store() as server:
        bucket = server.make_bucket("crawl", ACL="public-read")
        for name in [*NAMES, "warc.paths"]:
            server.client().upload_file(str(crawl / name), "crawl", name)
        server.storage = {"s3": {"anon": True, "endpoint_url": server.endpoint}}
        server.bucket = bucket
        yield server


def told(files):
    return [(file.name, file.size, file.dump, file.segment, file.kind) for file in files]


@pytest.fixture(scope="module")
def expected(crawl):
    found = find_inputs([crawl / name for name in NAMES])
    assert [file.name for file in found] == NAMES
    assert [file.size for file in found] == [(crawl / name).stat().st_size for name in NAMES]
    assert (found[0].dump, found[0].segment, found[2].dump) == ("CC-MAIN-2024-10", "1.5", None)
    return told(found)


def test_lists_and_globs_on_this_machine(crawl, expected, monkeypatch):
    for named in (
        [crawl / "warc.paths"],
        [crawl / "warc.paths.gz"],
        [f"{crawl}/*.paths*"],
        [f"{crawl}/**/*.warc.gz"],
        [f"file://{crawl}/{name}" for name in NAMES],
        [f"file://{crawl}/**/*.warc.gz", crawl / NAMES[1], crawl / "warc.paths"],
    ):
        assert told(find_inputs(named)) == expected
    monkeypatch.chdir(crawl)
    assert told(find_inputs(["warc.paths", "./" + NAMES[0]])) == expected


def test_a_prefix_stands_before_relative_paths_only(crawl, expected, tmp_path):
    (tmp_path / "some.paths").write_text("\ufeff" + "\n".join([NAMES[0], str(crawl / NAMES[1]), NAMES[2]]))
    for prefix in (str(crawl), f"{crawl}/", f"file://{crawl}"):
        assert told(find_inputs([tmp_path / "some.paths"], InputOptions(prefix=prefix))) == expected


def test_http(crawl, web, expected):
    urls = [f"{web.address}/{name}" for name in NAMES]
    assert told(find_inputs(urls)) == expected
    found = find_inputs([urls[0]])
    assert found[0].path == urls[0]
    assert found[0].tag.startswith('"')
    assert told(find_inputs([f"{web.address}/warc.paths.gz"], InputOptions(prefix=web.address))) == expected
    glob = find_inputs([f"{web.address}/CC-MAIN-2024-10/segments/1.5/warc/*.warc.gz"])
    assert [file.path for file in glob] == urls[:2]
    signed = find_inputs([f"{url}?signature=a%2Fb" for url in urls])
    assert told(signed) == expected, "the query is no part of a name"
    assert signed[0].path.endswith("signature=a%2Fb")


def test_s3(store, expected):
    options = InputOptions(storage=store.storage, prefix=store.bucket)
    urls = [f"{store.bucket}/{name}" for name in NAMES]
    for named in (urls, [f"{store.bucket}/**/*.warc.gz"], [f"{store.bucket}/*.paths"]):
        found = find_inputs(named, options)
        assert told(found) == expected
        assert [file.path for file in found] == urls
        assert all(file.tag for file in found)
    store.share_of_503 = 0.3
    assert told(find_inputs(urls, options)) == expected
    store.share_of_503 = 0.0


def test_places_beside_each_other(crawl, web, store):
    named = [crawl / NAMES[2], f"{web.address}/{NAMES[0]}", f"{store.bucket}/{NAMES[1]}"]
    found = find_inputs(named, InputOptions(storage=store.storage))
    assert [file.name for file in found] == [file.path for file in found] == sorted(map(str, named))


def test_all_that_is_missing_is_named_at_once(crawl, web, store, tmp_path):
    names = [f"{number:02}.warc.gz" for number in range(30)]
    (tmp_path / "some.paths").write_text("\n".join(names))
    named = [tmp_path / "some.paths", crawl / NAMES[0], f"{crawl}/no*", f"{web.address}/no.warc.gz"]
    named += [f"{store.bucket}/no.warc.gz", "s3://no-such-bucket/a.warc.gz", f"{store.bucket}/no*"]
    with pytest.raises(InputError, match=r"^no such input: .*/00\.warc.gz, .* and 15 more, 35 in all; --skip-missing"):
        find_inputs(named, InputOptions(storage=store.storage))
    found = look_for_inputs(named, InputOptions(storage=store.storage, skip_missing=True))
    assert [file.path for file in found.files] == [str(crawl / NAMES[0])]
    assert found.missing == sorted([*(str(tmp_path / name) for name in names), *map(str, named[2:])])
    with pytest.raises(InputError, match="no files match"):
        find_inputs([f"{crawl}/no*"], InputOptions(skip_missing=True))


@pytest.mark.parametrize(
    ("named", "options", "said"),
    [
        ([], {}, "no input: name at least one file"),
        (["{crawl}"], {}, r"is a folder: name its files, for example '/.*/\*\.warc\.gz'"),
        (["s3://crawl/CC-MAIN-2024-10"], {}, r"is a folder: .*'s3://crawl/CC-MAIN-2024-10/\*\.warc\.gz'"),
        (["{web}/warc.paths"], {}, r"names relative paths, such as CC-MAIN.*input\.prefix=https://data\.commoncrawl"),
        (["{crawl}/bad.paths.gz"], {}, r"bad\.paths\.gz is damaged .*fetch or write this list again"),
        (["nosuch://a/b"], {}, r"cannot read nosuch://a/b: .*use s3://, https:// or a path"),
        (["http://127.0.0.1:9/a.warc.gz"], {}, r"cannot read http://127.0.0.1:9/a.warc.gz: .*\(tried 6 times\); give"),
        (
            ["{web}/c.warc.gz"],
            {"storage": {"http": {"nonsense": 1}}},
            r"cannot read http://.*nonsense",
        ),
        (["s3://crawl/**.gz"], {}, r"cannot read s3://crawl/\*\*\.gz: Invalid pattern"),
    ],
)
def test_what_is_refused(named, options, said, crawl, web, store):
    (crawl / "bad.paths.gz").write_bytes(gzip.compress(random.Random(1).randbytes(99))[:60])
    options = {"storage": store.storage} | options
    try:
        with pytest.raises(InputError, match=said):
            find_inputs([name.format(crawl=crawl, web=web.address) for name in named], InputOptions(**options))
    finally:
        (crawl / "bad.paths.gz").unlink()


def test_an_unreadable_bucket(store):
    urls = [f"{store.bucket}/{name}" for name in NAMES]
    store.refused = lambda method, path: True
    try:
        refused = r"cannot read s3://crawl/.*\(tried \d times\); for a public bucket use --set"
        with pytest.raises(InputError, match=refused):
            find_inputs(urls, InputOptions(storage=store.storage))
        with pytest.raises(InputError, match=r"cannot read s3://crawl/\*.*AWS_PROFILE"):
            find_inputs([f"{store.bucket}/*"], InputOptions(storage=store.storage))
    finally:
        store.reset()


def test_a_missing_package_is_named(monkeypatch):
    for protocol, package, extra in (("s3", "s3fs", "s3"), ("https", "aiohttp", "http")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            patch.delitem(sys.modules["fsspec.registry"]._registry, protocol, raising=False)
            patch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
            with pytest.raises(InputError, match=rf"pip install 'gpurefine\[{extra}\]'"):
                find_inputs([f"{protocol}://bucket/a.warc.gz"])


def test_secrets_do_not_stand_in_a_config():
    deep = ({"client_kwargs": {"aws_secret_access_key": "x"}}, {"headers": {"Authorization": "x"}})
    for options in ({"key": "x"}, {"anon": False, "token": "x"}, *deep):
        with pytest.raises(ValidationError, match="is a secret, which would stand in the manifest"):
            InputOptions(storage={"s3": options})


def test_looking_for_files_leaves_no_threads(crawl):
    before = threading.active_count()
    find_inputs([crawl / "warc.paths"])
    assert threading.active_count() == before


def test_a_file_called_like_a_glob(tmp_path):
    (tmp_path / "a[1].warc.gz").write_bytes(member(record(1)))
    (tmp_path / "a1.warc.gz").write_bytes(member(record(1)))
    assert [file.name for file in find_inputs([f"{tmp_path}/a[1].warc.gz"])] == ["a[1].warc.gz"]
    os.unlink(tmp_path / "a[1].warc.gz")
    assert [file.name for file in find_inputs([f"{tmp_path}/a[1].warc.gz"])] == ["a1.warc.gz"]
