"""What a worker keeps open for its tasks: models, word lists, the child process of the extraction."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from gpurefine.resources.models import gpt2_encoding
from gpurefine.stages.base import MapStage, Resources


class StageTools(WorkerPlugin):
    """Opens the tool of each stage once a worker, at first use, and closes all of them when the worker ends."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._tools: dict[str, Any] = {}
        self._encoding: Any = None

    def tool(self, stage: MapStage) -> Any:
        """What ``stage.open`` returned in this worker."""
        key = f"{type(stage).__module__}:{stage.model_dump_json()}"
        if key not in self._tools:
            self._tools[key] = stage.open(self.resources)
        return self._tools[key]

    def encoding(self) -> Any:
        """The GPT-2 tokeniser."""
        if self._encoding is None:
            self._encoding = gpt2_encoding(self.resources)
        return self._encoding

    def teardown(self, worker: Any = None) -> None:
        """Close every tool that can be closed."""
        for tool in self._tools.values():
            close = getattr(tool, "close", None)
            if close is not None:
                close()
        self._tools.clear()

    def __getstate__(self) -> dict[str, Any]:
        # a copy that travels to a worker starts with nothing open
        return {"resources": self.resources, "_tools": {}, "_encoding": None}
