"""What a run will need, estimated before it starts: steps, partitions, memory, disk, hours. For ``gpurefine plan``."""

from __future__ import annotations

from collections.abc import Iterator

from gpurefine.dedup.collisions import bytes_a_key
from gpurefine.dedup.components import BYTES_A_DOCUMENT as LABEL_BYTES
from gpurefine.engine.plan import MIDDLE_PARTITION, REFINED_FILE, cut_steps, first_partitions, task_memory
from gpurefine.engine.run import Prepared
from gpurefine.read.inputs import InputFile
from gpurefine.read.tables import count_rows, row_groups_of
from gpurefine.read.warc import WarcRecord, WarcSplit

#: The beginning of the first input is read to learn how large a record is.
SAMPLE_BYTES = 4 << 20

#: Assumptions, printed with the estimate: seconds of CPU a page, bytes of Parquet a document that is in work/.
SECONDS_A_PAGE = 0.020
BYTES_A_DOCUMENT = 2_500


def estimate_lines(prepared: Prepared) -> Iterator[str]:
    """The plan of a checked run, a line each."""
    pipeline, inputs = prepared.pipeline, prepared.inputs
    size = sum(file.size for file in inputs)
    records = estimate_records(inputs)
    budget = task_memory(prepared.memory, prepared.workers)
    yield f"{pipeline.name}: {pipeline.description.strip()}"
    yield f"input: {len(inputs)} files, {_size(size)}, some {records:,} pages (going by the first file's beginning)"
    yield f"workers: {prepared.workers} CPU processes, an extraction child each; memory budget {_size(prepared.memory)}"
    yield (
        f"time: extraction on CPU decides: some {SECONDS_A_PAGE * 1000:.0f} ms a page, so about "
        f"{_time(records * SECONDS_A_PAGE / prepared.workers)} with these workers; a GPU would not shorten it"
    )
    for step in cut_steps(pipeline):
        names = ", ".join(stage.name for stage in step.map_stages)
        if step.index == 0:
            count = len(first_partitions(inputs, prepared.split_size, row_groups_of(inputs)))
            yield f"step 0: read, {names}: {count} partitions of up to {_size(prepared.split_size)}"
        else:
            target = REFINED_FILE if step.last else MIDDLE_PARTITION
            before = f"apply {step.dedup_before.name}" if step.dedup_before else "join files"
            yield f"step {step.index}: {', '.join(filter(None, [before, names]))}: files of up to {_size(target)}"
        if step.dedup_after is not None:
            columns = len(step.dedup_after.key_columns)
            yield (
                f"  {step.dedup_after.name}: at most {_size(records * 8 * (columns + 1))} of key files; collide tasks "
                f"of {_size(budget)} ({_passes(records, columns, budget)}); at most {_size(records * LABEL_BYTES)} to "
                "connect duplicates, if every page had one"
            )
    yield f"disk: at most {_size(records * BYTES_A_DOCUMENT)} in work/ while it runs, if every page were kept"
    for stage, what in prepared.provided.items():
        for name, value in what.items():
            yield f"uses {stage} {name}: {value}"


def estimate_records(inputs: tuple[InputFile, ...]) -> int:
    """Records in all inputs: rows of tables, and response records from how many the first WARC's beginning holds."""
    rows = sum(count_rows(file) for file in inputs if file.kind == "parquet")
    inputs = tuple(file for file in inputs if file.kind == "warc")
    filled = next((file for file in inputs if file.size), None)
    if filled is None:
        return rows
    end = min(SAMPLE_BYTES, filled.size)
    split = WarcSplit(filled.path, 0, end, max_block=1 << 16)
    found = sum(isinstance(item, WarcRecord) and item.type == "response" for item in split)
    return rows + round(found * sum(file.size for file in inputs) / max(1, split.last_end or end))


def _passes(documents: int, key_columns: int, budget: int) -> str:
    needed = int(documents * bytes_a_key(key_columns))
    return "all keys at once" if needed <= budget else f"{-(-needed // budget)} tasks or passes"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
