"""The pipeline of ``gpurefine dedup``: one dedup stage on tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpurefine.config import Pipeline, dedup_kind, find_stage, pipeline_from_data
from gpurefine.stages.base import SpanStage


def dedup_pipeline(kind: str, overrides: Sequence[str] = (), **parameters: Any) -> Pipeline:
    """A pipeline of one dedup stage; GPT-2 tokens are not counted, which would take longer than the dedup.

    Parameters
    ----------
    kind : ``minhash``, ``exact``, ``substring``, or ``module:Class`` of a dedup stage of yours
    overrides : ``KEY=VALUE`` each; ``bands=14`` is a parameter of the stage, ``seed=1``,
        ``annotate=true``, ``against=DIRECTORY`` and keys of the sections ``input`` and ``output`` are the pipeline's
    parameters : of the stage; they come before ``overrides``

    Raises
    ------
    ConfigError
        for an unknown kind or parameter
    """
    stage = dedup_kind(kind)
    name = stage.rsplit(":", 1)[-1]
    data = {
        "name": name.replace(".", "-"),
        "description": f"removes {_what(stage)} that {name} finds",
        "output": {"tokens": False},
        "stages": [{stage: parameters}],
    }
    return pipeline_from_data(data, [_of_stage(override, name) for override in overrides], f"dedup {kind}")


def _what(kind: str) -> str:
    if issubclass(find_stage(kind), SpanStage):
        return "copies of pieces of texts"
    return "all but one of each cluster of documents"


def _of_stage(override: str, stage: str) -> str:
    """The override with the stage's name before a key that is not the pipeline's."""
    key = override.partition("=")[0].strip()
    of_pipeline = key.partition(".")[0] in ("seed", "annotate", "against", "input", "output") or key.startswith(
        f"{stage}."
    )
    return override if of_pipeline or not key else f"{stage}.{override.strip()}"
