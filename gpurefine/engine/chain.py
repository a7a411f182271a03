"""A batch through the map stages of a step: who goes on, who is removed by which rule, what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gpurefine.documents import REMOVED_SCHEMA, TEXT, Batch
from gpurefine.engine.tools import StageTools
from gpurefine.errors import GpurefineError, RunError
from gpurefine.frames import concat, is_device_frame, take, to_arrow, to_device_frame, to_host_frame
from gpurefine.stages.base import MapStage, Outcome, Verdict

#: Failures of the machine or of the installation, not of a document: they end the task.
NOT_THE_DOCUMENT = (GpurefineError, OSError, MemoryError, ImportError)

#: Rule of a document on which a stage raised an exception.
EXCEPTION = "exception"

#: A stage that fails on all documents of a batch of at least this size is broken itself.
ALL_FAILED = 8

#: One row a document: the first rule that hit, and all measured values by ``stage:rule``.
STATS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.large_string()),
        pa.field("file", pa.large_string()),
        pa.field("offset", pa.int64()),
        pa.field("removed_by", pa.large_string()),
        pa.field("measured", pa.map_(pa.string(), pa.float64())),
    ]
)


#: What removed/ takes over from a document. Other columns that it has may bear names of a removal's.
TAKEN_OVER = ("id", "url", "file", "offset", "length", "text")


@dataclass
class ChainResult:
    """What became of a batch: the rows that go on, tables for ``removed/`` and ``stats/``, and what stages noted."""

    kept: Batch
    removed: list[pa.Table] = field(default_factory=list)
    stats: list[pa.Table] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)


@dataclass
class _Measured:
    """Values of the rows that are still in, by ``stage:rule``, and the first rule that would have removed each."""

    values: dict[str, np.ndarray]
    first_rule: np.ndarray

    def take(self, rows: np.ndarray) -> _Measured:
        """Some rows, by mask or by index."""
        return _Measured({name: value[rows] for name, value in self.values.items()}, self.first_rule[rows])


def run_chain(
    stages: Sequence[MapStage], tools: StageTools, batch: Batch, *, annotate: bool, stats: bool, removed_text: bool
) -> ChainResult:
    """Run a batch through map stages.

    Parameters
    ----------
    stages : in order
    tools : what this worker holds open
    batch : rows in the reader's order; the rows that go on keep it
    annotate : remove only what cannot go on, measure everything
    stats : collect the measured values
    removed_text : put the text of removed documents into the table of removals
    """
    result = ChainResult(batch)
    measured = _Measured({}, np.full(len(batch), "", object))
    for stage in stages:
        if not len(result.kept):
            break
        kept, kept_measured, row = [], [], 0
        for outcome in _apply(stage, tools, result.kept):
            rows = np.arange(row, row + len(outcome.batch))
            row += len(outcome.batch)
            result.noted.update({f"{stage.name}:{name}": count for name, count in outcome.noted.items() if count})
            values = _record(measured.take(rows), stage, outcome) if stats else measured.take(rows)
            hit = _first_hits(outcome.verdicts, len(outcome.batch), annotate)
            gone = hit >= 0
            if gone.any():
                result.removed.append(_removals(stage, outcome, hit, removed_text))
                if stats:
                    result.stats.append(_stats_table(outcome.batch.keep(gone), values.take(gone)))
            kept.append(outcome.batch.keep(~gone))
            kept_measured.append(values.take(~gone))
        result.kept, measured = _joined(kept), _joined_measures(kept_measured)
    if stats and stages and len(result.kept):
        result.stats.append(_stats_table(result.kept, measured))
    return result


def _apply(stage: MapStage, tools: StageTools, batch: Batch) -> list[Outcome]:
    """Apply a stage; a document on which it fails becomes a removal. One outcome, or several of neighbouring rows.

    Raises
    ------
    RunError
        when the stage fails on every document of a batch: that is a defect of the stage, not of pages
    """
    outcomes = _apply_halving(stage, tools, batch)
    failed = [verdict for outcome in outcomes for verdict in outcome.verdicts if verdict.rule == EXCEPTION]
    if len(failed) == len(batch) >= ALL_FAILED:
        evidence = failed[0].evidence[0] if failed[0].evidence else "an exception"
        raise RunError(
            f"stage '{stage.name}' failed on all {len(batch)} documents of a batch, the first with {evidence}: "
            "mend the stage, then give the same command"
        )
    return outcomes


def _apply_halving(stage: MapStage, tools: StageTools, batch: Batch) -> list[Outcome]:
    """Apply a stage; when it fails, halve the batch until only the documents that fail alone are left.

    What a device has no memory for is halved, too; the CPU takes a document that does not fit there alone.
    """
    on_device = is_device_frame(batch.frame)
    try:
        return [_apply_there(stage, tools, batch)]
    except NOT_THE_DOCUMENT as error:
        if not (on_device and isinstance(error, MemoryError)):
            raise
        # its traceback would hold the arrays of the device on which there is no room
        failure: Exception = error.with_traceback(None)
    except Exception as error:
        failure = error
    if len(batch) == 1:
        return [_apply_on_host(stage, tools, batch, failure) if on_device else _failed(batch, failure)]
    half = np.arange(len(batch)) < len(batch) // 2
    return [outcome for mask in (half, ~half) for outcome in _apply_halving(stage, tools, batch.keep(mask))]


def _apply_there(stage: MapStage, tools: StageTools, batch: Batch) -> Outcome:
    """Apply a stage to a batch where it lies; on the host where the stage has nothing for a device, and back."""
    if stage.on_gpu or not is_device_frame(batch.frame):
        return stage.apply(batch, tools.tool(stage))
    outcome = stage.apply(Batch(to_host_frame(batch.frame), batch.statistics), tools.tool(stage))
    outcome.batch = Batch(to_device_frame(outcome.batch.frame), outcome.batch.statistics)
    return outcome


def _apply_on_host(stage: MapStage, tools: StageTools, batch: Batch, failure: Exception) -> Outcome:
    """What the CPU says of one document of a device on which a stage failed there, so that both devices agree."""
    host = Batch(to_host_frame(batch.frame), batch.statistics)
    try:
        outcome = stage.apply(host, tools.tool(stage))
    except NOT_THE_DOCUMENT:
        raise
    except Exception as error:
        return _failed(batch, error)
    if not isinstance(failure, MemoryError):
        raise RunError(
            f"stage '{stage.name}' failed on a GPU with {_said_by(failure).splitlines()[0]}, and not on the CPU for "
            "the same document: please report this, and go on with --backend cpu"
        ) from failure
    outcome.batch = Batch(to_device_frame(outcome.batch.frame), outcome.batch.statistics)
    return outcome


def _failed(batch: Batch, error: Exception) -> Outcome:
    return Outcome(batch, [Verdict(EXCEPTION, np.ones(1, bool), evidence=[_said_by(error)], final=True)])


def _said_by(error: Exception) -> str:
    """An exception in 200 characters that can be written to any file."""
    return f"{type(error).__name__}: {error}"[:200].encode("utf-8", "replace").decode()


def _joined(batches: Sequence[Batch]) -> Batch:
    """Batches of neighbouring rows as one; statistics are kept where there was only one."""
    filled = [batch for batch in batches if len(batch)] or list(batches[:1])
    if len(filled) == 1:
        return filled[0]
    return Batch(concat([batch.frame for batch in filled]))


def _joined_measures(parts: Sequence[_Measured]) -> _Measured:
    names = dict.fromkeys(name for part in parts for name in part.values)
    values = {
        name: np.concatenate([part.values.get(name, np.full(len(part.first_rule), np.nan)) for part in parts])
        for name in names
    }
    return _Measured(values, np.concatenate([part.first_rule for part in parts]))


def _first_hits(verdicts: Sequence[Verdict], rows: int, annotate: bool) -> np.ndarray:
    """Index of the first verdict that removes each row, -1 for none. In annotate mode only final ones remove."""
    hit = np.full(rows, -1)
    for index, verdict in reversed(list(enumerate(verdicts))):
        if verdict.final or not annotate:
            hit[verdict.removed] = index
    return hit


def removal_table(batch: Batch, gone: np.ndarray, said: Mapping[str, Any], text: bool) -> pa.Table:
    """Rows of ``removed/``.

    Parameters
    ----------
    batch : n documents
    gone : bool, (n,), which of them leave
    said : by names of ``REMOVED_SCHEMA`` an Arrow array with a value for each document that leaves
    text : whether their text goes with them
    """
    names = [name for name in TAKEN_OVER if name in batch.frame.columns and (text or name != "text")]
    table = to_arrow(take(batch.frame[names], gone), REMOVED_SCHEMA)
    for name, values in said.items():
        place = REMOVED_SCHEMA.get_field_index(name)
        table = table.set_column(place, REMOVED_SCHEMA.field(place), values.cast(REMOVED_SCHEMA.field(place).type))
    return table


def _removals(stage: MapStage, outcome: Outcome, hit: np.ndarray, removed_text: bool) -> pa.Table:
    """Rows of ``removed/`` for the rows with a hit, in their order."""
    rows = np.flatnonzero(hit >= 0)
    verdicts = list(zip([outcome.verdicts[index] for index in hit[rows]], rows, strict=True))
    said = {
        "stage": pa.repeat(stage.name, len(rows)),
        "rule": pa.array([verdict.rule for verdict, _ in verdicts], TEXT),
        "value": _numbers(np.nan if each.value is None else float(each.value[row]) for each, row in verdicts),
        "limit": _numbers(np.nan if each.limit is None else each.limit for each, _ in verdicts),
        "evidence": pa.array([None if each.evidence is None else each.evidence[row] for each, row in verdicts], TEXT),
    }
    return removal_table(outcome.batch, hit >= 0, said, removed_text)


def _numbers(values: Iterable[float]) -> pa.Array:
    """float64, null where a number is not one."""
    return pa.array(np.fromiter(values, np.float64), from_pandas=True)


def _record(measured: _Measured, stage: MapStage, outcome: Outcome) -> _Measured:
    """What was measured before, and what this stage measured and said."""
    values = measured.values | {f"{stage.name}:{name}": value for name, value in outcome.measured.items()}
    first_rule = measured.first_rule.copy()
    for verdict in outcome.verdicts:
        first_rule[verdict.removed & (first_rule == "")] = f"{stage.name}:{verdict.rule}"
    return _Measured(values, first_rule)


def _stats_table(batch: Batch, measured: _Measured) -> pa.Table:
    """Rows of ``stats/``: what was measured of each document, without what was not."""
    values = np.stack(list(measured.values.values()), axis=1) if measured.values else np.zeros((len(batch), 0))
    there = ~np.isnan(values)
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    names = pa.array(list(measured.values), pa.string()).take(pa.array(np.nonzero(there)[1]))
    said = {
        "removed_by": pa.array([rule or None for rule in measured.first_rule], TEXT),
        "measured": pa.MapArray.from_arrays(offsets, names, values[there]),
    }
    table = to_arrow(batch.frame, STATS_SCHEMA)
    for name, column in said.items():
        place = STATS_SCHEMA.get_field_index(name)
        table = table.set_column(place, STATS_SCHEMA.field(place), column)
    return table
