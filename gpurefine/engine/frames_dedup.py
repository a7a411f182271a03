"""``gpurefine.deduplicate``: a dedup of a frame, in memory, that marks rows and removes none.

This is the door: everything is checked here, then ``frames_phases`` finds the clusters as a run does, or
``frames_spans`` what is copied inside texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from gpurefine.config import dedup_kind, pipeline_from_data
from gpurefine.dedup.url import Url
from gpurefine.engine.dedupcolumns import check_frame, column_type
from gpurefine.engine.frames_emit import METADATA_SCHEMA, Columns, ToolPool, emit
from gpurefine.engine.frames_input import check_column, check_new_columns, check_text_column, in_memory, schema_of
from gpurefine.engine.frames_phases import Call, call_in, find, join_decisions, scratch_folder
from gpurefine.engine.frames_spans import NEW_COLUMNS as SPAN_COLUMNS
from gpurefine.engine.frames_spans import edit_partition, emit_pieces, find_frame_spans
from gpurefine.engine.plan import task_memory
from gpurefine.errors import ConfigError, InputError
from gpurefine.frames import is_device_frame
from gpurefine.machine import check_count, planned_memory
from gpurefine.resources.cache import default_resources
from gpurefine.stages.base import DedupStage, SpanStage, warn_of_settings

#: The columns that a deduplicated frame has more than it had.
NEW_COLUMNS = ("keep", "reason", "cluster", "survivor")

#: Columns that decide between members of one id, as in a run, if the frame has them with such a type.
TIE_COLUMNS: dict[str, Callable[[Any], bool]] = {
    "url": pd.api.types.is_string_dtype,
    "date": pd.api.types.is_datetime64_any_dtype,
    "file": pd.api.types.is_string_dtype,
    "offset": pd.api.types.is_integer_dtype,
}

Frame = TypeVar("Frame")


@dataclass(frozen=True)
class Task:
    """A dedup of a frame that was checked and not yet started.

    Attributes
    ----------
    stage, seed : the kind with its parameters, and the seed of the choice of survivors
    columns : which columns of the frame it reads
    pool_arguments : resources, and what the stage found there
    memory : bytes that all tasks together may plan with
    scratch : folder for key files, or None
    """

    stage: DedupStage
    seed: int
    columns: Columns
    pool_arguments: tuple[Any, ...]
    memory: int
    scratch: Path | None

    @property
    def reason(self) -> str:
        """What the rows say that leave."""
        return f"{self.stage.name}:duplicate"


def deduplicate(
    frame: Frame,
    kind: str,
    *,
    text: Hashable = "text",
    url: Hashable = "url",
    id: Hashable | None = None,
    seed: int = 0,
    memory: int | None = None,
    scratch: str | os.PathLike | None = None,
    offline: bool = False,
    **parameters: Any,
) -> Frame:
    """Find duplicates among the rows of a pandas, cuDF, Dask or Dask-cuDF frame; one row of each cluster stays.

    >>> frame = pd.DataFrame({"text": ["a page", "another", "a page"]})
    >>> marked = gpurefine.deduplicate(frame, "exact")
    >>> marked["keep"].tolist()
    [True, True, False]
    >>> refined = marked[marked["keep"]]

    The clusters and survivors are those of a run with the same seed over the same texts and ids, however the frame is
    partitioned and scheduled. The survivor has the least keyed hash of (seed, id), unless ``keep`` says otherwise:
    ``first`` goes by the columns ``file`` and ``offset``, if the frame has both, else by the position; ``newest`` by
    the column ``date``; ``longest`` and ``best:COLUMN`` as in a run. With ``scope`` only rows of equal value in that
    column are compared. Between rows with the same id
    these columns decide, if the frame has them as strings, timestamps or whole numbers: ``url``, ``date``, the text,
    ``file`` and ``offset`` (these two together); then the position. Key files go to ``scratch`` (8 bytes a row for
    each key column or band) and are deleted before the call returns, also when it fails.

    A pandas frame takes one core, a cuDF frame its device. A Dask frame runs on the scheduler that Dask is set to;
    with a ``distributed.Client`` all workers must see ``scratch``. It is computed twice: now for the keys, and again
    when the result is computed. Call ``frame.persist()`` first if it is expensive to make, or if its rows come in
    another order each time, as they do after a merge or shuffle: rows that differ from those of the first time raise a
    RunError.
    The result has the partitions, divisions and types of ``frame`` and holds the decisions in memory: row, cluster and
    whether it stays, for each member of a cluster.

    Parameters
    ----------
    frame : pandas, cuDF or Dask DataFrame, whose partitions are of pandas or cuDF. Its index is not looked at and may
        have duplicates
    kind : ``exact``, ``minhash``, ``url``, or ``module:Class`` of a dedup stage of yours; ``substring``, ``paragraph``,
        ``line`` and ``sentences`` look inside texts and give other columns
    text : name of the column of texts, strings; null counts as empty. Empty texts are equal for ``exact``, and not
        compared by ``minhash``. ``url`` needs none; if it is there, it decides between members of one id
    url : name of the column of URLs, strings, for the kind ``url``; one that is null or empty is like no other
    id : name of the column of ids, strings or whole numbers without nulls; None is ``id`` if there is such a column,
        else rows are named by their position in the whole frame (``"0"``, ``"1"``, ...)
    seed : of the choice of survivors, 0 .. 2**64 - 1
    memory : bytes that all tasks together may use for keys and tables, default 70 % of what is free
    scratch : folder for key files, default the system's for temporary files
    offline : use models of the cache only
    parameters : of the stage, such as ``bands=14, rows=8, shingle="word-5"``, and of every kind ``keep`` (``"random"``,
        ``"first"``, ``"longest"``, ``"newest"``, ``"best:COLUMN"``) and ``scope`` (a column)

    Returns
    -------
    A frame of the same kind with the same index, columns and partitions, and four columns more:

    keep : bool, whether the row stays
    reason : ``dedup.KIND:duplicate`` for a row that leaves, else null (``stage:rule`` of ``removed/``)
    cluster : id of the survivor, for all members of a cluster with the survivor; null outside clusters
    survivor : id of the survivor, for a row that leaves; null for a row that stays, be it a survivor

    The last three are Arrow strings (``large_string``). A kind that looks inside texts gives these:

    keep : bool, whether the row stays
    reason : ``dedup.KIND:RULE`` for a row that leaves, else null
    spans : what was found in the text, a list of ``first`` and ``last`` (the character behind), in code points
    edited : the text without its spans; of a row that leaves, or has none, the text as it was

    Raises
    ------
    ConfigError
        for an unknown kind or parameter, or a scratch folder that is not there
    InputError
        for what is no frame, or a column that is missing, taken, or does not hold what it should
    ResourceError
        if a model is missing and cannot be had
    RunError
        if key files cannot be written; for a Dask frame also if its rows changed, when the result is computed
    """
    schema = schema_of(frame)
    stage, seed = _stage(kind, seed, parameters)
    new_columns = SPAN_COLUMNS if isinstance(stage, SpanStage) else NEW_COLUMNS
    columns = _columns_of(stage, schema, text, _columns(schema, stage.key_source, text, url, id, new_columns))
    if isinstance(stage, SpanStage):
        columns = _span_columns(stage, schema, columns, url)
    check_count("memory", memory)
    if scratch is not None and not Path(scratch).is_dir():
        raise ConfigError(f"scratch={os.fspath(scratch)!r} is no folder: make it, or name one that is there")
    resources = default_resources(offline)
    task = Task(
        stage=stage,
        seed=seed,
        columns=columns,
        pool_arguments=(resources, {stage.name: stage.provide(resources)}),
        memory=planned_memory(memory),
        scratch=None if scratch is None else Path(scratch).absolute(),
    )
    warn_of_settings([stage])
    if in_memory(frame):
        return _deduplicate_in_memory(frame, task)
    from gpurefine.engine.frames_dask import deduplicate_dask

    return deduplicate_dask(frame, task)


def _deduplicate_in_memory(frame: Any, task: Task) -> Any:
    if isinstance(task.stage, SpanStage):
        return _edit_in_memory(frame, task, task.stage)
    with scratch_folder(task.scratch) as folder:

        def run(calls: list[Call]) -> list[Any]:
            return [call_in(folder, function, arguments) for function, arguments in calls]

        pool = ToolPool(*task.pool_arguments)
        emitted = run([(emit, (frame, task.columns, task.stage, 0, folder, pool))])
        alone = task_memory(task.memory, 1)
        on_device = is_device_frame(frame)
        (members,) = find(task.stage, task.seed, emitted, folder, run, alone, alone, on_device)
    return join_decisions(frame, members, task.reason)


def _edit_in_memory(frame: Any, task: Task, stage: SpanStage) -> Any:
    pool = ToolPool(*task.pool_arguments)
    with scratch_folder(task.scratch) as folder:

        def run(calls: list[Call]) -> list[Any]:
            return [call_in(folder, function, arguments) for function, arguments in calls]

        emitted = run([(emit_pieces, (frame, task.columns, stage, task.seed, 0, folder, pool))])
        (found,) = find_frame_spans(stage, emitted, folder, run, task_memory(task.memory, 1), 1)
    return edit_partition(frame, task.columns, stage, found, pool)


def _columns(
    schema: pd.DataFrame, source: str, text: Hashable, url: Hashable, id: Hashable | None, new_columns: Sequence[str]
) -> Columns:
    id = "id" if id is None and "id" in schema.columns else id
    key = url if source == "url" else text
    check_column(schema, key, source)
    if id is not None:
        check_column(schema, id, "id")
    check_new_columns(schema, new_columns)
    check_text_column(schema, key, source)
    if id is None:
        return Columns(key, source)
    has_text = source == "text" or text in schema.columns
    if has_text:
        check_text_column(schema, text, "text")
    # the URLs that are compared are those of the documents
    ties = tuple(name for name in _ties(schema) if name != source)
    return Columns(key, source, id, ties, text if has_text else None)


def _columns_of(stage: DedupStage, schema: pd.DataFrame, text: Hashable, columns: Columns) -> Columns:
    """With the columns that the stage's policy and scope look at."""
    named = check_frame(schema, stage)
    columns = replace(columns, scope=named.get("scope"))
    if "keep" in named:
        kind = METADATA_SCHEMA.field("date").type if stage.keep == "newest" else column_type(schema, named["keep"])
        columns = replace(columns, best=named["keep"], best_type=kind)
    if stage.keep == "longest" and columns.source != "text":
        check_text_column(schema, text, "text")
        columns = replace(columns, text=text)
    if stage.keep == "first" and columns.id is None:
        columns = replace(columns, ties=tuple(name for name in _ties(schema) if name in ("file", "offset")))
    return columns


def _span_columns(stage: SpanStage, schema: pd.DataFrame, columns: Columns, url: Hashable) -> Columns:
    """Columns for a kind that looks inside documents; those that decide which copy stays must be there."""
    if stage.keep == "url":
        check_text_column(schema, url, "url")
        return replace(columns, url=url)
    if stage.keep == "random" and columns.id is None:
        raise InputError(
            "keep='random' goes by ids, and the frame has no column 'id': name one with id=, or use keep='first'"
        )
    return columns


def _ties(schema: pd.DataFrame) -> tuple[str, ...]:
    dtypes = {name: schema[name].dtype for name in TIE_COLUMNS if list(schema.columns).count(name) == 1}
    # what a column of objects holds would depend on which of its rows are looked at
    ties = [
        name for name, dtype in dtypes.items() if TIE_COLUMNS[name](dtype) and not pd.api.types.is_object_dtype(dtype)
    ]
    # as in tables: one without the other says nothing of where a document came from
    placed = {"file", "offset"} <= set(ties)
    return tuple(name for name in ties if placed or name not in ("file", "offset"))


def _stage(kind: str, seed: int, parameters: dict[str, Any]) -> tuple[DedupStage, int]:
    """The stage and the seed, both checked."""
    full = dedup_kind(kind)
    entry = {"name": "deduplicate", "seed": seed, "stages": [{full: parameters}]}
    pipeline = pipeline_from_data(entry, origin=f"deduplicate({kind!r})")
    (stage,) = pipeline.stages
    assert isinstance(stage, DedupStage)
    if isinstance(stage, Url) and (stage.seen or stage.write_seen or not stage.within):
        raise ConfigError(
            "deduplicate('url'): seen, write_seen and within: false are of runs, which keep files: write the frame to "
            "Parquet and use gpurefine dedup url"
        )
    return stage, pipeline.seed
