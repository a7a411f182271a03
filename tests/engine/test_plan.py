"""Steps and partitions: every stage in one step, every byte in one split, every file in one partition."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.config import pipeline_from_data
from gpurefine.engine.plan import check_fit, cut_steps, first_partitions, next_partitions, split_bytes
from gpurefine.engine.reading import stages_for
from gpurefine.errors import ConfigError
from gpurefine.read.inputs import InputFile


def steps_of(*stages):
    return cut_steps(pipeline_from_data({"name": "x", "stages": list(stages)}))


def test_each_dedup_is_a_cut():
    steps = steps_of("extract", "dedup.exact", "language", "quality", "dedup.exact", "lines")
    assert [[stage.name for stage in step.map_stages] for step in steps] == [
        ["extract"],
        ["language", "quality"],
        ["lines"],
    ]
    assert [step.dedup_before and step.dedup_before.name for step in steps] == [None, "dedup.exact", "dedup.exact-2"]
    assert [step.dedup_after and step.dedup_after.name for step in steps] == ["dedup.exact", "dedup.exact-2", None]
    assert [step.last for step in steps] == [False, False, True]


def test_without_a_dedup_a_second_step_joins_files():
    steps = steps_of("extract", "language")
    assert [len(step.map_stages) for step in steps] == [2, 0]
    assert steps[0].dedup_after is None
    assert steps[1].last


@pytest.mark.parametrize("stages", [["language", "extract"], ["dedup.exact", "extract"], ["extract", "extract"]])
def test_an_order_that_cannot_work_is_refused(stages):
    with pytest.raises(ConfigError, match="extract"):
        steps_of(*stages)


WARC = InputFile("/a.warc.gz", "a.warc.gz", 1, None, None)
TEXTS = [InputFile(f"/a.{kind}", f"a.{kind}", 1, None, None, kind) for kind in ("parquet", "wet", "jsonl")]


@pytest.mark.parametrize("inputs", [[WARC], [*TEXTS, WARC]])
def test_pages_without_extract_are_refused(inputs):
    pipeline = pipeline_from_data({"name": "x", "stages": ["language"]})
    with pytest.raises(ConfigError, match=r"/a.warc.gz is no file of texts.*'extract'.*has language"):
        check_fit(pipeline, inputs)
    check_fit(pipeline, TEXTS)


def test_texts_and_pages_may_be_inputs_of_one_pipeline():
    """What has texts skips just `extract`; what stands before it is for all."""
    check_fit(pipeline_from_data({"name": "x", "stages": ["urls", "extract"]}), [WARC, *TEXTS])
    (step, _) = steps_of("urls", "extract", "language")
    for file in TEXTS:
        assert [stage.kind for stage in stages_for(step.map_stages, file)] == ["urls", "language"]
    for file in (WARC, None):
        assert [stage.kind for stage in stages_for(step.map_stages, file)] == ["urls", "extract", "language"]


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        (["extract", "language", {"language": {"as": "language-2"}}, "language"], "'language-2' stands twice"),
        (["extract", {"language": {"as": "read"}}], "'read'.*reader"),
        (["extract", {"language": {"as": "lid:all"}}], "'lid:all'.*colon"),
    ],
)
def test_a_name_that_removals_could_not_be_told_by_is_refused(stages, words):
    with pytest.raises(ConfigError, match=words):
        steps_of(*stages)


@given(st.lists(st.integers(0, 10**6), max_size=6), st.integers(1, 10**6))
def test_splits_cover_each_file_once(sizes, size):
    inputs = [InputFile(f"/{i}", str(i), n, None, None) for i, n in enumerate(sizes)]
    partitions = first_partitions(inputs, max(size, sum(sizes) // 500))
    assert [partition.index for partition in partitions] == list(range(len(partitions)))
    for number, n in enumerate(sizes):
        splits = [(p.begin, p.end) for p in partitions if p.file == number]
        assert [begin for begin, _ in splits] == [0, *(end for _, end in splits[:-1])][: len(splits)]
        assert (splits[-1][1] if splits else 0) == n


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 50)), max_size=30), st.integers(1, 100))
@example([(0, 0)], 1)
@example([(1000, 3000)], 1)
def test_a_table_is_cut_at_row_groups_and_inside_of_large_ones(row_groups, size):
    """Each row once and in order; a range exceeds the size by at most a row group's rounding, or is one of 16 of it."""
    partitions = first_partitions([WARC, TEXTS[0]], size, {1: row_groups})
    assert partitions[0].end == 1
    ranges = [range(p.begin, p.end) for p in partitions[1:]]
    assert [row for cut in ranges for row in cut] == list(range(sum(rows for rows, _ in row_groups)))
    assert len(ranges) >= 1
    # bytes of a row, group by group, and the rows at which groups begin
    weights = [n / rows for rows, n in row_groups for _ in range(rows)]
    largest = max(weights, default=0)
    cut_small = all(rows == 0 or n <= min(16, rows) * size for rows, n in row_groups)
    for cut in ranges:
        assert not cut_small or sum(weights[row] for row in cut) <= size + largest + 1
    begins = {0, *itertools.accumulate(rows for rows, _ in row_groups)}
    if all(n <= size for _, n in row_groups):
        assert {cut.start for cut in ranges} <= begins


@given(st.lists(st.integers(0, 100), max_size=40), st.integers(1, 150))
def test_later_partitions_take_each_file_once_in_order_and_stay_below_the_target(sizes, target):
    partitions = next_partitions(sizes, target)
    assert [source for partition in partitions for source in partition.sources] == list(range(len(sizes)))
    for partition in partitions:
        assert len(partition.sources) == 1 or sum(sizes[source] for source in partition.sources) <= target


@given(st.integers(0, 10**13), st.integers(1, 1000))
def test_split_size_stays_in_bounds(total, workers):
    assert 1 << 20 <= split_bytes(total, workers) <= 64 << 20
