"""A run whose directory is in an object store: it is made in a local one, the *stage*, and put there when it is done.

The store's ``manifest.json`` says first that the run is under way, and where its stage is; it is replaced by that of
the finished run when all other files are there. So what stands there is never taken for whole before it is, and two
machines do not make one run.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from gpurefine.engine.differences import differences
from gpurefine.engine.objectfolder import ObjectFolder
from gpurefine.engine.progress import StepProgress, tell
from gpurefine.engine.store import FORMAT_VERSION, RESULT_FOLDERS, RunStore
from gpurefine.errors import OutputError, RunError

MANIFEST, SUMMARY = "manifest.json", "summary.json"
#: Key of a manifest in the store while the run is under way: host and directory of the stage.
STAGE = "stage"
#: Below the current directory, unless another is named.
STAGE_FOLDER = "gpurefine-stage"
#: Files that are put at a time; each may be held in memory.
PUTS = 4


@dataclass(frozen=True)
class Published:
    """Where a run's results go.

    Attributes
    ----------
    folder : in the object store
    stage : the local directory that it is made in
    """

    folder: ObjectFolder
    stage: Path


def open_published(url: str, stage: str | os.PathLike | None) -> Published:
    """The place of a run in an object store, with its stage.

    Parameters
    ----------
    url : of the run directory
    stage : the local directory; None for the one where the run was begun on this machine, else one below the current
        directory

    Raises
    ------
    OutputError
        if the store cannot be used
    """
    folder = ObjectFolder(url)
    if stage is None:
        begun = (read_manifest(folder) or {}).get(STAGE, {})
        own = Path(STAGE_FOLDER) / sha256(folder.url.encode()).hexdigest()[:16]
        stage = begun["path"] if begun.get("host") == socket.gethostname() else own
    return Published(folder, Path(stage).absolute())


def read_manifest(folder: ObjectFolder) -> dict[str, Any] | None:
    """The manifest in the store, None if there is none. Raises OutputError if it is damaged or of another format."""
    data = folder.read(MANIFEST)
    if data is None:
        return None
    try:
        manifest = json.loads(data)
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{folder.url}/{MANIFEST} is damaged ({error}): use --fresh to start over") from None
    if found != FORMAT_VERSION:
        raise OutputError(
            f"{folder.url} was written in format {found}, this version reads {FORMAT_VERSION}: use the version that "
            "wrote it, or --fresh to start over"
        )
    return manifest


def claim(published: Published, manifest: dict[str, Any], *, fresh: bool) -> bool:
    """See that the folder is this run's, and write there that it is under way.

    Parameters
    ----------
    published : the place
    manifest : of the run as it begins
    fresh : delete what an earlier run left there

    Returns
    -------
    Whether the run is there and complete, so that nothing is left to do

    Raises
    ------
    OutputError
        if the folder holds another run, or something else, or the run is made with another stage
    """
    folder = published.folder
    if fresh:
        _clear(folder)
    there = read_manifest(folder)
    here = {"host": socket.gethostname(), "path": str(published.stage)}
    if there is None:
        others = sorted(folder.sizes())
        if others:
            shown = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
            raise OutputError(f"{folder.url} is not empty and holds no run ({shown}): choose another -o")
        folder.write(MANIFEST, _encoded(manifest | {STAGE: here}))
        return False
    if there["fingerprint"] != manifest["fingerprint"]:
        changes = differences(there, manifest)
        raise OutputError(
            f"{folder.url} holds another run; changed: {', '.join(changes[:5])}{' ...' if len(changes) > 5 else ''}; "
            "use --fresh to start over, or another -o"
        )
    if there["state"] == "complete":
        return True
    if there.get(STAGE) != here:
        begun = there.get(STAGE, {})
        raise OutputError(
            f"{folder.url} is made in {begun.get('path')} on {begun.get('host')}: go on there with --stage "
            f"{begun.get('path')}, or use --fresh to start over here"
        )
    return False


def _clear(folder: ObjectFolder) -> None:
    """Delete a run from the store, its manifest last; nothing is touched where no run is."""
    names = set(folder.sizes())
    if MANIFEST in names:
        folder.delete(sorted(name for name in names if name.partition("/")[0] in (*RESULT_FOLDERS, SUMMARY)))
        folder.delete([MANIFEST])


def publish(published: Published, store: RunStore, *, quiet: bool) -> None:
    """Put the results of a finished run into the store, the manifest last. What is there in its size is not put again.

    The stage's files are final when this begins, so a file of the same name and size was put by an earlier try.

    Raises
    ------
    RunError
        if the store refuses, or a file did not arrive; the same command goes on
    """
    folder = published.folder
    try:
        there = folder.sizes()
        waiting = {name: path for name, path in _results(store) if there.get(name) != path.stat().st_size}
        known = {name for name, _ in _results(store)} | {MANIFEST}
        strange = sorted(name for name in there if name not in known)
        if strange:
            raise RunError(
                f"{folder.url} has files that are not of this run ({', '.join(strange[:3])}): delete them, or use "
                "--fresh to start over"
            )
        with (
            ThreadPoolExecutor(PUTS) as pool,
            StepProgress(f"put into {folder.url}", len(waiting), _size(waiting.values()), quiet=quiet) as progress,
        ):
            for size in pool.map(folder.put, waiting.values(), waiting):
                progress.advance(size=size)
        _check(folder, store)
        folder.write(MANIFEST, store.manifest_path.read_bytes())
    except OutputError as error:
        raise RunError(f"{error}; the results are in {store.root}") from error


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _results(store: RunStore) -> Iterator[tuple[str, Path]]:
    """Names and paths of all files of results but the manifest."""
    for folder in RESULT_FOLDERS:
        for path in sorted((store.root / folder).rglob("*")):
            if path.is_file():
                yield path.relative_to(store.root).as_posix(), path
    yield SUMMARY, store.summary_path


def _check(folder: ObjectFolder, store: RunStore) -> None:
    there = folder.sizes()
    lost = [name for name, path in _results(store) if there.get(name) != path.stat().st_size]
    if lost:
        raise OutputError(f"cannot use {folder.url}: {len(lost)} files did not arrive, such as {lost[0]}")


def leave_stage(published: Published, *, keep: bool, quiet: bool) -> None:
    """Delete the stage, whose results are in the store, unless it is to be kept."""
    if keep:
        tell(f"the run's local files stay in {published.stage}", quiet=quiet)
        return
    shutil.rmtree(published.stage, ignore_errors=True)
    parent = published.stage.parent
    if parent.name == STAGE_FOLDER and not any(parent.iterdir()):
        parent.rmdir()


def _encoded(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
