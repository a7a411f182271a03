"""A batch through map stages: the first rule names the removal, rows are conserved, failures cost one document."""

from dataclasses import asdict
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.documents import Batch
from gpurefine.engine.chain import run_chain
from gpurefine.engine.partition import Counts
from gpurefine.engine.summary import Tally
from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.frames import string_column
from gpurefine.stages.base import MapStage, Outcome, Resources, Rule, RuleStage, Verdict


class Length(RuleStage):
    """Removes texts that are too short or too long."""

    kind: ClassVar[str] = "length"
    low: int = 2
    high: int = 6

    def rules(self):
        return [Rule("short", "<", self.low), Rule("length", ">", self.high)]

    def measure(self, batch):
        lengths = np.array([len(text) for text in batch.frame["text"]], float)
        return {"short": lengths, "length": lengths}


class Letters(RuleStage):
    """Removes texts with too many a."""

    kind: ClassVar[str] = "letters"

    def rules(self):
        return [Rule("a", ">", 1)]

    def measure(self, batch):
        return {"a": np.array([text.count("a") for text in batch.frame["text"]], float)}


class Fragile(MapStage):
    """Fails on texts with an x."""

    kind: ClassVar[str] = "fragile"

    def apply(self, batch, tool):
        if any("x" in text for text in batch.frame["text"]):
            raise ValueError("an x")
        noted = {"with an a": sum("a" in text for text in batch.frame["text"]), "with a z": 0}
        return Outcome(batch, [Verdict("never", np.zeros(len(batch), bool))], noted=noted)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return StageTools(Resources(tmp_path_factory.mktemp("cache"), offline=True))


def batch_of(texts):
    n = len(texts)
    return Batch(
        pd.DataFrame(
            {
                "id": string_column([f"id{i}" for i in range(n)]),
                "url": string_column([None] * n),
                "file": string_column(["f"] * n),
                "offset": np.arange(n),
                "length": np.ones(n, int),
                "text": string_column(texts),
            }
        )
    )


def chain(stages, texts, tools, **options):
    options = {"annotate": False, "stats": True, "removed_text": True, **options}
    return run_chain(stages, tools, batch_of(texts), **options)


def rows(tables):
    return {row["id"]: row for table in tables for row in table.to_pylist()}


@given(st.lists(st.text("abc", max_size=9), max_size=12))
def test_kept_and_removed_are_all_and_the_first_rule_names_the_removal(tools, texts):
    result = chain([Length(**{"as": "length"}), Letters()], texts, tools)
    expected = {}
    for i, text in enumerate(texts):
        if len(text) < 2:
            expected[f"id{i}"] = ("length", "short", len(text), 2)
        elif len(text) > 6:
            expected[f"id{i}"] = ("length", "length", len(text), 6)
        elif text.count("a") > 1:
            expected[f"id{i}"] = ("letters", "a", text.count("a"), 1)
    removed = rows(result.removed)
    assert {key: (r["stage"], r["rule"], r["value"], r["limit"]) for key, r in removed.items()} == expected
    assert list(result.kept.frame["id"]) == [f"id{i}" for i in range(len(texts)) if f"id{i}" not in expected]
    assert len(rows(result.stats)) == len(texts)


def test_annotate_keeps_everything_and_tells_what_would_have_gone(tools):
    result = chain([Length(), Letters()], ["a", "aab", "bcb"], tools, annotate=True)
    assert len(result.kept) == 3
    assert not result.removed
    stats = rows(result.stats)
    assert [stats[f"id{i}"]["removed_by"] for i in range(3)] == ["length:short", "letters:a", None]
    assert dict(stats["id1"]["measured"]) == {"length:short": 3, "length:length": 3, "letters:a": 2}


@given(st.lists(st.sampled_from(["ok", "xx", "fine"]), min_size=1, max_size=30))
def test_a_document_on_which_a_stage_fails_becomes_a_removal_alone(tools, texts):
    if len(texts) >= 8 and set(texts) == {"xx"}:
        return
    result = chain([Fragile()], texts, tools)
    removed = rows(result.removed)
    assert set(removed) == {f"id{i}" for i, text in enumerate(texts) if "x" in text}
    assert all(row["rule"] == "exception" and row["evidence"] == "ValueError: an x" for row in removed.values())
    assert list(result.kept.frame["text"]) == [text for text in texts if "x" not in text]


def test_a_stage_that_fails_on_everything_is_a_defect_and_no_page(tools):
    with pytest.raises(RunError, match=r"fragile.*all 20 documents.*an x"):
        chain([Fragile()], ["xx"] * 20, tools)


def test_removed_text_can_be_left_out(tools):
    result = chain([Length()], ["a", "abc"], tools, removed_text=False)
    assert rows(result.removed)["id0"]["text"] is None
    assert result.kept.frame["text"].tolist() == ["abc"]


def test_what_a_stage_notes_is_added_up(tools):
    batch = Batch(
        string_column(["a", "b", "x", "ab", "xa"]).to_frame("text").assign(id="", file="", offset=0, length=0)
    )
    result = run_chain([Fragile(), Fragile(as_="again")], tools, batch, annotate=False, stats=False, removed_text=True)
    assert len(result.kept) == 3
    assert result.noted == {"fragile:with an a": 2, "again:with an a": 2}


def test_notes_of_partitions_are_added_up_and_taken_back():
    def counts(partition, noted):
        return asdict(Counts("f", 0, partition, removed={}, skipped={}, noted=noted))

    tally = Tally(3)
    for partition, noted in enumerate(({"extract:by_stock_code": 2}, {}, {"extract:by_stock_code": 1, "x:y": 4})):
        tally.add(counts(partition, noted))
    assert tally.total()["noted"] == {"extract:by_stock_code": 3, "x:y": 4}
    tally.take_back(counts(2, {"extract:by_stock_code": 1, "x:y": 4}))
    assert tally.total()["noted"] == {"extract:by_stock_code": 2}
