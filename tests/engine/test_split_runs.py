"""Crawls whose pages contain WARCs, cut into one to nine splits: a split that a page fooled is read again."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data

TORTURE = Path(__file__).resolve().parents[1] / "torture"

#: No model and no rule, so that all pages with text are kept; the exact dedup brings a second step.
PIPELINE = {
    "name": "splits",
    "output": {"tokens": False},
    "stages": [{"urls": {"blocklist": "off"}}, "extract", "dedup.exact"],
}

#: Broken containers: where a split begins in them, it must find the same damaged regions.
DAMAGED = [
    "bad_crc.warc.gz",
    "content_length_huge.warc",
    "content_length_too_big.warc",
    "garbage_between.warc",
    "garbage_between.warc.gz",
    "one_member.warc.gz",
    "truncated_gzip.warc.gz",
    "zeroed_middle.warc.gz",
]


def record(name: str, body: bytes) -> bytes:
    """A response with id ``<name>``."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <{name}>\r\nWARC-Target-URI: https://{name}.example/\r\n"
    )
    return head.encode() + f"Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"


def page(number: int, inside: bytes = b"") -> bytes:
    """A page with an article of its own, and bytes in its middle."""
    sentences = " ".join(
        f"Sentence {i} of page {number} tells of the river and the {i * number} mills." for i in range(9)
    )
    return b"<html><body><article><p>%b</p><pre>\n%b\n</pre></article></body></html>" % (sentences.encode(), inside)


def stored(data: bytes) -> bytes:
    """A gzip member that holds the bytes as they are, so that what is inside can be seen from outside."""
    return gzip.compress(data, 0, mtime=0)


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """The same records as a plain file and as stored gzip members; most of their bytes are WARCs in pages."""
    inner = [record(f"inner{i}", page(100 + i)) for i in range(6)]
    insides = [b"", b"".join(inner), b"".join(map(stored, inner)), stored(b"".join(inner)), b"".join(inner[::2]), b""]
    records = [record(f"outer{number}", page(number, inside)) for number, inside in enumerate(insides)]
    # the last page again, for the dedup
    records.append(record("outer6", page(5)))
    folder = tmp_path_factory.mktemp("splits")
    files = [folder / "plain.warc", folder / "stored.warc.gz"]
    files[0].write_bytes(b"".join(records))
    files[1].write_bytes(b"".join(map(stored, records)))
    return files


def refine(files, output, scheduler, partition_bytes):
    return gpurefine.run(
        pipeline_from_data(PIPELINE), files, output, scheduler=scheduler, partition_bytes=partition_bytes, quiet=True
    )


@pytest.fixture(scope="module")
def whole(crawl, scheduler, tmp_path_factory):
    """Each file in one split."""
    return refine(crawl, tmp_path_factory.mktemp("whole") / "run", scheduler, 1 << 30)


def corrected(run) -> list[dict]:
    """Splits that were read again from a known start."""
    return [split for split in run.manifest["steps"][0]["partitions"] if split["start"] is not None]


def test_only_the_outer_records_are_records(whole, crawl):
    ids = [*whole.refined()["id"], *whole.removed()["id"]]
    assert sorted(ids) == sorted([f"<outer{number}>" for number in range(7)] * len(crawl))
    assert len(whole.removed("dedup.exact")) > 0
    assert corrected(whole) == []


@pytest.mark.parametrize(
    "splits", [2, 3, 5, 9, *(pytest.param(count, marks=pytest.mark.slow) for count in (4, 6, 7, 8))]
)
def test_splits_change_nothing(crawl, whole, scheduler, tmp_path, splits):
    size = max(path.stat().st_size for path in crawl)
    run = refine(crawl, tmp_path / "run", scheduler, -(-size // splits))
    partitions = run.manifest["steps"][0]["partitions"]
    assert max(sum(split["file"] == file for split in partitions) for file in (0, 1)) == splits
    assert_same_results(whole, run)
    starts = corrected(run)
    # from five splits on there is one in each file that begins inside a page with a WARC in it
    assert splits < 5 or {split["file"] for split in starts} == {0, 1}
    assert all(split["start"] > split["begin"] for split in starts)


def test_splits_of_damaged_files_change_nothing(scheduler, tmp_path):
    files = [TORTURE / name for name in DAMAGED]
    one = refine(files, tmp_path / "one", scheduler, 1 << 30)
    other = refine(files, tmp_path / "other", scheduler, 2_500)
    assert len(other.manifest["steps"][0]["partitions"]) > 30
    assert set(one.removed("read:damaged")["file"]) >= set(DAMAGED) - {"one_member.warc.gz"}
    assert_same_results(one, other)
