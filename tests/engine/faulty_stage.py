"""A map stage that goes wrong on one document in the way it is told, once or always."""

import os
import signal
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from gpurefine.stages.base import MapStage, Outcome


class Faulty(MapStage):
    """Meets its fault while the file ``until`` is not there; ``once`` makes the file just before."""

    kind: ClassVar[str] = "faulty"

    fault: Literal["none", "kill", "disk", "value"] = "none"
    url: str = Field("", description="the document on which it happens")
    until: str = Field("", description="path of a file")
    once: bool = False
    gpu: bool = Field(False, description="whether it belongs on GPU workers")

    @property
    def on_gpu(self):
        return self.gpu

    def apply(self, batch, tool):
        over = self.until and Path(self.until).exists()
        if self.fault != "none" and (batch.frame["url"] == self.url).any() and not over:
            if self.once:
                # this process and its children, such as the one that extracts
                children = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
                Path(self.until).write_text(" ".join([str(os.getpid()), *children]))
            self._fail()
        return Outcome(batch)

    def _fail(self):
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "disk":
            raise OSError(5, "Input/output error")
        raise ValueError("this page \udcff is too much")
