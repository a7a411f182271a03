"""What a worker keeps open for its tasks: models, word lists, the child process of the extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from distributed import WorkerPlugin

from gpurefine.errors import RunError
from gpurefine.resources.models import gpt2_tokenizer
from gpurefine.stages.base import DedupStage, MapStage, Resources
from gpurefine.text.gpt2 import Gpt2Tokenizer


class StageTools(WorkerPlugin):
    """Opens the tool of each stage once a worker, at first use, and closes all of them when the worker ends.

    Parameters
    ----------
    resources : where models and lists are
    provided : what the run's manifest says of them, by stage name; what a worker finds must be the same
    """

    def __init__(self, resources: Resources, provided: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.resources = resources
        self.provided = dict(provided or {})
        self._tools: dict[str, Any] = {}
        self._tokenizer: Gpt2Tokenizer | None = None

    def tool(self, stage: MapStage | DedupStage) -> Any:
        """What ``stage.open`` returned in this worker.

        Raises
        ------
        RunError
            if a model or list is no longer what it was when the run began
        """
        key = f"{type(stage).__module__}:{stage.model_dump_json()}"
        if key not in self._tools:
            self._check(stage)
            self._tools[key] = stage.open(self.resources)
        return self._tools[key]

    def _check(self, stage: MapStage | DedupStage) -> None:
        if stage.name not in self.provided:
            return
        found, recorded = stage.provide(replace(self.resources, offline=True)), self.provided[stage.name]
        changed = sorted(name for name in {*found, *recorded} if found.get(name) != recorded.get(name))
        if changed:
            raise RunError(
                f"stage '{stage.name}': {', '.join(changed)} changed since the run began; "
                "put back what it began with and give the same command, or use --fresh to start over"
            )

    def tokenizer(self) -> Gpt2Tokenizer:
        """GPT-2's, for token counts."""
        if self._tokenizer is None:
            self._tokenizer = gpt2_tokenizer(self.resources)
        return self._tokenizer

    def teardown(self, worker: Any = None) -> None:
        """Close every tool that can be closed."""
        for tool in self._tools.values():
            close = getattr(tool, "close", None)
            if close is not None:
                close()
        self._tools.clear()

    def __getstate__(self) -> dict[str, Any]:
        # a copy that travels to a worker starts with nothing open
        return {"resources": self.resources, "provided": self.provided, "_tools": {}, "_tokenizer": None}
