"""The stage ``extract``: its rules, its options, and that guarding changes no text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trafilatura
from fastwarc.warc import ArchiveIterator, WarcRecordType
from pydantic import ValidationError

from gpurefine.documents import Batch
from gpurefine.errors import ResourceError
from gpurefine.frames import string_column
from gpurefine.stages.base import Outcome, Resources
from gpurefine.stages.extract import Extract
from gpurefine.stages.extraction import extractors
from gpurefine.stages.extraction.extractors import WARM_UP_PAGES, ExtractorOptions, KnownExtractor
from gpurefine.stages.extraction.fast.accelerate import why_stock
from gpurefine.stages.extraction.tidy import tidy

RESOURCES = Resources(Path("unused"))
PROSE = "A long sentence about the old bridge that spans the river below the mill. " * 5


def article(*paragraphs: str) -> str:
    return "<html><body><article>" + "".join(f"<p>{p}</p>" for p in paragraphs) + "</article></body></html>"


def apply(stage: Extract, *pages: str | None) -> Outcome:
    tool = stage.open(RESOURCES)
    try:
        return stage.apply(Batch(pd.DataFrame({"html": string_column(pages)}), {"old": np.zeros(len(pages))}), tool)
    finally:
        tool.close()


def removals(outcome: Outcome) -> list[tuple[str, float | None, float | None, str | None] | None]:
    """(rule, value, limit, evidence) of the first verdict that removes each row."""
    rows: list = [None] * len(outcome.batch)
    for verdict in reversed(outcome.verdicts):
        assert verdict.final
        for row in np.flatnonzero(verdict.removed):
            value = None if verdict.value is None else float(verdict.value[row])
            rows[row] = (verdict.rule, value, verdict.limit, verdict.evidence[row])
    return rows


def texts(outcome: Outcome) -> list[str | None]:
    return outcome.batch.frame["text"].astype(object).where(outcome.batch.frame["text"].notna(), None).tolist()


def test_page_becomes_text():
    """Column html goes, column text comes, statistics of any older text are gone."""
    outcome = apply(Extract(), article(PROSE, f"See https://example.com/path for more. {PROSE}"))
    assert list(outcome.batch.frame.columns) == ["text"]
    assert texts(outcome) == [f"{PROSE.strip()}\nSee for more. {PROSE.strip()}"]
    assert removals(outcome) == [None]
    assert outcome.batch.statistics == {}
    assert [v.rule for v in outcome.verdicts] == ["too_large"] * 3 + ["empty", "failed", "timeout", "memory", "crash"]
    assert {name: counts.tolist() for name, counts in outcome.measured.items()} == {
        "html_bytes": [len(article(PROSE, f"See https://example.com/path for more. {PROSE}"))],
        "start_tags": [5.0],
        "attributes": [0.0],
    }


def test_no_pages():
    """A batch may be empty."""
    outcome = apply(Extract())
    assert len(outcome.batch) == 0 and list(outcome.batch.frame.columns) == ["text"]
    assert all(len(verdict.removed) == 0 for verdict in outcome.verdicts)


def test_too_large():
    """A page at a limit stays, one beyond it goes before any parser sees it; the first of three limits is told."""
    stage = Extract(max_html_bytes=1000, max_start_tags=10, max_attributes=3)
    page = "<html><body>" + "<br>" * 8 + "<p>" + PROSE
    at_limit = page.replace("<p>", "").ljust(1000)
    attributes = "<html><body><p a b c{}>" + PROSE
    outcome = apply(
        stage,
        at_limit,
        at_limit + " ",
        page,
        attributes.format(""),
        attributes.format(" d"),
        (page + "<a b c d e>").ljust(1001),
    )
    assert removals(outcome) == [
        None,
        ("too_large", 1001, 1000, "bytes"),
        ("too_large", 11, 10, "start tags"),
        None,
        ("too_large", 4, 3, "attributes"),
        ("too_large", 1001, 1000, "bytes"),
    ]
    assert texts(outcome) == [PROSE.strip(), None, None, PROSE.strip(), None, None]


@pytest.mark.parametrize(
    "page", [None, "", " ", "x", "\ufffd", "%PDF-1.7\n%\x01\x02", "GIF89a" * 100, "<", "<html></html>"]
)
def test_empty(page):
    """What is no page with text: trafilatura finds nothing, and says so without an exception."""
    assert removals(apply(Extract(), page)) == [("empty", None, None, None)]


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_text_of_nothing_but_a_url_is_empty(extractor):
    """It is the tidied text that counts."""
    assert removals(apply(Extract(**{"with": extractor}), article("https://example.com/"))) == [
        ("empty", None, None, None)
    ]


def test_hostile_pages():
    """Pages that cost minutes are refused at once; deep ones are harmless; none touches the page behind it."""
    pages = {
        "one tag with 10^5 attributes": "<html><body><p " + " ".join(f"a{i}=1" for i in range(10**5)) + f">{PROSE}</p>",
        "10^5 nested elements": "<html><body>" + "<div>" * (10**5 - 2) + PROSE,
        "a table of 400 x 400": "<table>" + ("<tr>" + "<td>a" * 400) * 400,
        "external entity": '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + article(PROSE, "a &x; b"),
        "ordinary": article(PROSE),
    }
    outcome = apply(Extract(time_limit_s=20), *pages.values())
    named = dict(zip(pages, removals(outcome), strict=True))
    assert named["one tag with 10^5 attributes"] == ("too_large", 10**5, 1000, "attributes")
    assert named["10^5 nested elements"] == ("empty", None, None, None)
    assert named["a table of 400 x 400"] == ("too_large", 160_401, 100_000, "start tags")
    assert texts(outcome)[3:] == [f"{PROSE.strip()}\na &x; b", PROSE.strip()]


def test_failed_tells_the_exception(monkeypatch):
    """The exception's name and message are the evidence; a page that ends its child twice is a crash."""
    monkeypatch.setitem(extractors.KNOWN, "trafilatura", KnownExtractor("extraction_faults:make", (), (), ""))
    stage = Extract(time_limit_s=1.0, memory_limit_bytes=1 << 30)
    outcome = apply(stage, "one", "raises", "segfault", "spins", "hog", "two")
    assert removals(outcome) == [
        None,
        ("failed", None, None, "KeyError: 'element <a at 0x>\\nis\\x1b[31m gone'"),
        ("crash", None, None, "SIGSEGV"),
        ("timeout", None, 1.0, None),
        ("memory", None, 1 << 30, None),
        None,
    ]
    assert texts(outcome) == ["one", None, None, None, None, "two"]
    assert Extract.machine_dependent == {"timeout", "memory", "crash"}


REPEATED = (
    "This exact paragraph is here so often that it must be a template of the page, not prose of an author at all. "
)


def test_deduplicate_knows_only_its_own_page():
    """Within a page the fourth copy of a long element goes; other pages, however many, change nothing."""
    page = article(*[text for number in range(6) for text in (REPEATED, f"Number {number}. {PROSE}")])
    off, on = (texts(apply(Extract(deduplicate=deduplicate), *[page] * 5)) for deduplicate in ("off", "page"))
    assert off == [off[0]] * 5 and off[0].count("template") == 6
    assert on == [on[0]] * 5 and on[0].count("template") == 3


@pytest.mark.parametrize(
    ("options", "trafilatura_options"),
    [
        ({}, {"favor_precision": True}),
        ({"favor": "recall", "include_comments": True}, {"favor_recall": True, "include_comments": True}),
        ({"favor": "balanced", "include_tables": False}, {"include_tables": False}),
    ],
)
def test_options_are_trafilaturas(options, trafilatura_options):
    """Each option arrives: the text is that of a plain call with the same options."""
    table = "<table><tr><td>first cell</td><td>second cell</td></tr></table>"
    comments = f"<div id='comments'><h3>Comments</h3><p>I was there too. {PROSE}</p></div>"
    aside = f"<div class='teaser'><p>{REPEATED}</p></div><ul><li>{REPEATED}</li></ul>"
    pages = [*WARM_UP_PAGES, article(PROSE, table, aside, PROSE + comments), article(PROSE) + aside + comments + table]
    assert texts(apply(Extract(**options), *pages)) == [plain(page, **trafilatura_options) for page in pages]


def plain(html: str, include_comments: bool = False, **options: bool) -> str | None:
    """The unguarded oracle."""
    text = trafilatura.extract(html, output_format="txt", include_comments=include_comments, **options)
    return (tidy(text) or None) if text else None


def test_resiliparse():
    """Another extractor is one word away."""
    pytest.importorskip("resiliparse")
    stage = Extract(**{"with": "resiliparse"})
    nav = "<nav><a href='/'>Home</a></nav><img alt='a picture' src='x'>"
    outcome = apply(stage, article(PROSE) + nav, "")
    assert texts(outcome) == [PROSE.strip(), None]
    assert removals(outcome) == [None, ("empty", None, None, None)]
    assert set(stage.provide(RESOURCES)) == {"resiliparse"}


def test_provide():
    """The manifest learns what decides; a missing package is a sentence that says how to get it."""
    provided = Extract().provide(RESOURCES)
    assert set(provided) == {"trafilatura", "lxml", "justext", "libxml2", "code"}
    assert provided["code"] == ("accelerated" if why_stock() is None else "stock")
    assert Extract(accelerate=False).provide(RESOURCES)["code"] == "stock"


def test_provide_without_the_package(monkeypatch):
    """A missing package is a sentence that says how to get it."""
    known = KnownExtractor("x:y", ("no_such_module",), (), 'pip install "gpurefine[resiliparse]"')
    monkeypatch.setitem(extractors.KNOWN, "resiliparse", known)
    with pytest.raises(
        ResourceError, match=r"resiliparse cannot be imported .*no_such_module.*gpurefine\[resiliparse\]"
    ):
        Extract(**{"with": "resiliparse"}).provide(RESOURCES)


@pytest.mark.parametrize(
    "options",
    [
        {"with": "goose"},
        {"with": "resiliparse", "favor": "recall"},
        {"with": "resiliparse", "deduplicate": "page"},
        {"max_attributes": 0},
        {"time_limit_s": 0},
        {"memory_limit_bytes": 1000},
    ],
)
def test_refused_parameters(options):
    """An extractor that is not known, options that it would ignore, limits that make no sense."""
    with pytest.raises(ValidationError):
        Extract(**options)


def test_parameters_survive_a_round_trip():
    """A manifest gives back the stage it was written from."""
    stage = Extract(**{"with": "resiliparse", "include_comments": True})
    assert Extract(**stage.model_dump(by_alias=True)) == stage == Extract(**stage.model_dump())


def test_many_pages_one_child():
    """1,000 ordinary pages in four batches start at most two children."""
    stage = Extract()
    tool = stage.open(RESOURCES)
    try:
        for begin in range(0, 1000, 250):
            pages = [article(PROSE, f"Page {number}. {PROSE}") for number in range(begin, begin + 250)]
            outcome = stage.apply(Batch(pd.DataFrame({"html": string_column(pages)})), tool)
            assert [text.split("Page ")[1].split(".")[0] for text in texts(outcome)] == [
                str(begin + n) for n in range(250)
            ]
        assert tool.starts <= 2
    finally:
        tool.close()


@pytest.fixture(scope="module")
def sample_pages(shared_data):
    """Pages of the small sample, decoded in a simple way."""
    with open(shared_data / "sample_small.warc.gz", "rb") as file:
        records = ArchiveIterator(file, record_types=WarcRecordType.response)
        return [record.reader.read().decode("utf-8", "replace").replace("\0", "") for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_guarding_changes_no_text(sample_pages, extractor):
    """On real pages of many languages the guarded texts equal those of plain calls in this process."""
    outcome = apply(Extract(**{"with": extractor}), *sample_pages)
    if extractor == "trafilatura":
        expected = [plain(page, favor_precision=True) for page in sample_pages]
    else:
        extract = extractors.make_resiliparse(ExtractorOptions())
        expected = [tidy(extract(page)) or None for page in sample_pages]
    assert texts(outcome) == expected
    assert {removal[0] for removal in removals(outcome) if removal} <= {"empty"}


@pytest.mark.slow
def test_nothing_is_opened_after_the_warm_up(sample_pages, monkeypatch):
    """What trafilatura reads or imports at first use is there before the child gives up files: no page needs one."""
    monkeypatch.setitem(extractors.KNOWN, "trafilatura", KnownExtractor("extraction_faults:watched", (), (), ""))
    outcome = apply(Extract(), *sample_pages)
    assert set(texts(outcome)) == {None}
    assert {removal[0] for removal in removals(outcome)} == {"empty"}
