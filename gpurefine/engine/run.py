"""The one door to a run: check everything, plan, take the directory, start workers, execute."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from distributed import Client

from gpurefine.config import Pipeline, fingerprint, load_pipeline, with_against
from gpurefine.dashboard import check_dashboard, dashboard_link
from gpurefine.dedup.oldkeys import OldKeys
from gpurefine.engine.context import RunContext
from gpurefine.engine.dedupcolumns import check_documents
from gpurefine.engine.execute import execute
from gpurefine.engine.inputfiles import input_identities, seen_by_workers, told_missing
from gpurefine.engine.manifest import new_manifest, take_directory
from gpurefine.engine.oldruns import check_output, checksums, find_old_keys
from gpurefine.engine.plan import check_fit, cut_steps, split_bytes, uses_gpu
from gpurefine.engine.progress import tell
from gpurefine.engine.publish import claim, leave_stage, open_published, publish
from gpurefine.engine.results import Run
from gpurefine.engine.store import RunStore
from gpurefine.engine.tools import StageTools
from gpurefine.errors import ConfigError
from gpurefine.machine import available_cores, check_count, planned_memory
from gpurefine.read.inputs import InputFile, look_for_inputs
from gpurefine.read.opening import is_url
from gpurefine.read.schemas import check_columns
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import provide_model
from gpurefine.stages.base import DedupStage, Resources, warn_of_settings
from gpurefine.versions import deciding_versions
from gpurefine.workers import Backend, decide_backend, fit_for_columns, open_client


@dataclass(frozen=True)
class Prepared:
    """A run that was checked and not yet started.

    Attributes
    ----------
    pipeline, inputs, resources : what, on what, with what
    others : columns that documents have beside ours, from tables
    provided : models and lists by stage name, as the stages name them
    versions : of all packages that can change a result
    fingerprint : of all that decides
    workers : local worker processes
    memory : bytes that the run may plan with
    split_size : bytes of input in a partition of the first step
    old_keys : of old runs, by the name of the dedup that compares them
    missing_inputs : what was named and is not there, with ``input.skip_missing``
    """

    pipeline: Pipeline
    inputs: tuple[InputFile, ...]
    others: pa.Schema
    resources: Resources
    provided: dict[str, dict[str, str]]
    versions: dict[str, str]
    fingerprint: str
    workers: int
    memory: int
    split_size: int
    old_keys: dict[str, tuple[OldKeys, ...]] = field(default_factory=dict)
    missing_inputs: tuple[str, ...] = ()


def run(
    config: str | os.PathLike | Pipeline,
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike,
    *,
    overrides: Sequence[str] = (),
    against: str | os.PathLike | Sequence[str | os.PathLike] = (),
    backend: str = "auto",
    workers: int | None = None,
    memory: int | None = None,
    scheduler: str | None = None,
    partition_bytes: int | None = None,
    stage: str | os.PathLike | None = None,
    offline: bool = False,
    fresh: bool = False,
    quiet: bool = False,
    dashboard: bool = False,
) -> Run:
    """Refine WARC files or tables into ``output``; the same call on the same directory goes on where a run was stopped.

    Parameters
    ----------
    config : a preset's name, a YAML file, or a Pipeline
    inputs : files, URLs, globs of either, or lists of files (``warc.paths.gz``): WARC, or what has texts already:
        Parquet, JSON lines, WET
    output : the run directory, or its URL in an object store (``s3://bucket/folder``)
    overrides : ``KEY=VALUE`` each, as ``--set`` takes them
    against : directories of finished runs with ``output.keep_keys``: copies of their documents are removed
    backend : ``auto`` uses GPUs if they can be used and says which way it went, ``gpu`` refuses to run without one
    workers : local CPU worker processes, default one a core that no GPU worker takes
    memory : bytes that all workers together may use for keys and tables, default 70 % of what is free
    scheduler : address or file of a Dask scheduler to use instead of local workers
    partition_bytes : bytes of input in a first partition, default by size and workers; never changes a result
    stage : for an ``output`` in an object store: the local directory that the run is made in
    offline : use models and lists of the cache only
    fresh : delete what an earlier run left in ``output`` and start over
    quiet : show no progress; a ``SettingWarning`` (a Python warning) about a parameter that is hardly meant is shown
    dashboard : serve Dask's dashboard to this machine, and tell its address (extra ``gpurefine[dashboard]``)

    Returns
    -------
    The finished run.

    Raises
    ------
    RefusedError
        before anything is written: wrong config, inputs, resources or directory
    RunError
        when it failed midway; the same call goes on
    """
    pipeline = config if isinstance(config, Pipeline) else load_pipeline(config, overrides)
    pipeline = with_against(pipeline, [against] if isinstance(against, str | os.PathLike) else against)
    check_output(pipeline, output)
    patterns = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    check_dashboard(dashboard, scheduler)
    decided = decide_backend(backend, uses_gpu(pipeline), scheduler)
    prepared = prepare(
        pipeline,
        patterns,
        workers=max(1, available_cores() - len(decided.devices)) if workers is None else workers,
        memory=memory,
        partition_bytes=partition_bytes,
        offline=offline,
    )
    decided = fit_for_columns(decided, prepared.others, backend)
    warn_of_settings(pipeline.stages)
    if prepared.missing_inputs:
        tell(told_missing(prepared.missing_inputs), quiet=quiet)
    begin = _Begin(prepared, decided, scheduler, fresh, quiet, dashboard)
    if not is_url(output):
        if stage is not None:
            raise ConfigError(f"stage {stage}: {output} is a local directory, which is made in place: leave it out")
        return Run(_run_in(RunStore(output), begin).root)
    published = open_published(str(output), stage)
    if not claim(published, new_manifest(prepared, decided), fresh=fresh):
        tell(f"the run is made in {published.stage}, then put into {published.folder.url}", quiet=quiet)
        publish(published, _run_in(RunStore(published.stage), begin), quiet=quiet)
        leave_stage(published, keep=pipeline.output.keep_work, quiet=quiet)
    return Run(published.folder.url)


@dataclass(frozen=True)
class _Begin:
    """What is to run, and how."""

    prepared: Prepared
    backend: Backend
    scheduler: str | None
    fresh: bool
    quiet: bool
    dashboard: bool


def _run_in(store: RunStore, begin: _Begin) -> RunStore:
    """Begin or go on with a run in a local directory, to its end."""
    prepared, decided, quiet = begin.prepared, begin.backend, begin.quiet
    store.prepare()
    with store.lock():
        manifest = take_directory(store, prepared, decided, begin.fresh)
        if manifest["state"] != "complete":
            store.clean_unfinished()
            manifest["backend"] = decided.note
            store.write_manifest(manifest)
            tell(decided.note, quiet=quiet)
            # another try, or a run into another directory, may be known to the same scheduler
            run_key = f"gpurefine-{prepared.fingerprint[:12]}-{secrets.token_hex(4)}"
            with open_client(
                prepared.workers, begin.scheduler, store.work / "dask", decided, begin.dashboard
            ) as client:
                link = dashboard_link(client, begin.dashboard, begin.scheduler)
                if link is not None:
                    tell(f"dashboard: {link}", quiet=quiet)
                client.register_plugin(StageTools(prepared.resources, prepared.provided), name=run_key)
                try:
                    execute(_context(store, prepared, manifest, client, run_key, decided, quiet), manifest)
                finally:
                    client.unregister_worker_plugin(run_key)
        if not prepared.pipeline.output.keep_work:
            store.clear_work()
    return store


def prepare(
    pipeline: Pipeline,
    patterns: Sequence[str | os.PathLike],
    *,
    workers: int | None = None,
    memory: int | None = None,
    partition_bytes: int | None = None,
    offline: bool = False,
) -> Prepared:
    """Check all that can be checked before anything is written. Parameters as in ``run``; raises RefusedError."""
    for name, value in (("workers", workers), ("memory", memory), ("partition_bytes", partition_bytes)):
        check_count(name, value)
    cut_steps(pipeline)
    found = look_for_inputs(patterns, pipeline.input)
    files = tuple(found.files)
    check_fit(pipeline, files)
    sources = {stage.key_source for stage in pipeline.stages if isinstance(stage, DedupStage)}
    others = check_columns(files, pipeline.input, sources)
    check_documents(pipeline, others)
    resources = default_resources(offline)
    provided = {stage.name: stage.provide(resources) for stage in pipeline.stages}
    if pipeline.output.tokens:
        provided["tokens"] = provide_model("gpt2-vocab.bpe", resources)
    old_keys = find_old_keys(pipeline, provided)
    provided |= checksums(old_keys)
    count = workers or available_cores()
    versions = deciding_versions()
    return Prepared(
        pipeline=pipeline,
        inputs=files,
        others=others,
        resources=resources,
        provided=provided,
        versions=versions,
        fingerprint=fingerprint(
            {
                "pipeline": pipeline.as_data(),
                "provided": provided,
                "versions": versions,
                "inputs": input_identities(files),
            }
        ),
        workers=count,
        memory=planned_memory(memory),
        split_size=partition_bytes or split_bytes(sum(file.size for file in files), count),
        old_keys=old_keys,
        missing_inputs=tuple(found.missing),
    )


def _context(
    store: RunStore,
    prepared: Prepared,
    manifest: dict[str, Any],
    client: Client,
    run_key: str,
    backend: Backend,
    quiet: bool,
) -> RunContext:
    return RunContext(
        store=store,
        pipeline=prepared.pipeline,
        inputs=seen_by_workers(prepared.inputs, store.work / "inputs"),
        others=prepared.others,
        fingerprint=prepared.fingerprint,
        client=client,
        run_key=run_key,
        gpu_workers=backend.gpu,
        on_device=backend.on_device,
        split_size=manifest["split_size"],
        memory=prepared.memory,
        quiet=quiet,
        provided=prepared.provided,
        old_keys=prepared.old_keys,
    )
