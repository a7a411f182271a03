"""The inputs of a run: what its manifest and fingerprint say of them, and copies of those that workers cannot see."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gpurefine.read.inputs import NAMED, InputFile
from gpurefine.read.opening import open_binary
from gpurefine.write import finish, temporary_path

#: Protocols of places that are this process's alone.
_OWN = ("memory://",)
_PIECE = 4 << 20


def input_records(files: Sequence[InputFile]) -> list[dict[str, Any]]:
    """What the manifest says of the inputs; options of their storage stand in its pipeline."""
    return [{name: value for name, value in asdict(file).items() if name != "storage"} for file in files]


def input_identities(files: Sequence[InputFile]) -> list[list[Any]]:
    """What the fingerprint covers of the inputs: name and size, and the version that a place tells."""
    return [[file.name, file.size, *([] if file.tag is None else [file.tag])] for file in files]


def told_missing(missing: Sequence[str]) -> str:
    """What is said of inputs that are left out since they are not there."""
    shown = ", ".join(missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
    return f"{len(missing):,} missing inputs are left out, as summary.json records: {shown}"


def seen_by_workers(files: Sequence[InputFile], folder: Path) -> tuple[InputFile, ...]:
    """The inputs, with copies in ``folder`` in place of those that only this process can read."""
    return tuple(
        _copied(file, folder / str(number)) if file.path.startswith(_OWN) else file for number, file in enumerate(files)
    )


def _copied(file: InputFile, path: Path) -> InputFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    source, _ = open_binary(file.place)
    with source, temporary.open("wb") as target:
        shutil.copyfileobj(source, target, _PIECE)
    finish(temporary, path)
    return replace(file, path=str(path), tag=None, storage={})
