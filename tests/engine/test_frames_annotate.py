"""annotate() against runs in annotate mode over the same texts, on pandas, Dask and cuDF frames."""

from __future__ import annotations

import doctest
from typing import ClassVar

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dask.delayed import delayed
from pydantic import Field

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine import frames_annotate
from gpurefine.errors import ConfigError, InputError, ResourceError, RunError
from gpurefine.frames import strings
from gpurefine.stages.base import MapStage, Outcome, Rule, RuleStage, Verdict

TEXT = pd.ArrowDtype(pa.large_string())
NUMBER = pd.ArrowDtype(pa.float64())

PROSE = "The old house on the hill has been empty for years, and nobody in the village will talk of it.\n"
TEXTS = [
    PROSE.strip(),
    "buy now " * 40,
    "",
    None,
    "Sign in\nRead more\n",
    PROSE + "Sign in to continue",
    "#" * 9,
    "short",
]
STAGES = [
    "repetition",
    {"quality": {"min_words": 10}},
    {"lines": {"max_flagged": 1}},
    {"quality": {"min_words": 15, "as": "again"}},
]


class Initial(RuleStage):
    """Removes texts that begin with a letter behind m; fails on those that begin with x."""

    kind: ClassVar[str] = "initial"
    limit: float = Field(ord("m"))

    def rules(self):
        return [Rule("initial", ">", self.limit)]

    def measure(self, batch):
        texts = [text or "a" for text in strings(batch.frame["text"])]
        if any(text.startswith("x") for text in texts):
            raise ValueError("an x")
        return {"initial": np.array([ord(text[0]) for text in texts], float)}


class Fickle(MapStage):
    """Measures something else on long texts."""

    kind: ClassVar[str] = "fickle"

    def apply(self, batch, tool):
        name = "long" if len(strings(batch.frame["text"])[0]) > 20 else "short"
        return Outcome(batch, [Verdict("never", np.zeros(len(batch), bool))], {name: np.ones(len(batch))})


HERE = f"{__name__}:"


def said_by_a_run(frame, stages, folder, scheduler):
    """What a run in annotate mode writes of the rows of a frame with ids: reason and measured values by id."""
    frame.to_parquet(folder / "frame.parquet")
    data = {"name": "annotated", "annotate": True, "output": {"stats": True, "tokens": False}, "stages": stages}
    run = gpurefine.run(
        pipeline_from_data(data), folder / "frame.parquet", folder / "run", scheduler=scheduler, quiet=True
    )
    return said_by_rows(run.stats().rename(columns={"removed_by": "reason"}))


def said_by_rows(marked):
    """Reason and measured values by id, of a pandas frame."""
    reasons, measured = {}, {}
    for row in marked.to_dict("records"):
        assert row["id"] not in reasons
        reasons[row["id"]] = None if pd.isna(row["reason"]) else row["reason"]
        measured[row["id"]] = {name: value for name, value in row.items() if ":" in name and not pd.isna(value)}
    return reasons, measured


@pytest.fixture(scope="module")
def pages(demo_crawl, scheduler, tmp_path_factory):
    """The texts of the demo's pages, with their URLs."""
    data = {"name": "texts", "output": {"tokens": False}, "stages": ["extract"]}
    run = gpurefine.run(
        pipeline_from_data(data), demo_crawl[0], tmp_path_factory.mktemp("texts"), scheduler=scheduler, quiet=True
    )
    return run.refined(columns=["text", "url"]).assign(id=lambda frame: [f"<{row}>" for row in range(len(frame))])


def test_the_demo_gets_the_marks_of_a_run(pages, demo_crawl, scheduler, tmp_path):
    stages = [
        {"urls": {"blocklist": str(demo_crawl[1])}},
        "language",
        "repetition",
        "quality",
        "lines",
        {"quality": {"as": "again"}},
    ]
    expected = said_by_a_run(pages, stages, tmp_path, scheduler)
    marked = gpurefine.annotate(pages, stages)
    assert said_by_rows(marked) == expected
    assert (marked["keep"] == marked["reason"].isna()).all()
    assert len(pages) > 100 and 20 < marked["keep"].sum() < len(pages) - 50
    assert {reason.split(":")[0] for reason in marked["reason"].dropna()} >= {
        "urls", "language", "repetition", "quality", "lines"
    }  # fmt: skip
    pd.testing.assert_frame_equal(marked[pages.columns], pages)
    parts = dd.from_pandas(pages, npartitions=3)
    with dask.config.set(scheduler="synchronous"):
        computed = gpurefine.annotate(parts, stages).compute()
    new = marked.columns.difference(pages.columns)
    pd.testing.assert_frame_equal(computed[new], marked[new])


def test_edited_empty_and_null_texts_get_the_marks_of_a_run(scheduler, tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "id": [str(row) for row in range(len(TEXTS))]})
    marked = gpurefine.annotate(frame, STAGES)
    assert said_by_rows(marked) == said_by_a_run(frame, STAGES, tmp_path, scheduler)
    reasons = marked["reason"].tolist()
    assert reasons[0] is pd.NA and reasons[2:4] == ["repetition:empty"] * 2
    # a text that ``lines`` emptied is measured no more
    assert marked["lines:flagged"].notna()[4] and marked["again:words"].isna()[4]
    assert marked["text"].tolist() == frame["text"].tolist()


@pytest.mark.parametrize("index", [[7, 7, 1, 1, 0, 0, 3, 2], pd.date_range("2023-01-01", periods=8)], ids=["n", "days"])
def test_index_columns_and_types(index):
    frame = pd.DataFrame({"n": range(8), "text": TEXTS}, index=index)
    before = frame.copy(deep=True)
    marked = gpurefine.annotate(frame, ["lines"])
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(marked[["n", "text"]], frame)
    assert list(marked.columns) == ["n", "text", "keep", "reason", "lines:flagged"]
    assert marked.dtypes[["keep", "reason", "lines:flagged"]].tolist() == [np.dtype(bool), TEXT, NUMBER]
    without = gpurefine.annotate(frame, ["lines"], measures=False)
    pd.testing.assert_frame_equal(without, marked.drop(columns="lines:flagged"))


def test_more_rows_than_are_looked_at_at_a_time():
    texts = [f"{'amz'[number % 3]} {number}" for number in range(600)]
    marked = gpurefine.annotate(pd.DataFrame({"page": texts}), [HERE + "Initial"], text="page")
    assert marked["keep"].tolist() == [text[0] != "z" for text in texts]
    assert marked["Initial:initial"].tolist() == [ord(text[0]) for text in texts]


def test_a_row_on_which_a_stage_fails_is_marked():
    frame = pd.DataFrame({"text": ["a text", "x text", "z text"]})
    marked = gpurefine.annotate(frame, [HERE + "Initial", "lines"])
    reasons = [None if reason is pd.NA else reason for reason in marked["reason"]]
    assert reasons == [None, "Initial:exception", "Initial:initial"]
    assert marked["Initial:initial"].isna().tolist() == marked["lines:flagged"].isna().tolist() == [False, True, False]
    with pytest.raises(RunError, match="stage 'Initial' failed on all 8 documents"):
        gpurefine.annotate(pd.DataFrame({"text": ["x"] * 8}), [HERE + "Initial"])


def test_a_frame_without_rows():
    marked = gpurefine.annotate(pd.DataFrame({"text": pd.Series([], dtype="str")}), ["quality"])
    assert len(marked) == 0 and marked["keep"].dtype == bool and marked["quality:words"].dtype == NUMBER


def test_a_pipeline_can_be_given_in_any_form(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nstages:\n- quality: {min_words: 2}\n")
    frame = pd.DataFrame({"text": ["one", "the two of them"]})
    expected = gpurefine.annotate(frame, [{"quality": {"min_words": 2}}])
    for given in (str(tmp_path / "mine.yaml"), tmp_path / "mine.yaml"):
        pd.testing.assert_frame_equal(gpurefine.annotate(frame, given), expected)
        pd.testing.assert_frame_equal(gpurefine.annotate(frame, gpurefine.load_pipeline(given)), expected)


def test_dask_has_the_same_partitions_and_is_lazy():
    frame = pd.DataFrame({"text": TEXTS * 4}, index=range(0, 64, 2))
    calls = []

    def part(number):
        calls.append(number)
        return frame.iloc[8 * number : 8 * number + 8]

    parts = dd.from_delayed(
        [delayed(part)(number) for number in range(4)],
        meta=frame.iloc[:0],
        divisions=(0, 16, 32, 48, 62),
        verify_meta=False,
    )
    marked = gpurefine.annotate(parts, STAGES)
    assert calls == [] and marked.divisions == parts.divisions
    computed = marked.compute(scheduler="threads", num_workers=2)
    pd.testing.assert_frame_equal(computed, gpurefine.annotate(frame, STAGES))
    pd.testing.assert_frame_equal(marked._meta, computed.iloc[:0])
    assert len(marked[marked["keep"]]) == computed["keep"].sum()


GOOD = pd.DataFrame({"text": ["x", "y"], "n": [1, 2], "url": ["http://a.example/", None]})


@pytest.mark.parametrize(
    ("frame", "stages", "arguments", "error", "sentence"),
    [
        ([1], ["lines"], {}, InputError, r"expected a pandas, cuDF or Dask DataFrame, found a builtins list"),
        (GOOD["text"], ["lines"], {}, InputError, r"found a pandas Series"),
        (dd.from_pandas(GOOD)["text"], ["lines"], {}, InputError, r"found a dask Series"),
        (GOOD, ["lines"], {"text": "page"}, InputError, r"no column 'page', its columns are 'text', 'n', 'url'.*text="),
        (GOOD, ["lines"], {"text": "n"}, InputError, r"column 'n' holds int64, expected strings.*text="),
        (GOOD.assign(text=[["x"], ["y"]]), ["lines"], {}, InputError, r"column 'text' holds list"),
        (pd.concat([GOOD, GOOD], axis=1), ["lines"], {}, InputError, r"more than one column 'text'"),
        (GOOD.assign(keep=True), ["lines"], {}, InputError, r"already has a column 'keep'"),
        (GOOD.assign(**{"lines:flagged": 1}), ["lines"], {}, InputError, r"already has a column 'lines:flagged'"),
        (GOOD.drop(columns="url"), ["urls"], {}, InputError, r"no column 'url'.*url="),
        (GOOD, ["lines"], {"url": "link"}, InputError, r"no column 'link'.*url="),
        (GOOD, ["extract"], {}, ConfigError, r"'extract' makes texts of HTML pages.*gpurefine.deduplicate"),
        (GOOD, ["lines", "dedup.exact"], {}, ConfigError, r"'dedup.exact' needs all rows: .*\['lines'\].*deduplicate"),
        (GOOD, "refinedweb", {}, ConfigError, r"\['urls', 'language', 'repetition', 'quality', 'lines'\]"),
        (GOOD, "quality", {}, ConfigError, r"no preset is called 'quality'"),
        (GOOD, [], {}, ConfigError, r"at least one stage"),
        (GOOD, ["qualty"], {}, ConfigError, r"no stage is called 'qualty'; did you mean 'quality'"),
        (GOOD, [{"quality": {"least": 1}}], {}, ConfigError, r"there is no parameter 'least'"),
        (GOOD, 7, {}, ConfigError, r"expected a list of stages, or a pipeline or the name of one, found int"),
        (GOOD.assign(text="a text of another length"), [HERE + "Fickle"], {}, RunError, r"Fickle:long was measured"),
        (GOOD, [{"language": {"model": "no/such.bin"}}], {"offline": True}, ResourceError, r"no/such.bin"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(frame, stages, arguments, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        gpurefine.annotate(frame, stages, **arguments)
    assert "\n" not in str(raised.value)


def test_the_example_in_the_docstring_is_true():
    test = doctest.DocTestFinder().find(gpurefine.annotate, globs={"pd": pd, "gpurefine": gpurefine})
    results = doctest.DocTestRunner().run(test[0])
    assert results.attempted == 4 and results.failed == 0


def test_it_is_public():
    assert "annotate" in gpurefine.__all__ and gpurefine.annotate is frames_annotate.annotate
