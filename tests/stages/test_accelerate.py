"""Whether extraction is accelerated, and what happens where it cannot be or fails on a page."""

import gc
import logging
from pathlib import Path

import lxml.html
import numpy as np
import pytest
import trafilatura
from trafilatura.settings import Extractor

from gpurefine.documents import Batch
from gpurefine.errors import SettingWarning
from gpurefine.frames import string_column
from gpurefine.stages.base import Resources, warn_of_settings
from gpurefine.stages.extract import Extract
from gpurefine.stages.extraction import extractors
from gpurefine.stages.extraction.extractors import KNOWN, KnownExtractor
from gpurefine.stages.extraction.fast import accelerate, characters, selftest
from gpurefine.stages.extraction.fast.accelerate import Trafilatura
from gpurefine.stages.extraction.fast.patching import Patches

SENTENCE = "The ferry leaves the old harbour twice a day, at eight and at five, and takes half an hour to the island. "
PAGE = f"<html><body><article><p>{SENTENCE * 5}</p></article></body></html>"
SETTINGS = Extractor(output_format="txt", comments=False, precision=True)


def replaced():
    """The attributes that patches replace, as they are now."""
    return [
        trafilatura.core.compare_extraction, trafilatura.external.try_readability, trafilatura.utils.INVALID_XML_CHARS,
        trafilatura.main_extractor.BODY_XPATH, trafilatura.htmlprocessing.link_density_test,
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_stays_in():
    trafilatura.extract(PAGE)
    before = replaced()
    yield
    assert replaced() == before


def outcome_of(maker, *pages, **options):
    """What the stage makes of pages with another maker of its extractor, and whether it warned."""
    stage = Extract(**options)
    with pytest.MonkeyPatch.context() as patch:
        known = KNOWN["trafilatura"]
        patch.setitem(
            extractors.KNOWN, "trafilatura", KnownExtractor(maker, known.modules, known.packages, known.install)
        )
        guard = stage.open(Resources(Path("unused")))
        try:
            return stage.apply(Batch(string_column(pages).to_frame("html")), guard), guard.starts
        finally:
            guard.close()


def test_unknown_versions_are_left_as_they_are(monkeypatch, caplog):
    monkeypatch.setattr(accelerate, "TESTED", {})
    before = replaced()
    extract = Trafilatura(SETTINGS)
    extract.accelerate()
    assert replaced() == before
    assert extract.why_stock == accelerate.why_stock() and accelerate.fingerprint() in extract.why_stock
    assert extract(PAGE).startswith("The ferry")
    assert Extract().provide(Resources(Path("unused")))["code"] == "stock"
    with pytest.warns(SettingWarning, match=r"extract: extraction takes .* were not compared") as warned:
        warn_of_settings([Extract()])
    assert len(warned) == 1
    assert Extract(accelerate=False).warning() is None


def test_known_versions_give_no_warning(known_versions):
    assert Extract().warning() is None
    assert Extract().provide(Resources(Path("unused")))["code"] == "accelerated"


def test_a_worker_says_once_why_it_is_not_accelerated(caplog):
    with caplog.at_level(logging.WARNING):
        outcome, _ = outcome_of("extraction_faults:make_of_unknown_versions", PAGE, PAGE)
    assert outcome.batch.frame["text"].str.startswith("The ferry").all()
    assert outcome.noted == {"by_stock_code": 0}
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "extraction in this process is not accelerated"
    ]


def test_children_of_unknown_versions_have_nothing_to_say(monkeypatch, caplog):
    """The warning at the start is the only one: they are not asked to accelerate."""
    monkeypatch.setattr(accelerate, "TESTED", {})
    with caplog.at_level(logging.WARNING):
        outcome, _ = outcome_of("extraction_faults:make_of_unknown_versions", PAGE)
    assert outcome.batch.frame["text"].notna().all() and not caplog.records


def test_sources_that_cannot_be_read_are_unknown(monkeypatch):
    def missing():
        raise FileNotFoundError("core.py")

    monkeypatch.setattr(accelerate, "fingerprint", missing)
    assert "cannot be read (core.py)" in accelerate.why_stock()


@pytest.mark.parametrize("deduplicate", [False, True])
@pytest.mark.parametrize("comments", [False, True])
def test_the_self_test_agrees_under_options(known_versions, deduplicate, comments):
    """What a page leaves in trafilatura's store of seen strings is not there for the next code."""
    extract = Trafilatura(Extractor(output_format="txt", comments=comments, precision=True, dedup=deduplicate))
    extract.accelerate()
    try:
        assert extract.why_stock is None
    finally:
        if extract._patches is not None:
            extract._patches.use_stock()


def test_nothing_of_a_page_is_kept_behind_it(known_versions):
    """Notes of a walk would keep the whole tree alive."""
    extract = Trafilatura(SETTINGS)
    extract.accelerate()
    try:
        before = elements_alive()
        for page in (PAGE, PAGE.replace("</p>", "</p><div class='share-x'>a</div>")):
            assert extract(page).startswith("The ferry")
            assert elements_alive() == before
        accelerate.extract_alone(PAGE, SETTINGS)
        assert elements_alive() > before
    finally:
        extract._patches.use_stock()


def elements_alive():
    gc.collect()
    return sum(isinstance(each, lxml.html.HtmlElement) for each in gc.get_objects())


def test_the_stock_code_has_time_of_its_own(known_versions):
    """A page that fails late is as long with the stock code as if it had been there alone."""
    slow = PAGE.replace("ferry", "SLOW ferry")
    for options in ({}, {"accelerate": False}):
        outcome, children = outcome_of("extraction_faults:make_slow", PAGE, slow, PAGE, time_limit_s=1.2, **options)
        assert outcome.batch.frame["text"].notna().all() and children == 1
        assert outcome.noted == {"by_stock_code": 0 if options else 1}


def test_switched_off_it_is_not_asked_for(caplog):
    with caplog.at_level(logging.WARNING):
        outcome, _ = outcome_of("extraction_faults:make_of_unknown_versions", PAGE, accelerate=False)
    assert outcome.batch.frame["text"].notna().all() and not caplog.records


def test_a_patch_that_does_not_fit_leaves_none_in(known_versions, monkeypatch):
    monkeypatch.setattr(characters, "_EXPECTED", "[another]")
    extract = Trafilatura(SETTINGS)
    extract.accelerate()
    assert extract.why_stock.startswith("ValueError: trafilatura removes the characters")
    assert extract(PAGE).startswith("The ferry")


def test_a_difference_in_the_self_test_leaves_none_in(known_versions, monkeypatch):
    def one_text_more(pages, settings):
        return [
            *(trafilatura.extract(page, options=settings) for page in pages[1:]),
            trafilatura.utils.INVALID_XML_CHARS is stock,
        ]

    stock = trafilatura.utils.INVALID_XML_CHARS
    monkeypatch.setattr(selftest, "_texts", one_text_more)
    extract = Trafilatura(SETTINGS)
    extract.accelerate()
    assert extract.why_stock.startswith("DifferenceError: the text of sample page")


def test_the_self_test_needs_pages_with_texts(known_versions, monkeypatch):
    monkeypatch.setattr(selftest, "sample_pages", lambda: ["", PAGE])
    extract = Trafilatura(SETTINGS)
    extract.accelerate()
    assert extract.why_stock == "DifferenceError: the sample pages give too few texts"


def test_a_page_that_fails_is_given_to_the_stock_code_and_counted(known_versions):
    pages = [PAGE, PAGE.replace("ferry", "FAILING ferry"), PAGE.replace("ferry", "EMPTY ferry"), "<p>", PAGE]
    pages.append("<html id='failing'><body><div><img></div><p></p></body></html>")
    outcome, children = outcome_of("extraction_faults:make_failing_accelerated", *pages)
    starts = ["The ferry", "The FAILING", "The EMPTY", None, "The ferry", None]
    texts = outcome.batch.frame["text"]
    assert [None if want is None else text[: len(want)] for text, want in zip(texts, starts, strict=True)] == starts
    assert outcome.noted == {"by_stock_code": 3} and children == 1
    (empty,) = (verdict for verdict in outcome.verdicts if verdict.rule == "empty")
    np.testing.assert_array_equal(empty.removed, [False, False, False, True, False, True])


def test_replacements_of_one_attribute_are_put_back_in_order():
    class Owner:
        value = 1

    patches = Patches()
    patches.put(Owner, "value", 2)
    patches.put(Owner, "value", 3)
    assert Owner.value == 3
    for _ in range(2):
        patches.use_stock()
        assert Owner.value == 1
        patches.use_fast()
        assert Owner.value == 3
