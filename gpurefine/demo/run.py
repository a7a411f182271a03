"""``gpurefine demo``: write the demo crawl, refine it with its own small block list."""

from __future__ import annotations

from pathlib import Path

from gpurefine.demo.crawl import write_demo_crawl
from gpurefine.engine.results import Run
from gpurefine.engine.run import run


def run_demo(output: Path, *, workers: int | None = None, offline: bool = False, quiet: bool = False) -> Run:
    """Refine the demo crawl with the preset ``refinedweb``.

    Parameters
    ----------
    output : folder; the crawl goes to ``crawl/`` in it, the run to ``run/``
    workers, offline, quiet : as for ``gpurefine.run``
    """
    crawl, lists = write_demo_crawl(Path(output) / "crawl")
    overrides = [f"urls.blocklist={lists}", "urls.categories=[adult, phishing, gambling]"]
    return run(
        "refinedweb", crawl, Path(output) / "run", overrides=overrides, workers=workers, offline=offline, quiet=quiet
    )
