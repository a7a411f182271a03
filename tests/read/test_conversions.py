"""Records of WET files: a text, or a reason why not."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
from warc_tools import frame, member, record

from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.conversions import PageText, judge_conversion
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.read.parts import Part
from gpurefine.read.warc import WarcSplit
from gpurefine.stages.extraction.tidy import tidy


def conversion(text: bytes, kind: str | None = "text/plain", number: int = 1, **headers: str) -> bytes:
    """A record as Common Crawl writes it."""
    lines = {
        "WARC-Type": "conversion",
        "WARC-Target-URI": f"http://example.com/{number}",
        "WARC-Date": "2024-03-01T06:00:00Z",
        "WARC-Record-ID": f"<r{number}>",
        **({"Content-Type": kind} if kind else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "Content-Length": str(len(text)),
    }
    head = "WARC/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + text + b"\r\n\r\n"


@pytest.fixture
def judge(tmp_path):
    """A function that judges a record."""

    def judge(data: bytes, max_body: int = 1000, **options):
        (tmp_path / "a.wet").write_bytes(data)
        (item,) = WarcSplit(str(tmp_path / "a.wet"), max_block=1200)
        return judge_conversion(item, max_body=max_body, tidy=partial(tidy, **options))

    return judge


def test_a_text(judge):
    found = judge(conversion(b"A line. \n\n\n\nAnother, https://example.com/x gone."))
    assert found == PageText(
        "<r1>",
        "http://example.com/1",
        datetime(2024, 3, 1, 6, tzinfo=UTC),
        0,
        found.length,
        "A line.\n\nAnother, gone.",
        False,
    )


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=latin-1", "TEXT/PLAIN", None])
def test_the_charset_is_utf8_whatever_is_said(judge, kind):
    """Broken bytes become U+FFFD; a byte order mark and NUL are none of the text."""
    text = "\ufeffHüt\0te – 山 " * 40
    broken = text.encode().replace("山".encode(), b"\xff", 1)
    assert judge(conversion(broken, kind), max_body=2000).text == tidy(broken.decode("utf-8", "replace")).replace(
        "\0", ""
    ).lstrip("\ufeff")
    assert judge(conversion(broken, kind), max_body=2000).text.count("\ufffd") == 1


def test_options_of_the_clean_up(judge):
    text = b"- \nitem at example.com today"
    assert judge(conversion(text)).text == "-\nitem at example.com today"
    assert judge(conversion(text), bare_domains=True, join_bullets=True).text == "- item at today"


@pytest.mark.parametrize(
    ("data", "rule", "value", "limit", "evidence"),
    [
        (conversion(b"%PDF", "application/pdf"), "type", None, None, "application/pdf"),
        (conversion(b"<p>", "text/html"), "type", None, None, "text/html"),
        (conversion(b"x" * 1001), "too_large", 1001.0, 1000.0, None),
        (conversion(b"x" * 5000), "too_large", 1200.0, 1000.0, None),
        (conversion(b"\xff" * 3 + b"x" * 97), "charset", 0.03, 0.01, "utf-8"),
        (conversion(b""), "empty", None, None, None),
        (conversion(b" \n\0\n http://example.com/ \n"), "empty", None, None, None),
    ],
)
def test_removals(judge, data, rule, value, limit, evidence):
    found = judge(data)
    assert (found.rule, found.value, found.limit, found.evidence) == (rule, value, limit, evidence)
    assert (found.id, found.url, found.length) == ("<r1>", "http://example.com/1", len(data))


def test_a_marked_text_is_counted_as_truncated(judge):
    assert judge(conversion(b"text", WARC_Truncated="length")).truncated


@pytest.mark.parametrize("wrap", [bytes, member, frame])
def test_batches_of_a_file(tmp_path, wrap):
    """Conversion records are documents, others are skipped, damage is a removal; parts are cut by ids."""
    pieces = [
        wrap(record(90, kind="warcinfo")),
        *(wrap(conversion(b"text %d" % number, number=number)) for number in range(600)),
        wrap(record(91)),
        b"\n" * 3 + b"\xff" * 400 + b"\n",
        wrap(conversion(b"last", number=600)),
        wrap(conversion(b"no text", "image/png", number=601)),
    ]
    path = tmp_path / "a.wet.gz"
    path.write_bytes(b"".join(pieces))
    (file,) = find_inputs([path])
    assert file.kind == "wet"
    counts = SplitCounts()
    batches = list(read_batches(file, 0, file.size, None, InputOptions(dump="D"), counts, tidy=tidy))
    assert all(batch.pages.schema == DOCUMENT_SCHEMA for batch in batches)
    rows = [row for batch in batches for row in batch.pages.to_pylist()]
    assert [row["text"] for row in rows] == [*(f"text {number}" for number in range(600)), "last"]
    assert [(row["offset"], row["length"]) for row in rows[:3]] == [
        (sum(map(len, pieces[: index + 1])), len(pieces[index + 1])) for index in range(3)
    ]
    assert {row["dump"] for row in rows} == {"D"} and {row["file"] for row in rows} == {"a.wet.gz"}
    removed = [row for batch in batches for row in batch.removed.to_pylist()]
    assert [row["rule"] for row in removed] == ["damaged", "type"]
    assert counts.records == len(rows) + len(removed)
    assert dict(counts.skipped) == {"warcinfo": 1, "response": 1}
    parts = []
    for number in (1, 2):
        counts = SplitCounts()
        part = Part.of(f"{number}/2", 0)
        for batch in read_batches(file, 0, file.size, None, InputOptions(), counts, part, tidy):
            parts += batch.pages["id"].to_pylist() + batch.removed["id"].to_pylist()
        assert counts.records + counts.skipped["of other parts"] == 603
    assert sorted(parts) == sorted([row["id"] for row in rows + removed])
