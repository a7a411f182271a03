"""``gpurefine.deduplicate`` with a dedup that looks inside documents, on frames of pandas and Dask."""

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from line_stage import edited, lines_of
from test_span_runs import COUNT, by_priority, texts

import gpurefine
from gpurefine.errors import InputError, RunError

LINES = "line_stage:Lines"


@pytest.fixture
def frame():
    names = [f"<urn:{number}>" for number in range(COUNT)]
    return pd.DataFrame({"id": names, "text": texts(), "half": [number % 2 for number in range(COUNT)]}, index=names)


def check(found, want):
    """Columns say what a dictionary of lines leaves."""
    assert found["keep"].tolist() == [text is not None for text in want]
    assert found["reason"].isna().tolist() == found["keep"].tolist()
    assert set(found["reason"].dropna()) <= {"Lines:empty"}
    for text, edit, spans, left in zip(found["text"], found["edited"], found["spans"], want, strict=True):
        assert edit == (text if left is None else left)
        gone = "".join(text[span["first"] : span["last"]] + "\n" for span in spans)
        assert len(lines_of(text)) - len(lines_of(gone[:-1] if gone else "")) == len(lines_of(left or "")) or not left


@pytest.mark.parametrize(
    ("parameters", "owners"), [({}, None), ({"keep": "first"}, [0] * COUNT), ({"keep": "random"}, by_priority())]
)
@pytest.mark.parametrize("partitions", [0, 1, 4])
def test_columns_tell_what_a_dictionary_leaves(frame, parameters, owners, partitions):
    given = dd.from_pandas(frame, npartitions=partitions, sort=False) if partitions else frame
    with dask.config.set(scheduler="threads"):
        found = gpurefine.deduplicate(given, LINES, **parameters)
        found = found.compute() if partitions else found
    check(found, edited(texts(), owners or [0] * COUNT, 1, owners is not None))
    assert found.index.tolist() == frame.index.tolist()
    assert list(found.columns) == [*frame.columns, "keep", "reason", "spans", "edited"]


def test_scopes_are_not_compared(frame):
    found = gpurefine.deduplicate(frame, LINES, scope="half")
    for half in (0, 1):
        check(found[found["half"] == half], edited(texts()[half::2], [0] * (COUNT // 2)))


def test_types_of_the_result_are_those_that_dask_was_told(frame):
    lazy = gpurefine.deduplicate(dd.from_pandas(frame, npartitions=2, sort=False), LINES)
    assert lazy.compute().dtypes.tolist() == lazy._meta.dtypes.tolist()


def test_without_ids_no_random_copy_is_kept(frame):
    with pytest.raises(InputError, match="has no column 'id': name one with id="):
        gpurefine.deduplicate(frame.drop(columns="id"), LINES, keep="random")


def test_rows_that_change_between_the_passes_are_told(frame):
    generator = np.random.default_rng(1)
    moving = dd.from_pandas(frame, npartitions=2, sort=False).map_partitions(
        lambda part: part.iloc[generator.permutation(len(part))], meta=frame
    )
    found = gpurefine.deduplicate(moving, LINES)
    with pytest.raises(RunError, match="has not the rows, in the order"), dask.config.set(scheduler="sync"):
        found.compute()


def test_nulls_and_an_empty_frame(frame):
    frame.loc[frame.index[0], "text"] = None
    found = gpurefine.deduplicate(frame, LINES)
    assert found["keep"].iloc[0]
    assert pd.isna(found["edited"].iloc[0])
    nothing = gpurefine.deduplicate(frame.iloc[:0], LINES)
    assert len(nothing) == 0
    assert "edited" in nothing.columns
