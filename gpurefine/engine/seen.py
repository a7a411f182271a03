"""The end of a run that is to leave the URLs of its kept documents: ``seen_urls/``, for later runs."""

from __future__ import annotations

from gpurefine.dedup.url import Url
from gpurefine.dedup.urllist import list_path, write_url_list
from gpurefine.engine.context import RunContext
from gpurefine.engine.jobs import Job, run_jobs
from gpurefine.engine.plan import task_memory
from gpurefine.engine.progress import StepProgress


def write_seen_lists(context: RunContext) -> None:
    """Write the lists that the pipeline asks for and that an earlier try has not left; ``refined/`` is whole by now."""
    wanted = {stage.normalise for stage in context.pipeline.stages if isinstance(stage, Url) and stage.write_seen}
    paths = {list_path(context.store.root, normalise): normalise for normalise in wanted}
    refined = sorted((context.store.root / "refined").glob("part-*.parquet"))
    # it runs alone
    budget = task_memory(context.memory, 1)
    jobs = [
        Job(f"write {path.name}", write_url_list, (refined, normalise, path, budget))
        for path, normalise in sorted(paths.items())
        if not path.exists()
    ]
    if not jobs:
        return
    with StepProgress("write seen_urls", len(jobs), quiet=context.quiet) as progress:
        for _ in run_jobs(context.client, context.run_key, jobs):
            progress.advance()
