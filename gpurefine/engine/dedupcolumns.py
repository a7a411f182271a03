"""Columns that ``keep`` and ``scope`` of a dedup name: whether documents, or a frame, have them with a type that fits.

Looked at before anything is written.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import pyarrow as pa

from gpurefine.config import Pipeline
from gpurefine.dedup.policies import BEST, comparable
from gpurefine.dedup.scopes import scopable
from gpurefine.documents import DOCUMENT_SCHEMA
from gpurefine.engine.frames_input import check_column
from gpurefine.errors import ConfigError, InputError
from gpurefine.frames import arrow_array
from gpurefine.stages.base import DedupStage

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = "numbers, timestamps or dates"
SCOPES = "strings, integers or truth values"


def check_documents(pipeline: Pipeline, others: pa.Schema) -> None:
    """See that documents have the columns that the dedups of a pipeline name.

    Parameters
    ----------
    pipeline : with its dedups
    others : columns that documents have beside those of ``DOCUMENT_SCHEMA``

    Raises
    ------
    ConfigError
        when there is no such column, or one of a type that cannot be compared
    """
    schema = pa.schema([*DOCUMENT_SCHEMA, *others])
    for stage in pipeline.stages:
        if not isinstance(stage, DedupStage):
            continue
        for parameter, name in _named(stage).items():
            place = f"{pipeline.name}: {stage.name}: {parameter}"
            if name not in schema.names:
                shown = ", ".join(schema.names[:20]) + (", ..." if len(schema.names) > 20 else "")
                raise ConfigError(
                    f"{place} names the column '{name}', which documents do not have: name one of {shown}"
                )
            problem = _problem(parameter, schema.field(name).type)
            if problem:
                raise ConfigError(f"{place} names the column '{name}', which holds {problem}: name another one")


def check_frame(schema: pd.DataFrame, stage: DedupStage) -> dict[str, Hashable]:
    """See that a frame has the columns that a dedup names.

    Parameters
    ----------
    schema : a pandas frame with its columns and types
    stage : the dedup

    Returns
    -------
    The columns by the parameters that name them, ``keep`` and ``scope``

    Raises
    ------
    InputError
        when there is no such column, or one of a type that cannot be compared
    """
    named = _named(stage)
    if stage.keep == "newest":
        named["keep"] = "date"
    for parameter, name in named.items():
        check_column(schema, name, parameter)
        kind = column_type(schema, name)
        if parameter == "scope" and pa.types.is_dictionary(kind):
            kind = kind.value_type
        objects = parameter == "scope" and schema[name].dtype == object
        problem = None if objects else _problem(parameter, kind)
        if stage.keep == "newest" and parameter == "keep" and not pa.types.is_timestamp(kind):
            problem = f"{kind}, expected timestamps"
        if problem:
            raise InputError(f"column {name!r} holds {problem}: name another one with {parameter}=")
    return dict(named)


def column_type(schema: pd.DataFrame, name: Hashable) -> pa.DataType:
    """Arrow's type for a column by its dtype; null for a column of objects, where rows may hold anything."""
    return arrow_array(schema[name].iloc[:0]).type


def _named(stage: DedupStage) -> dict[str, str]:
    """The columns that the parameters name; what ``newest`` looks at is always there in documents."""
    named = {"keep": stage.keep.removeprefix(BEST)} if stage.keep.startswith(BEST) else {}
    return named | ({} if stage.scope is None else {"scope": stage.scope})


def _problem(parameter: str, kind: pa.DataType) -> str | None:
    if parameter == "keep":
        return None if comparable(kind) else f"{kind}, expected {NUMBERS}"
    return None if scopable(kind) else f"{kind}, expected {SCOPES}"
