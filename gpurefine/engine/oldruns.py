"""Old runs that a run is compared with: found and checked before anything is written. Old runs are only read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpurefine.config import Pipeline
from gpurefine.dedup.oldkeys import FOLDER, INDEX, OldKeys, read_old_keys
from gpurefine.engine.store import RunStore
from gpurefine.errors import ConfigError, DamagedFileError, GpurefineError, InputError
from gpurefine.stages.base import DedupStage, SpanStage


def compared_stages(pipeline: Pipeline) -> list[DedupStage]:
    """The dedups of a pipeline that compare whole documents, so that their keys can be kept."""
    dedups = [stage for stage in pipeline.stages if isinstance(stage, DedupStage)]
    return [stage for stage in dedups if stage.compares and not isinstance(stage, SpanStage)]


def find_old_keys(pipeline: Pipeline, provided: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[OldKeys, ...]]:
    """The keys of the old runs in ``against``, by the name of the dedup that compares them.

    Parameters
    ----------
    pipeline : what is to run
    provided : what its stages found, by name

    Raises
    ------
    ConfigError
        if the pipeline has no dedup that could compare them, or one that cannot
    InputError
        if an old run is none, is not finished, has not kept these keys or has others, or a file of it is damaged
    """
    if not pipeline.against:
        return {}
    stages = compared_stages(pipeline)
    if not stages:
        raise ConfigError(
            f"{pipeline.name}: against names old runs, but no stage compares whole documents: add dedup.exact, "
            "dedup.minhash or dedup.url, or leave 'against' out"
        )
    verified = next((stage for stage in stages if stage.thresholds is not None), None)
    if verified is not None:
        raise ConfigError(
            f"{pipeline.name}: {verified.name} verifies similarities, for which old runs keep no texts: set "
            f"{verified.name}.verify=none, or leave 'against' out"
        )
    for run in pipeline.against:
        _check_run(run)
    found = {
        stage.name: tuple(_keys_of(run, stage, provided.get(stage.name, {})) for run in pipeline.against)
        for stage in stages
    }
    for olds in found.values():
        _check_different(olds)
    return found


def checksums(found: Mapping[str, Iterable[OldKeys]]) -> dict[str, dict[str, str]]:
    """Checksums of old keys for the manifest: by ``against:RUN`` and the name of the dedup."""
    told: dict[str, dict[str, str]] = {}
    for stage, olds in found.items():
        for old in olds:
            told.setdefault(f"against:{old.run}", {})[stage] = old.checksum
    return told


def placed(olds: Sequence[OldKeys], partitions: int) -> list[OldKeys]:
    """Old keys with numbers for their documents behind those of the run's own ``partitions``."""
    found = []
    for old in olds:
        found.append(replace(old, first=partitions))
        partitions += old.partitions
    return found


def run_names(olds: Iterable[OldKeys]) -> dict[str, str]:
    """Directories of old runs, and of those that they were compared with, by fingerprint; no two are the same.

    An earlier run in whose directory there is another one by now has the beginning of its fingerprint behind it.
    """
    olds = list(olds)
    names = {old.fingerprint: old.run for old in olds}
    for fingerprint, run in sorted({item for old in olds for item in old.runs.items()}):
        if fingerprint not in names:
            names[fingerprint] = f"{run} ({fingerprint[:12]})" if run in names.values() else run
    return names


def check_output(pipeline: Pipeline, output: str | os.PathLike) -> None:
    """Raise ConfigError if a run is to be compared with what lies in its own directory."""
    own = os.path.realpath(output)
    for run in pipeline.against:
        if os.path.realpath(run) == own:
            raise ConfigError(f"{run} is the output directory and stands in 'against': choose another -o directory")


def _check_run(run: str) -> None:
    try:
        manifest = RunStore(run).read_manifest()
    except GpurefineError as error:
        problem = str(error).partition("; use")[0].partition(": use")[0]
        raise InputError(f"against: {problem}: name a finished run of this version") from None
    if manifest is None:
        raise InputError(f"against: there is no run in {run}: name the directory of a finished run")
    if manifest["state"] != "complete":
        raise InputError(f"against: the run in {run} is not finished: give its command again, then this one")


def _keys_of(run: str, stage: DedupStage, provided: Mapping[str, Any]) -> OldKeys:
    try:
        found = read_old_keys(run, stage.name)
    except FileNotFoundError:
        others = ", ".join(sorted(path.parent.name for path in (Path(run) / FOLDER).glob(f"*/{INDEX}")))
        raise InputError(
            f"against: {run} has kept no keys of {stage.name}{f', only of {others}' if others else ''}: run "
            "it again with --fresh --set output.keep_keys=true, or give the stage the name it has there ('as')"
        ) from None
    except DamagedFileError as error:
        raise InputError(damaged(error)) from None
    except (GpurefineError, OSError) as error:
        raise InputError(f"against: cannot read the keys of {run}: {error}") from None
    here, there = stage.key_settings(provided), found.settings
    different = [name for name in dict.fromkeys([*here, *there]) if here.get(name) != there.get(name)]
    if different:
        told = ", ".join(f"{name} {there.get(name)} there, {here.get(name)} here" for name in different[:3])
        raise InputError(
            f"against: {run} has keys of {stage.name} that cannot be compared ({told}): use the settings of the old "
            "run, or run one of both again with --fresh"
        )
    return found


def _check_different(olds: Sequence[OldKeys]) -> None:
    by_fingerprint: dict[str, OldKeys] = {}
    for old in olds:
        other = by_fingerprint.setdefault(old.fingerprint, old)
        if other is not old:
            raise InputError(f"against: {other.run} and {old.run} are the same run: name one of them")


def damaged(error: DamagedFileError) -> str:
    """The sentence for a damaged file of an old run."""
    return (
        f"{error.path} is damaged ({error.what}) and belongs to an old run, which is only read: restore the file, or "
        "run the old run again with --fresh, or leave it out of 'against'"
    )
