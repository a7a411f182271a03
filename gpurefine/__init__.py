"""gpurefine turns web crawls (WARC) into a refined pre-training corpus (Parquet), and says why each page was removed.

import gpurefine

if __name__ == "__main__":
    run = gpurefine.run("refinedweb", "crawl/*.warc.gz", "out")
    print(run.waterfall())
    print(run.sample("quality:stop_words"))
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpurefine.config import load_pipeline
    from gpurefine.config import preset_names as presets
    from gpurefine.engine.frames_annotate import annotate
    from gpurefine.engine.frames_dedup import deduplicate
    from gpurefine.engine.results import Run, open_run
    from gpurefine.engine.run import run

__version__ = version("gpurefine")
__all__ = ["Run", "annotate", "deduplicate", "load_pipeline", "open_run", "presets", "run"]

#: Where the public names live. They are imported at first use, so that ``import gpurefine.kernels`` stays light.
_HOMES = {
    "run": ("gpurefine.engine.run", "run"),
    "open_run": ("gpurefine.engine.results", "open_run"),
    "Run": ("gpurefine.engine.results", "Run"),
    "annotate": ("gpurefine.engine.frames_annotate", "annotate"),
    "deduplicate": ("gpurefine.engine.frames_dedup", "deduplicate"),
    "load_pipeline": ("gpurefine.config", "load_pipeline"),
    "presets": ("gpurefine.config", "preset_names"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gpurefine' has no attribute '{name}'")
    from importlib import import_module

    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
