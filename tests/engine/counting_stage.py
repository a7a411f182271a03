"""A map stage before ``extract`` that notes every page, to count how often a page was handed to extraction."""

import os
from typing import ClassVar

from gpurefine.stages.base import MapStage, Outcome


class Counting(MapStage):
    """Appends the id and position of each document to the file named by COUNTING_FILE."""

    kind: ClassVar[str] = "counting"
    needs_text: ClassVar[bool] = False

    def apply(self, batch, tool):
        frame = batch.frame
        lines = [f"{file}:{offset}\n" for file, offset in zip(frame["file"], frame["offset"], strict=True)]
        descriptor = os.open(os.environ["COUNTING_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, "".join(lines).encode())
        os.close(descriptor)
        return Outcome(batch)
