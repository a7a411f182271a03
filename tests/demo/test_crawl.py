"""The demo crawl: the same bytes each time, records that another reader can read, and no page without a purpose."""

import gzip
import zlib
from collections import Counter
from io import BytesIO

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from gpurefine.demo.crawl import (
    JUNK_REGIONS,
    demo_pages,
    duplicate_groups,
    expected_counts,
    expected_reasons,
    write_demo_crawl,
)
from gpurefine.demo.ordinary import DUPLICATE, DUPLICATE_GROUPS, KEPT, NEAR_DUPLICATE_GROUPS
from gpurefine.demo.records import JUNK, Page, chunked, http_block, warc_bytes
from gpurefine.demo.repeated import CUT_PAGES, SAME_URL, SHORT, VISITS, shared_passage


@pytest.fixture(scope="module")
def pages():
    return demo_pages()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_demo_crawl(tmp_path_factory.mktemp("crawl") / "new" / "folder")


def test_the_bytes_are_the_same_each_time(written, tmp_path):
    warc, lists = written
    again, lists_again = write_demo_crawl(tmp_path)
    assert again.read_bytes() == warc.read_bytes()
    assert _files(lists_again) == _files(lists)


def test_writing_over_an_older_crawl_replaces_it(tmp_path):
    warc, _ = write_demo_crawl(tmp_path)
    whole = warc.read_bytes()
    warc.write_bytes(whole[:1000])
    assert write_demo_crawl(tmp_path)[0].read_bytes() == whole


def test_it_is_small(written):
    assert written[0].stat().st_size < 1_500_000


def test_fastwarc_reads_every_response_that_is_not_damaged(written, pages):
    # fastwarc stops at damaged bytes, so that it gets the file without them
    data = written[0].read_bytes()
    assert data.count(JUNK) == JUNK_REGIONS
    members = [_without_damage(member) for member in _members(data.replace(JUNK, b""))]
    records = ArchiveIterator(BytesIO(b"".join(members)), record_types=WarcRecordType.response, parse_http=False)
    found = [(record.headers["WARC-Target-URI"], record.reader.read()) for record in records]
    assert found == [(page.url, http_block(page)) for page in pages if not page.zeroed]


def test_there_is_one_record_of_each_kind_a_crawler_writes(pages):
    clean = [Page(page.url, page.reason, b"x") for page in pages]
    records = ArchiveIterator(BytesIO(warc_bytes(clean).replace(JUNK, b"")), parse_http=False)
    kinds = Counter(record.headers["WARC-Type"] for record in records)
    tenth = len(pages) // 10
    others = {"warcinfo": 1, "request": tenth, "metadata": tenth, "revisit": len(pages) // 40}
    assert kinds == {"response": len(pages), **others}


def test_a_zeroed_member_cannot_be_decompressed(pages):
    for page in (page for page in pages if page.zeroed):
        member = warc_bytes([page])[len(warc_bytes([])) :]
        assert page.url.encode() not in member and not _without_damage(member)


def test_one_address_is_seen_again_and_the_counts_add_up(pages):
    times = Counter(page.url for page in pages)
    again = {url for url, count in times.items() if count > 1}
    assert again == {page.url for page in pages if page.reason == SAME_URL}
    assert len(times) == len(pages) - (VISITS - 1)
    single = {page.url for page in pages if not page.zeroed and not page.group}
    assert set(expected_reasons()) == single
    counts = expected_counts()
    assert counts.total() == len(pages) + JUNK_REGIONS
    sizes = [*DUPLICATE_GROUPS, *NEAR_DUPLICATE_GROUPS]
    assert counts[DUPLICATE] == sum(sizes) - len(sizes)
    assert counts[SAME_URL] == VISITS - 1
    assert sorted(map(len, duplicate_groups().values())) == sorted([*sizes, VISITS])
    assert 0.4 < counts["kept"] / counts.total() < 0.7


def test_every_reason_that_a_page_can_have_is_shown(pages):
    rules = {
        "read": "status type charset damaged too_large empty",
        "urls": "blocklist strict hard soft curated",
        "extract": "too_large empty",
        "language": "score other empty",
        "repetition": "dup_para_frac dup_para_char_frac dup_line_frac dup_line_char_frac top_2 top_3 top_4 "
        "dup_5 dup_6 dup_7 dup_8 dup_9 dup_10",
        "quality": "words mean_word_length hash ellipsis bullet_lines ellipsis_lines alphabetic stop_words",
        "lines": "flagged",
    }
    meant = {f"{stage}:{rule}" for stage, names in rules.items() for rule in names.split()}
    assert {page.reason for page in pages} == meant | {KEPT, DUPLICATE, SHORT, SAME_URL}


def test_a_passage_of_60_tokens_stands_in_pages_that_share_nothing_else(pages):
    # without commas, which half of the pages leave out
    passage = shared_passage().replace(",", "")
    # a word is a token at least
    assert len(passage.split()) >= 60
    saying = [page for page in pages if passage in page.body.decode("utf-8", "replace").replace(",", "")]
    assert Counter(page.reason for page in saying) == {KEPT: CUT_PAGES, SHORT: 1}
    assert all(page.url.startswith("https://letters.example/") for page in saying)


def test_only_reserved_names_are_blocked_and_only_curated_sites_are_real(pages):
    real = [page for page in pages if ".example" not in page.url.lower() and "192.0.2." not in page.url]
    assert {page.reason for page in real} == {"urls:curated"}


@pytest.mark.parametrize("size", [1, 7, 700, 10_000])
def test_chunked_can_be_undone(size):
    body = bytes(range(256)) * 8
    coded, plain = chunked(body, size), b""
    while not plain.endswith(body):
        length, _, rest = coded.partition(b"\r\n")
        plain, coded = plain + rest[: int(length, 16)], rest[int(length, 16) + 2 :]
    assert coded == b"0\r\n\r\n"


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _members(data):
    """The gzip members of a file, told apart by the header that ours have: deflate, no flags, no time."""
    mark = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    assert data.startswith(mark)
    return [mark + rest for rest in data.split(mark)[1:]]


def _without_damage(member):
    """A member, or nothing where it cannot be decompressed."""
    try:
        gzip.decompress(member)
    except (OSError, EOFError, zlib.error):
        return b""
    return member
