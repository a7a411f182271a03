"""What a file is, told by how it begins."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import brotli
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
import zstandard
from warc_tools import TORTURE, frame, member, record, skippable, stored_frame

from gpurefine.errors import InputError
from gpurefine.read.kinds import kind_of

PAGE = record(1)
TEXT = record(2, kind="conversion")
INFO = record(0, kind="warcinfo")
DICTIONARY = zstandard.train_dictionary(4096, [record(number, b"<p>page %d</p>" % number) for number in range(400)])


@pytest.fixture
def kind(tmp_path):
    """A function that says what a file of these bytes and this name is."""

    def kind(data: bytes, name: str = "some") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return kind_of(str(path))

    return kind


@pytest.mark.parametrize("wrap", [bytes, member, frame, stored_frame, lambda data: frame(data, DICTIONARY)])
@pytest.mark.parametrize("name", ["a.warc.gz", "a.wet.gz", "a.jsonl", "a"])
def test_warc_and_wet_are_told_by_the_first_record_that_is_no_warcinfo(kind, wrap, name):
    head = skippable(DICTIONARY.as_bytes(), 0xD) if wrap(b"")[:4] == b"\x28\xb5\x2f\xfd" else b""
    assert kind(head + wrap(INFO) + wrap(PAGE) + wrap(TEXT), name) == "warc"
    assert kind(head + wrap(INFO) + wrap(INFO) + wrap(TEXT) + wrap(PAGE), name) == "wet"
    assert kind(head + wrap(INFO + TEXT), name) == "wet"


@pytest.mark.parametrize("name", ["a.warc.gz", "a"])
def test_what_says_nothing_is_what_its_name_says(kind, name):
    assert kind(b"", name) == kind(INFO, name) == kind(member(INFO), name) == "warc"
    assert kind(b"", "a.warc.wet.gz") == kind(member(INFO), "a.warc.wet.gz") == "wet"


def test_a_damaged_beginning(kind):
    """The first records that can be read decide."""
    assert kind(b"\xff" * 5000 + member(PAGE), "a.warc.gz") == "warc"
    assert kind(b"\xff" * 5000 + member(TEXT), "a.warc.wet.gz") == "wet"
    assert kind(b"{" * 500 + b"\n" + PAGE + PAGE, "a.warc") == "warc"


@pytest.mark.parametrize("wrap", [bytes, member, frame])
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"text": "a"}\n', "a"),
        (b'\xef\xbb\xbf \r\n{"text": "a"}\n', "a.txt"),
        (b"broken\n", "a.jsonl"),
        (b"[1, 2]\n", "a.jsonl.zst"),
        (b"\n", "A.NDJSON.GZ"),
    ],
)
def test_json_lines_are_told_by_a_brace_or_by_name(kind, wrap, data, name):
    assert kind(wrap(data), name) == "jsonl"
    if name.startswith("a."):
        assert kind(b"", "a.jsonl") == kind(member(b""), "a.jsonl.gz") == "jsonl"


def test_parquet(kind):
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), sink)
    assert kind(sink.getvalue(), "a.warc.gz") == "parquet"


def test_torture_files(torture):
    """All are WARC files, but one, which is none, and one of texts."""
    for path in TORTURE.glob("*.w*"):
        if path.name == "not_warc.warc.gz":
            with pytest.raises(InputError, match=r"not_warc\.warc\.gz is no WARC"):
                kind_of(str(path))
        else:
            assert kind_of(str(path)) == ("wet" if path.suffix == ".wet" else "warc")


def tar(data: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        entry = tarfile.TarInfo("a.warc")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return sink.getvalue()


def zipped(data: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.warc", data)
    return sink.getvalue()


def arrow(data: bytes, write) -> bytes:
    sink = io.BytesIO()
    write(pa.table({"text": ["a"]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (bz2.compress(PAGE), "a.warc.bz2", "compressed by bzip2.*bzip2 -dc"),
        (lzma.compress(PAGE), "a.warc.xz", "compressed by xz.*xz -dc"),
        (b"\x04\x22\x4d\x18" + bytes(30), "a.warc.lz4", "compressed by lz4.*lz4 -dc"),
        (brotli.compress(PAGE), "a.warc.br", "compressed by brotli.*brotli -dc"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a.7z", "a 7z archive.*7z x"),
        (zipped(PAGE), "a.zip", "a ZIP archive.*unzip"),
        (tar(PAGE), "a.tar", "a tar archive.*tar xf"),
        (gzip.compress(tar(PAGE)), "a.tar.gz", "a tar archive"),
        (frame(tar(PAGE)), "a.tar.zst", "a tar archive"),
        (gzip.compress(bz2.compress(PAGE)), "a.gz", "bzip2"),
        (arrow(b"", pyarrow.feather.write_feather), "a.feather", "an Arrow .Feather. file.*parquet"),
        (arrow(b"", pyarrow.orc.write_table), "a.orc", "an ORC file.*parquet"),
        ('{"text": "a"}'.encode("utf-16"), "a.jsonl", "is UTF-16.*iconv"),
        (b'[{"text": "a"},\n', "a.json", "one JSON array.*jq -c"),
        (gzip.compress(b'[\n  {"text": "a"}\n]'), "a.json.gz", "one JSON array.*jq -c"),
        (b"%PDF-1.7\n" + bytes(300), "a.pdf", "no WARC.*expected WARC, WET or JSON lines"),
    ],
)
def test_formats_that_are_not_read_are_named_with_what_to_do(kind, data, name, words):
    with pytest.raises(InputError, match=words) as refused:
        kind(data, name)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
