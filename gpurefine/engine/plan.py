"""The plan of a run: pure functions from a pipeline and sizes to steps and partitions. Nothing is read or run here.

The list of stages is cut at each dedup. What lies between two cuts is one *step*: one task for each partition reads,
applies the removals of the dedup before it, runs the map stages, emits the keys of the dedup after it, and writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from gpurefine.config import Pipeline
from gpurefine.errors import ConfigError
from gpurefine.read.inputs import InputFile
from gpurefine.read.splits import plan_rows, plan_splits
from gpurefine.stages.base import DedupStage, MapStage

#: Largest partition of the first step, in bytes of input file: some thousand pages, a minute of extraction.
LARGEST_SPLIT = 64 << 20
SMALLEST_SPLIT = 1 << 20
#: Partitions a worker should get in the first step, so that workers finish together.
SPLITS_A_WORKER = 4

#: Sizes of later partitions, in bytes of Parquet: between two dedups, and of the files in ``refined/``.
MIDDLE_PARTITION = 64 << 20
REFINED_FILE = 256 << 20


@dataclass(frozen=True)
class Step:
    """What lies between two cuts.

    Attributes
    ----------
    index : 0, 1, ...; step 0 reads the inputs
    map_stages : run in this order on each partition
    dedup_before : the dedup whose removals this step applies
    dedup_after : the dedup whose keys this step emits
    last : this step writes ``refined/``
    """

    index: int
    map_stages: tuple[MapStage, ...]
    dedup_before: DedupStage | None
    dedup_after: DedupStage | None
    last: bool


@dataclass(frozen=True)
class Partition:
    """One task of a step.

    Attributes
    ----------
    index : position in the step
    file, begin, end, start : step 0: the split ``[begin, end)`` of input number ``file``, in bytes, of a table in
        rows; ``start`` is set when the split's first record is known to begin there
    sources : later steps: the partitions of the step before that are joined here
    """

    index: int
    file: int = 0
    begin: int = 0
    end: int = 0
    start: int | None = None
    sources: tuple[int, ...] = ()


def cut_steps(pipeline: Pipeline) -> list[Step]:
    """Cut a pipeline into steps. A pipeline without a dedup gets a second step that only joins files.

    Raises
    ------
    ConfigError
        when a stage that works on text stands before an ``extract``, or a stage's name cannot tell its removals
    """
    _check_order(pipeline)
    _check_names(pipeline)
    groups: list[list[MapStage]] = [[]]
    dedups: list[DedupStage | None] = []
    for stage in pipeline.stages:
        if isinstance(stage, DedupStage):
            dedups.append(stage)
            groups.append([])
        else:
            assert isinstance(stage, MapStage)
            groups[-1].append(stage)
    if not dedups:
        dedups.append(None)
        groups.append([])
    before, after = [None, *dedups], [*dedups, None]
    return [
        Step(index, tuple(group), before[index], after[index], index == len(groups) - 1)
        for index, group in enumerate(groups)
    ]


def check_fit(pipeline: Pipeline, inputs: Sequence[InputFile]) -> None:
    """See that the inputs are of a kind on which the stages can work.

    Raises
    ------
    ConfigError
        when a WARC is read without ``extract``, or a table, which has texts already, with it
    """
    kinds = [stage.kind for stage in pipeline.stages]
    extracts = "extract" in kinds
    wrong = next((file for file in inputs if (file.kind == "warc") != extracts), None)
    if wrong is None:
        return
    if extracts:
        rest = ", ".join(kinds[kinds.index("extract") + 1 :])
        raise ConfigError(
            f"{pipeline.name}: {wrong.path} is a table of texts, and 'extract' makes texts of HTML: "
            f"use a pipeline without it{f' ({rest})' if rest else ''}, or give WARC files"
        )
    raise ConfigError(
        f"{pipeline.name}: {wrong.path} is no Parquet file, which is what a pipeline without 'extract' reads "
        f"(a column of texts); WARC needs 'extract', and this pipeline has {', '.join(kinds)}"
    )


def _check_order(pipeline: Pipeline) -> None:
    kinds = [stage.kind for stage in pipeline.stages]
    if "extract" not in kinds:
        return
    if kinds.count("extract") > 1:
        raise ConfigError(f"{pipeline.name}: 'extract' stands {kinds.count('extract')} times; once is what works")
    for stage in pipeline.stages[: kinds.index("extract")]:
        if not isinstance(stage, MapStage) or stage.needs_text:
            raise ConfigError(f"{pipeline.name}: '{stage.name}' needs text, so it must stand after 'extract'")


def _check_names(pipeline: Pipeline) -> None:
    seen = {"read"}
    for stage in pipeline.stages:
        if ":" in stage.name:
            problem = "holds a colon, which parts stage and rule"
        elif stage.name in seen:
            problem = "is the reader's" if stage.name == "read" else "stands twice"
        else:
            seen.add(stage.name)
            continue
        raise ConfigError(f"{pipeline.name}: the stage name '{stage.name}' {problem}; give another one with 'as'")


def split_bytes(total: int, workers: int) -> int:
    """Size of a first-step partition: each worker gets several, none is larger than ``LARGEST_SPLIT``."""
    return max(SMALLEST_SPLIT, min(LARGEST_SPLIT, total // (SPLITS_A_WORKER * max(1, workers)) + 1))


def first_partitions(
    inputs: Sequence[InputFile], size: int, row_groups: Mapping[int, Sequence[tuple[int, int]]] = MappingProxyType({})
) -> list[Partition]:
    """Partitions of step 0: each input cut into splits of some ``size`` bytes, an empty file into one split.

    Parameters
    ----------
    row_groups : of each table among the inputs, by its number, rows and bytes of its row groups
    """
    splits = [
        (number, begin, end)
        for number, file in enumerate(inputs)
        for begin, end in (
            plan_rows(row_groups[number], size) if number in row_groups else plan_splits(file.size, size)
        )
    ]
    return [Partition(index, file, begin, end) for index, (file, begin, end) in enumerate(splits)]


def next_partitions(sizes: Sequence[int], target: int) -> list[Partition]:
    """Partitions of a later step: neighbours of the step before, joined to some ``target`` bytes.

    Parameters
    ----------
    sizes : bytes of each file that the step before left
    target : a partition is closed before it would exceed this
    """
    groups: list[list[int]] = []
    filled = 0
    for index, size in enumerate(sizes):
        if not groups or filled + size > target:
            groups.append([])
            filled = 0
        groups[-1].append(index)
        filled += size
    return [Partition(index, sources=tuple(group)) for index, group in enumerate(groups)]


def task_memory(memory: int, workers: int) -> int:
    """Bytes that one of ``workers`` tasks may use for keys and tables, of a run's whole memory budget."""
    return max(64 << 20, memory // (2 * max(1, workers)))
