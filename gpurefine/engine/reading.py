"""What a partition of the first step reads: batches of an input file, whatever its kind, as the map stages take them.

Pages enter before ``extract``; documents that have a text already skip what works on HTML (``stages_for``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from gpurefine.config import find_stage
from gpurefine.documents import REMOVED_SCHEMA, Batch
from gpurefine.engine.edits import Loaded, unchanged
from gpurefine.engine.emit import device_tables
from gpurefine.errors import InputError, RunError
from gpurefine.frames import from_arrow
from gpurefine.read.batches import ReadBatch, SplitCounts, read_batches
from gpurefine.read.inputs import InputFile
from gpurefine.read.jsonl import read_lines
from gpurefine.read.kinds import WITH_TEXTS
from gpurefine.read.tables import read_table
from gpurefine.stages.base import MapStage
from gpurefine.stages.extraction.tidy import tidy

if TYPE_CHECKING:
    from gpurefine.engine.partition import PartitionTask

EXTRACT = "extract"


def stages_for(stages: Sequence[MapStage], file: InputFile | None) -> Sequence[MapStage]:
    """The map stages of a step through which documents of a file go: those with texts skip what works on HTML.

    ``file`` is None for documents that a step before has left.
    """
    if file is None or file.kind not in WITH_TEXTS:
        return stages
    return [stage for stage in stages if not stage.needs_html]


def read_input(task: PartitionTask, file: InputFile, counts: SplitCounts) -> Iterator[Loaded]:
    """The batches of a partition of the first step, each with the removals of the reader.

    Parameters
    ----------
    task : which range of the file, how it is read, and where frames are
    file : the input file
    counts : filled while the iterator runs

    Raises
    ------
    RunError
        if the file cannot be read on, or is not what it was, naming it
    """
    try:
        yield from _read_input(task, file, counts)
    except InputError as error:
        # the run has begun: what it has done stays, and the same command goes on
        raise RunError(str(error)) from error


def _read_input(task: PartitionTask, file: InputFile, counts: SplitCounts) -> Iterator[Loaded]:
    if file.kind == "parquet":
        tables = read_table(file, task.partition.begin, task.partition.end, task.input, task.others, counts, task.part)
        batches = (ReadBatch(table, REMOVED_SCHEMA.empty_table()) for table in tables)
    elif file.kind == "jsonl":
        batches = read_lines(file, task.partition.begin, task.partition.end, task.input, task.others, counts, task.part)
    else:
        batches = _with_columns(_read_records(task, file, counts), task.others)
    if task.on_device:
        batches = _for_device(batches)
    for batch in batches:
        yield unchanged(Batch(from_arrow(batch.pages, task.on_device)), batch.removed)


def _read_records(task: PartitionTask, file: InputFile, counts: SplitCounts) -> Iterator[ReadBatch]:
    begin, end, start = task.partition.begin, task.partition.end, task.partition.start
    return read_batches(file, begin, end, start, task.input, counts, task.part, _clean_up(task.step.map_stages))


def _for_device(batches: Iterable[ReadBatch]) -> Iterator[ReadBatch]:
    """The same rows in the larger batches that are worth a device's while."""
    removed: list[pa.Table] = []

    def pages() -> Iterator[pa.Table]:
        for batch in batches:
            removed.append(batch.removed)
            yield batch.pages

    for table in device_tables(pages()):
        yield ReadBatch(table, pa.concat_tables(removed))
        removed.clear()


def _clean_up(stages: Sequence[MapStage]) -> Callable[[str], str]:
    """The clean-up of the texts that ``extract`` makes, with its defaults where the pipeline has none."""
    extract = next((stage for stage in stages if stage.kind == EXTRACT), None) or find_stage(EXTRACT)()
    return partial(tidy, bare_domains=extract.bare_domains, join_bullets=extract.join_bullets)


def _with_columns(batches: Iterable[ReadBatch], others: pa.Schema) -> Iterator[ReadBatch]:
    """The batches with columns that only documents of other files have, null."""
    for batch in batches:
        for field in others:
            batch.pages = batch.pages.append_column(field, pa.nulls(batch.pages.num_rows, field.type))
        yield batch
