"""What a worker opens is what the manifest names."""

import pickle
from pathlib import Path
from typing import ClassVar

import pytest

from gpurefine.engine.tools import StageTools
from gpurefine.errors import RunError
from gpurefine.resources.cache import Resources, sha256_of
from gpurefine.stages.base import MapStage


class Reader(MapStage):
    """Needs a file of the user's."""

    kind: ClassVar[str] = "reader"
    path: str

    def provide(self, resources):
        return {"words_sha256": sha256_of(Path(self.path))}

    def open(self, resources):
        return Path(self.path).read_text()


def test_a_file_that_changed_since_the_run_began_is_refused(tmp_path):
    path = tmp_path / "words"
    path.write_text("one")
    stage = Reader(path=str(path))
    resources = Resources(tmp_path)
    tools = StageTools(resources, {"reader": stage.provide(resources)})
    first, second = pickle.loads(pickle.dumps(tools)), pickle.loads(pickle.dumps(tools))
    assert first.tool(stage) == "one"
    path.write_text("two")
    assert first.tool(stage) == "one"
    with pytest.raises(RunError, match="stage 'reader': words_sha256 changed since the run began"):
        second.tool(stage)
    path.write_text("one")
    assert second.tool(stage) == "one"
