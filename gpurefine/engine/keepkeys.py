"""The end of a dedup whose keys are kept for later runs: ``keys/STAGE/`` of the run directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gpurefine.dedup.keptkeys import link_key_file, write_index, write_members
from gpurefine.engine.oldruns import run_names
from gpurefine.engine.phases import PARTITIONS_A_JOB, Phases


def keep_keys(phases: Phases, key_paths: Sequence[Path], removal_paths: Sequence[Path]) -> None:
    """Leave the keys of a dedup, and of each document its id and which one stayed for it.

    Key files get a second name, so they take room once. The index is written last.

    Parameters
    ----------
    phases : of the dedup
    key_paths : its key files, which nothing reads any more
    removal_paths : what it left
    """
    context, stage = phases.context, phases.dedup
    folder = context.store.kept_keys(stage.name)
    names = run_names(phases.old)
    fingerprints = {run: fingerprint for fingerprint, run in names.items()}
    members, jobs = [], []
    for first in range(0, phases.partitions, PARTITIONS_A_JOB):
        group = range(first, min(first + PARTITIONS_A_JOB, phases.partitions))
        sources = [(index, context.store.documents(phases.step.index, index, last=False)) for index in group]
        path = folder / f"members-{first:06d}.parquet"
        members.append(path.name)
        arguments = (sources, list(removal_paths), fingerprints, path)
        jobs.append(phases.job(f"keep {first}", path, write_members, arguments))
    phases.run("keep keys", jobs)
    kept = [f"part-{number:06d}.keys" for number in range(len(key_paths))]
    for source, name in zip(key_paths, kept, strict=True):
        link_key_file(source, folder / name)
    settings = stage.key_settings(context.provided.get(stage.name, {}))
    write_index(folder, settings, context.fingerprint, phases.partitions, kept, members, names)
