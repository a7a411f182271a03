"""``gpurefine.annotate``: the map stages of a pipeline on a frame, which mark rows and remove none.

Rows go through ``chain.run_chain`` as documents of a run in annotate mode do; what a run writes to ``stats/`` becomes
columns here.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from gpurefine.config import Pipeline, load_pipeline, pipeline_from_data
from gpurefine.documents import DOCUMENT_SCHEMA, TEXT, Batch
from gpurefine.engine.chain import NOT_THE_DOCUMENT, run_chain
from gpurefine.engine.frames_emit import ToolPool
from gpurefine.engine.frames_input import (
    check_device_texts,
    check_new_columns,
    check_text_column,
    in_memory,
    pieces,
    schema_of,
    text_array,
    texts_of,
)
from gpurefine.engine.tools import StageTools
from gpurefine.errors import ConfigError, InputError, RunError
from gpurefine.frames import assign, from_arrow, to_host_frame
from gpurefine.resources.cache import default_resources
from gpurefine.stages.base import MapStage, warn_of_settings

if TYPE_CHECKING:
    import dask.dataframe as dd

    from gpurefine.frames import Frame

#: The columns that an annotated frame has more than it had, before those of measured values.
NEW_COLUMNS = ("keep", "reason")

AnyFrame = TypeVar("AnyFrame")


@dataclass(frozen=True)
class Annotation:
    """An annotation that was checked and not yet started.

    Attributes
    ----------
    stages : in order
    text, url : names of the columns of texts and of URLs; no URLs are read without a name
    measured : names of measured values that become columns
    """

    stages: tuple[MapStage, ...]
    text: Hashable
    url: Hashable | None
    measured: tuple[str, ...]


def annotate(
    frame: AnyFrame,
    pipeline: str | Path | Pipeline | Sequence[Any],
    *,
    text: Hashable = "text",
    url: Hashable | None = None,
    measures: bool = True,
    offline: bool = False,
) -> AnyFrame:
    """Say of each row of a pandas, cuDF, Dask or Dask-cuDF frame whether a pipeline would keep it, and why not.

    >>> frame = pd.DataFrame({"text": ["buy now " * 40, ""]})
    >>> marked = gpurefine.annotate(frame, ["repetition", {"quality": {"min_words": 20}}])
    >>> marked["reason"].tolist()
    ['repetition:top_2', 'repetition:empty']
    >>> marked["quality:words"].tolist()
    [80.0, 0.0]

    All stages see all rows, as in a run with ``annotate: true``: ``reason`` is the first rule that a text breaks, and
    values of later stages are there too. A stage that edits text (``lines``) hands the edited text to the stages after
    it; the frame's own text stays as it is. A text that such a stage leaves empty goes no further.

    The result of a pandas or cuDF frame is there when the call returns, made on one core or one device. The result of
    a Dask frame is lazy and has its partitions and divisions. On a device a stage that has no kernels for one works on
    a copy of the rows on the CPU, and a text that the device has no memory for is measured there.

    Parameters
    ----------
    frame : pandas, cuDF or Dask DataFrame, whose partitions are of pandas or cuDF. Its index is not looked at
    pipeline : stages as a config lists them (``["repetition", {"quality": {"min_words": 20}}]``), or a pipeline: the
        path of a YAML file, a preset's name, or what ``load_pipeline`` returns. Only its stages count. They work on
        text: ``extract`` and dedups are refused
    text : name of the column of texts, strings; null counts as empty
    url : name of the column of URLs, strings; None is ``url`` if the stage ``urls`` is there, which needs one
    measures : whether measured values become columns
    offline : use models and lists of the cache only

    Returns
    -------
    A frame of the same kind with the same index, columns and partitions, and more columns:

    keep : bool, whether no rule removes the row
    reason : ``stage:rule`` of the first rule that would, else null; Arrow strings (``large_string``)
    stage:rule : with ``measures``, each value that a stage measured; Arrow float64, null where there is none

    Raises
    ------
    ConfigError
        for an unknown preset, stage or parameter, or a stage that does not work on texts alone
    InputError
        for what is no frame, or a column that is missing, taken, or does not hold what it should
    ResourceError
        if a model or list is missing and cannot be had
    RunError
        if a stage fails on all rows of a batch, or measures something else on some rows
    """
    schema = schema_of(frame)
    stages = _stages(pipeline)
    check_text_column(schema, text, "text")
    if url is None and any(stage.kind == "urls" for stage in stages):
        url = "url"
    if url is not None:
        check_text_column(schema, url, "url")
    resources = default_resources(offline)
    provided = {stage.name: stage.provide(resources) for stage in stages}
    pool = ToolPool(resources, provided)
    measured: tuple[str, ...] = ()
    if measures:
        with pool.tools() as tools:
            measured = _measured_names(stages, tools)
    check_new_columns(schema, (*NEW_COLUMNS, *measured))
    warn_of_settings(stages)
    task = Annotation(stages, text, url, measured)
    return _annotated(frame, task, pool) if in_memory(frame) else _annotated_dask(frame, task, (resources, provided))


def _stages(given: str | Path | Pipeline | Sequence[Any]) -> tuple[MapStage, ...]:
    """The stages of what ``annotate`` was given, which all are map stages that work on texts."""
    if isinstance(given, str | os.PathLike):
        pipeline = load_pipeline(given)
    elif isinstance(given, Pipeline):
        pipeline = given
    elif isinstance(given, list | tuple):
        pipeline = pipeline_from_data({"name": "annotate", "stages": list(given)}, origin="annotate")
    else:
        raise ConfigError(
            f"annotate: expected a list of stages, or a pipeline or the name of one, found {type(given).__name__}"
        )
    fit = [stage for stage in pipeline.stages if isinstance(stage, MapStage) and stage.kind != "extract"]
    for stage in pipeline.stages:
        if stage not in fit:
            what = "makes texts of HTML pages, and a frame has texts" if stage.kind == "extract" else "needs all rows"
            names = ", ".join(f"{each.kind!r}" for each in fit) or "'quality'"
            raise ConfigError(
                f"annotate: the stage '{stage.name}' {what}: give the others as a list, such as [{names}], and find "
                "duplicates with gpurefine.deduplicate"
            )
    return tuple(fit)


def _measured_names(stages: Sequence[MapStage], tools: StageTools) -> tuple[str, ...]:
    """What the stages measure, found by applying them to a text, so that a Dask frame's columns are known at once."""
    first = {"text": "A page.", "url": "http://example.org/", "offset": 0}
    batch = Batch(from_arrow(pa.Table.from_pylist([first], DOCUMENT_SCHEMA)))
    names: list[str] = []
    for stage in stages:
        try:
            outcome = stage.apply(batch, tools.tool(stage))
        except NOT_THE_DOCUMENT:
            raise
        except Exception:
            continue  # as the document's fault: its rows will tell
        names += [f"{stage.name}:{rule}" for rule in outcome.measured]
        batch = outcome.batch
    return tuple(names)


def _annotated(frame: Frame, task: Annotation, pool: ToolPool) -> Frame:
    """A frame in memory with its new columns."""
    reasons: list[pa.Array] = []
    values = {name: np.full(len(frame), np.nan) for name in task.measured}
    row = 0
    with pool.tools() as tools:
        for part in pieces(frame, task.text):
            batch = _batch(part, task)
            result = run_chain(task.stages, tools, batch, annotate=True, stats=True, removed_text=False)
            stats = pa.concat_tables(result.stats)
            place = row + stats["offset"].to_numpy()
            reasons.append(stats["removed_by"].take(np.argsort(place)))
            if task.measured:
                _spread(stats["measured"], place, values)
            row += len(part)
    reason = pa.chunked_array([chunk for column in reasons for chunk in column.chunks], TEXT)
    return assign(frame, _columns(reason, values))


def _columns(reason: pa.ChunkedArray, values: dict[str, np.ndarray]) -> dict[str, Any]:
    measured = {name: pa.array(column, pa.float64(), from_pandas=True) for name, column in values.items()}
    return {"keep": reason.is_null().to_numpy(), "reason": reason, **measured}


def _batch(part: Frame, task: Annotation) -> Batch:
    """Rows as documents, numbered by ``offset``; on a device if they lie there and a stage can use that."""
    texts = texts_of(part, task.text, "text")
    check_device_texts(texts, task.text, "text")
    if not any(stage.on_gpu for stage in task.stages):
        texts = to_host_frame(texts)
    columns: dict[str, pa.Array] = {"offset": pa.array(np.arange(len(part)))}
    if task.url is not None:
        columns["url"] = text_array(part[task.url], task.url, "url")
    for field in DOCUMENT_SCHEMA:
        if field.name not in ("text", *columns):
            columns[field.name] = pa.nulls(len(part), field.type)
    return Batch(assign(texts, columns))


def _spread(measured: pa.ChunkedArray, place: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """Write each value of the maps in ``measured`` to its name's column, at its row's place."""
    row = 0
    for chunk in measured.chunks:
        rows = np.repeat(place[row : row + len(chunk)], np.diff(chunk.offsets))
        row += len(chunk)
        begin, end = chunk.offsets[0].as_py(), chunk.offsets[-1].as_py()
        names = chunk.keys[begin:end].dictionary_encode()
        numbers, items = np.asarray(names.indices), np.asarray(chunk.items[begin:end])
        for number, name in enumerate(names.dictionary.to_pylist()):
            if name not in values:
                raise RunError(
                    f"{name} was measured on some rows and not on a first text: a stage measures always alike"
                )
            of_name = numbers == number
            values[name][rows[of_name]] = items[of_name]


def _annotated_dask(frame: dd.DataFrame, task: Annotation, pool_arguments: tuple[Any, ...]) -> dd.DataFrame:
    import dask.dataframe as dd
    from dask.delayed import delayed

    if not isinstance(frame, dd.DataFrame):
        raise InputError(f"expected a pandas, cuDF or Dask DataFrame, found a {type(frame).__name__}")
    # one pool for all tasks of a process; a copy of it for each other process
    pool = delayed(ToolPool, pure=False)(*pool_arguments)
    parts = [delayed(_annotated, pure=False)(part, task, pool) for part in frame.to_delayed(optimize_graph=False)]
    empty = {name: np.zeros(0) for name in task.measured}
    meta = assign(frame._meta, _columns(pa.chunked_array([], TEXT), empty))
    return dd.from_delayed(parts, meta=meta, divisions=frame.divisions, verify_meta=False)
