"""The plan of a run: pure functions from a pipeline and sizes to steps and partitions. Nothing is read or run here.

The list of stages is cut at each dedup. What lies between two cuts is one *step*: one task for each partition reads,
applies the removals of the dedup before it, runs the map stages, emits the keys of the dedup after it, and writes.

With GPU workers the list is also cut where it passes from stages that run on a GPU to stages that do not, or back. Such
a step *follows* the one before it: it takes up each of its partitions as soon as that is there. The keys of a dedup
that runs on a GPU are then a task of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from types import MappingProxyType
from typing import Literal

from gpurefine.config import Pipeline
from gpurefine.errors import ConfigError
from gpurefine.read.inputs import InputFile
from gpurefine.read.kinds import WITH_TEXTS
from gpurefine.read.splits import plan_rows, plan_splits
from gpurefine.stages.base import DedupStage, MapStage, SpanStage
from gpurefine.stages.language import Language
from gpurefine.stages.language_hint import LanguageHint

#: Largest partition of the first step, in bytes of input file: some thousand pages, a minute of extraction.
LARGEST_SPLIT = 64 << 20
SMALLEST_SPLIT = 1 << 20
#: Partitions a worker should get in the first step, so that workers finish together.
SPLITS_A_WORKER = 4

#: Sizes of later partitions, in bytes of Parquet: between two dedups, and of the files in ``refined/``.
MIDDLE_PARTITION = 64 << 20
REFINED_FILE = 256 << 20

#: What a task needs of a worker; the names of Dask's resources.
Device = Literal["CPU", "GPU"]


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
    device : where its tasks run
    follows : each partition of the step before is one of this step, taken up as soon as it is there
    keys_device : where the keys of ``dedup_after`` are computed; None if the step's own tasks do it, or there is none
    """

    index: int
    map_stages: tuple[MapStage, ...]
    dedup_before: DedupStage | None
    dedup_after: DedupStage | None
    last: bool
    device: Device = "CPU"
    follows: bool = False
    keys_device: Device | None = None

    @property
    def emits(self) -> DedupStage | None:
        """The dedup whose keys the step's own tasks write."""
        return self.dedup_after if self.keys_device is None else None


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


def cut_steps(pipeline: Pipeline, gpu: bool = False) -> list[Step]:
    """Cut a pipeline into steps. A pipeline without a dedup gets a second step that only joins files.

    Parameters
    ----------
    gpu : cut it for GPU workers beside the CPU workers

    Raises
    ------
    ConfigError
        when a stage that works on text stands before an ``extract``, or a stage's name cannot tell its removals
    """
    _check_order(pipeline)
    _check_languages(pipeline)
    _check_names(pipeline)
    groups: list[list[MapStage]] = [[]]
    dedups: list[DedupStage | None] = []
    for stage in pipeline.stages:
        if isinstance(stage, DedupStage):
            groups[-1].extend(stage.before)
            passes = stage.rounds if isinstance(stage, SpanStage) else int(stage.compares)
            dedups.extend([stage] * passes)
            groups.extend([] for _ in range(passes))
        else:
            assert isinstance(stage, MapStage)
            groups[-1].append(stage)
    if not dedups:
        dedups.append(None)
        groups.append([])
    steps: list[Step] = []
    for group, before, after in zip(groups, [None, *dedups], [*dedups, None], strict=True):
        runs = _runs_by_device(group) if gpu else [("CPU", tuple(group))]
        for number, (device, stages) in enumerate(runs):
            closing = number == len(runs) - 1
            dedup = after if closing else None
            steps.append(
                Step(
                    index=len(steps),
                    map_stages=stages,
                    dedup_before=None if number else before,
                    dedup_after=dedup,
                    last=closing and group is groups[-1],
                    device=device,
                    follows=number > 0,
                    keys_device="GPU" if gpu and dedup is not None and dedup.on_gpu else None,
                )
            )
    return steps


def _runs_by_device(stages: Sequence[MapStage]) -> list[tuple[Device, tuple[MapStage, ...]]]:
    """Neighbours that run on the same device; one run on CPUs where there is no stage."""
    runs = [("GPU" if on_gpu else "CPU", tuple(run)) for on_gpu, run in groupby(stages, lambda stage: stage.on_gpu)]
    return runs or [("CPU", ())]


def uses_gpu(pipeline: Pipeline) -> bool:
    """Whether any stage of a pipeline can run on a GPU."""
    return any(stage.on_gpu for stage in pipeline.stages)


def flow_of(steps: Sequence[Step], index: int) -> list[Step]:
    """The step and those that follow it."""
    flow = [steps[index]]
    while flow[-1].index + 1 < len(steps) and steps[flow[-1].index + 1].follows:
        flow.append(steps[flow[-1].index + 1])
    return flow


def check_fit(pipeline: Pipeline, inputs: Sequence[InputFile]) -> None:
    """See that the inputs are of a kind on which the stages can work.

    Raises
    ------
    ConfigError
        when a WARC is read without ``extract``. What has texts already skips that stage
    """
    kinds = [stage.kind for stage in pipeline.stages]
    pages = next((file for file in inputs if file.kind not in WITH_TEXTS), None)
    if pages is not None and "extract" not in kinds:
        raise ConfigError(
            f"{pipeline.name}: {pages.path} is no file of texts (Parquet, JSON lines, WET), which is what a pipeline "
            f"without 'extract' reads; WARC needs 'extract', and this pipeline has {', '.join(kinds)}"
        )


def _check_order(pipeline: Pipeline) -> None:
    kinds = [stage.kind for stage in pipeline.stages]
    if kinds.count("extract") > 1:
        raise ConfigError(f"{pipeline.name}: 'extract' stands {kinds.count('extract')} times; once is what works")
    at = kinds.index("extract") if "extract" in kinds else -1
    for stage in pipeline.stages[: max(0, at)]:
        if not isinstance(stage, MapStage) or stage.needs_text:
            raise ConfigError(f"{pipeline.name}: '{stage.name}' needs text, so it must stand after 'extract'")
    for stage in pipeline.stages[at + 1 :]:
        if isinstance(stage, MapStage) and stage.needs_html:
            raise ConfigError(f"{pipeline.name}: '{stage.name}' needs HTML, so it must stand before an 'extract'")


def _check_languages(pipeline: Pipeline) -> None:
    """A hint that removes what a later stage wants is a mistake that shows in nothing but missing documents."""
    hints = [stage for stage in pipeline.stages if isinstance(stage, LanguageHint)]
    for hint, stage in product(hints, pipeline.stages):
        if isinstance(stage, Language) and stage.model == hint.model and not set(stage.keep) <= set(hint.keep):
            missing = ", ".join(sorted(set(stage.keep) - set(hint.keep)))
            raise ConfigError(
                f"{pipeline.name}: '{stage.name}' keeps {missing}, which '{hint.name}' removes before: name in "
                f"{hint.name}.keep all that {stage.name}.keep has"
            )


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


def input_bytes(partitions: Sequence[Partition], sizes: Sequence[int]) -> list[int]:
    """Bytes of input in each partition of step 0, also where it is a range of rows; their sum is that of the files.

    Parameters
    ----------
    sizes : bytes of the input files
    """
    extents: dict[int, int] = {}
    for partition in partitions:
        extents[partition.file] = max(partition.end, extents.get(partition.file, 0))
    return [
        sizes[partition.file] * partition.end // max(1, extents[partition.file])
        - sizes[partition.file] * partition.begin // max(1, extents[partition.file])
        for partition in partitions
    ]


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
