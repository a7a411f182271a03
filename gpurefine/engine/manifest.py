"""The manifest with which a run begins or goes on in its directory: all that decides, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpurefine.engine.differences import differences
from gpurefine.engine.inputfiles import input_records
from gpurefine.engine.store import FORMAT_VERSION, RunStore
from gpurefine.errors import OutputError

if TYPE_CHECKING:
    from gpurefine.engine.run import Prepared
    from gpurefine.workers import Backend


def new_manifest(prepared: Prepared, backend: Backend) -> dict[str, Any]:
    """The manifest of a run that has not begun."""
    return {
        "format": FORMAT_VERSION,
        "state": "running",
        "fingerprint": prepared.fingerprint,
        "pipeline": prepared.pipeline.as_data(),
        "provided": prepared.provided,
        "versions": prepared.versions,
        "inputs": input_records(prepared.inputs),
        "missing_inputs": list(prepared.missing_inputs),
        "split_size": prepared.split_size,
        # how the list of stages was cut, which a later try keeps to, whatever its workers
        "gpu": backend.gpu,
        "steps": [],
    }


def take_directory(store: RunStore, prepared: Prepared, backend: Backend, fresh: bool) -> dict[str, Any]:
    """The manifest to go on with. Raises OutputError when the directory holds something else."""
    if fresh or store.clearing_path.exists():
        store.clear()
    manifest = store.read_manifest()
    if manifest is None:
        others = store.foreign_files()
        if others:
            shown = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
            raise OutputError(f"{store.root} is not empty and holds no run ({shown}): choose another -o directory")
        return new_manifest(prepared, backend)
    if manifest["fingerprint"] != prepared.fingerprint:
        changes = differences(manifest, new_manifest(prepared, backend))
        raise OutputError(
            f"{store.root} holds another run; changed: {', '.join(changes[:5])}"
            f"{' ...' if len(changes) > 5 else ''}; use --fresh to start over, or another -o directory"
        )
    return manifest
