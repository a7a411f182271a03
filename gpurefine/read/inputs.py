"""Which files a run reads: globs expanded, each file named and checked before anything is written."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gpurefine.errors import InputError
from gpurefine.read.kinds import Kind, kind_of
from gpurefine.read.pages import dump_and_segment
from gpurefine.read.warc import WarcSplit


@dataclass(frozen=True)
class InputFile:
    """One input file.

    Attributes
    ----------
    path : absolute path
    name : path below the folder that all inputs share; what ``removed/`` and ``refined/`` call the file
    size : bytes
    dump, segment : Common Crawl's names in the path, or None
    kind : of ``kinds``
    """

    path: str
    name: str
    size: int
    dump: str | None
    segment: str | None
    kind: Kind = "warc"


def find_inputs(patterns: Sequence[str | os.PathLike]) -> list[InputFile]:
    """Expand paths and globs to files, in order of name, each once.

    Raises
    ------
    InputError
        when there is no pattern, one that matches nothing, a folder, or files that cannot be read; all are named
    """
    if not patterns:
        raise InputError("no input: name at least one file or a glob such as 'crawl/*.warc.gz'")
    paths: set[str] = set()
    missing = []
    for pattern in map(str, patterns):
        # a file whose name holds glob characters is taken as it is
        found = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
        if not found:
            missing.append(pattern)
        for path in found:
            if os.path.isdir(path):
                if path == pattern:
                    ending = "parquet" if glob.glob(f"{glob.escape(path)}/*.parquet") else "warc.gz"
                    raise InputError(f"{path} is a folder: name its files, for example '{path.rstrip('/')}/*.{ending}'")
                continue
            paths.add(os.path.abspath(path))
    if missing:
        raise InputError(f"no such input: {', '.join(missing)}")
    if not paths:
        raise InputError(f"no files match {', '.join(map(str, patterns))}")
    return _named(sorted(paths))


def _named(paths: list[str]) -> list[InputFile]:
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    result = []
    for path in paths:
        try:
            size = os.path.getsize(path)
        except OSError as error:
            raise InputError(f"cannot read the input {path}: {error.strerror}") from None
        dump, segment = dump_and_segment(path)
        name = str(PurePosixPath(os.path.relpath(path, common)))
        result.append(InputFile(path, name, size, dump, segment, kind_of(path)))
    return result


def check_inputs(inputs: Sequence[InputFile]) -> None:
    """Look at the beginning of each file but tables, so that one that is no WARC is refused before the run starts.

    Raises
    ------
    InputError
        naming the file
    """
    for file in inputs:
        if file.kind in ("warc", "wet"):
            next(iter(WarcSplit(file.path, 0, min(1, file.size), max_block=1 << 16)), None)
