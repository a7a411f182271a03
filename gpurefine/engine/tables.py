"""The pipeline of ``gpurefine dedup``: one dedup stage on tables of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpurefine.config import Pipeline, find_stage, known_kinds, pipeline_from_data
from gpurefine.errors import ConfigError

PREFIX = "dedup."


def dedup_pipeline(kind: str, overrides: Sequence[str] = (), **parameters: Any) -> Pipeline:
    """A pipeline of one dedup stage; GPT-2 tokens are not counted, which would take longer than the dedup.

    Parameters
    ----------
    kind : ``minhash`` or ``exact``
    overrides : ``KEY=VALUE`` each; ``bands=14`` is a parameter of the stage, ``seed=1``, ``annotate=true`` and keys of
        the sections ``input`` and ``output`` are the pipeline's
    parameters : of the stage; they come before ``overrides``

    Raises
    ------
    ConfigError
        for an unknown kind or parameter
    """
    stage = f"{PREFIX}{kind}"
    try:
        find_stage(stage)
    except ConfigError:
        known = [name.removeprefix(PREFIX) for name in known_kinds() if name.startswith(PREFIX)]
        raise ConfigError(f"no kind of dedup is called '{kind}': known are {', '.join(known)}") from None
    data = {
        "name": f"dedup-{kind}",
        "description": f"removes all but one of each cluster of documents that {stage} finds",
        "output": {"tokens": False},
        "stages": [{stage: parameters}],
    }
    return pipeline_from_data(data, [_of_stage(override, stage) for override in overrides], f"dedup {kind}")


def _of_stage(override: str, stage: str) -> str:
    """The override with the stage's name before a key that is not the pipeline's."""
    key = override.partition("=")[0].strip()
    of_pipeline = key.partition(".")[0] in ("seed", "annotate", "input", "output") or key.startswith(f"{stage}.")
    return override if of_pipeline or not key else f"{stage}.{override.strip()}"
