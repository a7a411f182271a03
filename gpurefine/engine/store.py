"""The run directory: what lies where, the lock, and the manifest. All paths of a run are made here.

refined/ removed/ stats/ clusters/ spans/ the results, Parquet
scores/                                  similarities of documents that a verified dedup compared
seen_urls/ keys/                         lists of the URLs of kept documents, and keys of dedups, for later runs
summary.json  manifest.json              counts; all that decides, the plan of each step and its state
work/                                    intermediate documents, key files, edges; emptied when complete
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpurefine.dedup.oldkeys import FOLDER as KEYS_FOLDER
from gpurefine.dedup.oldkeys import keys_folder
from gpurefine.dedup.urllist import FOLDER as LIST_FOLDER
from gpurefine.errors import OutputError
from gpurefine.write import remove_unfinished, write_json

FORMAT_VERSION = 1
RESULT_FOLDERS = ("refined", "removed", "stats", "clusters", "spans", "scores", LIST_FOLDER, KEYS_FOLDER)

#: Name of the file, up to the process number, that a starting run makes to see whether it may; another may see it.
PROBE_MARK = ".writable-"


class RunStore:
    """Paths of a run directory and its manifest."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root).absolute()
        self.manifest_path = self.root / "manifest.json"
        self.clearing_path = self.root / ".clearing"
        self.summary_path = self.root / "summary.json"
        self.work = self.root / "work"

    def documents(self, step: int, partition: int, last: bool) -> Path:
        """Kept documents of a partition: in ``refined/`` when the step is the last, else in ``work/``."""
        folder = self.root / "refined" if last else self.work / f"documents-{step}"
        return folder / f"part-{partition:06d}.parquet"

    def removed(self, step: int, partition: int) -> Path:
        """Removals of a partition."""
        return self.root / "removed" / f"part-{step}-{partition:06d}.parquet"

    def stats(self, step: int, partition: int) -> Path:
        """Measured values of a partition."""
        return self.root / "stats" / f"part-{step}-{partition:06d}.parquet"

    def spans(self, step: int, partition: int) -> Path:
        """Spans of texts that the dedup before this step took away or told, in a partition."""
        return self.root / "spans" / f"part-{step}-{partition:06d}.parquet"

    def keys(self, step: int, partition: int) -> Path:
        """The key file that a partition of this step emits for the dedup after it."""
        return self.work / f"keys-{step}" / f"part-{partition:06d}.keys"

    def pieces(self, step: int, partition: int) -> Path:
        """Beside a key file of pieces: how many pieces each document has."""
        return self.work / f"keys-{step}" / f"part-{partition:06d}.pieces"

    def units(self, step: int, partition: int) -> Path:
        """Beside a key file: what the texts of a partition are compared by, where similarities are verified."""
        return self.work / f"keys-{step}" / f"part-{partition:06d}.units"

    def scores(self, step: int, name: str = "") -> Path:
        """A file of the scores of the dedup after this step, or their folder."""
        return self.root / "scores" / f"step-{step}" / name

    def dedup(self, step: int, name: str) -> Path:
        """A file or folder of the dedup after this step."""
        return self.work / f"dedup-{step}" / name

    def clusters(self, step: int, part: int) -> Path:
        """Clusters that the dedup after this step found."""
        return self.root / "clusters" / f"part-{step}-{part:06d}.parquet"

    def kept_keys(self, stage: str) -> Path:
        """The folder of keys that the dedup of this name leaves for later runs."""
        return keys_folder(self.root, stage)

    def read_manifest(self) -> dict[str, Any] | None:
        """The manifest, or None if there is none.

        Raises
        ------
        OutputError
            if it cannot be read or is of another format
        """
        try:
            manifest = json.loads(self.manifest_path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot read {self.manifest_path}: {error}; use --fresh to start over") from None
        if manifest.get("format") != FORMAT_VERSION:
            raise OutputError(
                f"{self.root} was written in format {manifest.get('format')}, this version reads {FORMAT_VERSION}: "
                "use the version that wrote it, or --fresh to start over"
            )
        return manifest

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest as a whole."""
        write_json(self.manifest_path, manifest)

    def prepare(self) -> None:
        """Make the directory and see that it can be written. Raises OutputError with one sentence."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f"{PROBE_MARK}{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()
        except OSError as error:
            raise OutputError(f"cannot write to {self.root}: {error.strerror}; choose another -o directory") from None

    def foreign_files(self) -> list[str]:
        """Names in a directory that holds no run of ours and should therefore be empty."""
        names = (entry.name for entry in self.root.iterdir())
        return sorted(name for name in names if name != ".lock" and not name.startswith(PROBE_MARK))

    def clear(self) -> None:
        """Delete all that a run wrote here; nothing is touched where no run was.

        The manifest is renamed first and deleted last, so that a directory whose clearing was stopped is never taken
        for a run, and is cleared on by the next command.

        Raises
        ------
        OutputError
            if something cannot be deleted: what is left would be taken for the new run's
        """
        try:
            if self.manifest_path.exists():
                os.replace(self.manifest_path, self.clearing_path)
            if not self.clearing_path.exists():
                return
            self.summary_path.unlink(missing_ok=True)
            for folder in (*RESULT_FOLDERS, self.work.name):
                if (self.root / folder).exists():
                    shutil.rmtree(self.root / folder)
            self.clearing_path.unlink()
        except OSError as error:
            place = error.filename or self.root
            raise OutputError(
                f"cannot delete {place}: {error.strerror or error}; delete it, or choose another -o directory"
            ) from None

    def clear_work(self) -> None:
        """Delete the intermediate files; the results stay."""
        shutil.rmtree(self.work, ignore_errors=True)

    def clean_unfinished(self) -> None:
        """Delete what killed processes of an earlier try left half-written."""
        remove_unfinished(self.root)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run directory; the lock of a process that died is free.

        Raises
        ------
        OutputError
            if another process holds it, naming host and process
        """
        path = self.root / ".lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                # the kernel frees it when its process dies, however it dies
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
                raise OutputError(
                    f"{self.root} is in use by {holder}: wait for it, stop it, or choose another -o directory"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
