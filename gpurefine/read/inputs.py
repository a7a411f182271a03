"""Which files a run reads: globs and lists expanded, each file looked at and named before anything is written.

Files may be of this machine or behind URLs, also in one run. Whatever is missing is told all at once.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gpurefine.errors import InputError
from gpurefine.read.faults import call_again
from gpurefine.read.kinds import Kind, kind_of
from gpurefine.read.opening import CONNECTIONS, Place, file_system, is_url, local_path, look_at, tag_of
from gpurefine.read.options import InputOptions
from gpurefine.read.pages import dump_and_segment
from gpurefine.read.pathlists import is_list, read_list

#: Files that are looked at at a time: most of it is waiting.
LOOKS = CONNECTIONS
#: Missing files that are named.
NAMED = 20

One, Other = TypeVar("One"), TypeVar("Other")


@dataclass(frozen=True)
class InputFile:
    """One input file.

    Attributes
    ----------
    path : absolute path, or URL
    name : path below the folder that all inputs share; what ``removed/`` and ``refined/`` call the file
    size : bytes
    dump, segment : Common Crawl's names in the path, or None
    kind : of ``kinds``
    tag : what the place of a URL calls this version of the file, None where it says nothing
    storage : options of the URL's file system
    """

    path: str
    name: str
    size: int
    dump: str | None
    segment: str | None
    kind: Kind = "warc"
    tag: str | None = None
    storage: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """What opens it, and sees that it is still the same."""
        return Place(self.path, self.storage, self.size, self.tag)


@dataclass(frozen=True)
class FoundInputs:
    """What there is of the inputs that were named.

    Attributes
    ----------
    files : in order of name, each once
    missing : paths, URLs and globs of which there is nothing, in order
    """

    files: list[InputFile]
    missing: list[str]


def find_inputs(patterns: Sequence[str | os.PathLike], options: InputOptions | None = None) -> list[InputFile]:
    """The files of ``look_for_inputs``."""
    return look_for_inputs(patterns, options).files


def look_for_inputs(patterns: Sequence[str | os.PathLike], options: InputOptions | None = None) -> FoundInputs:
    """Expand paths, URLs, globs and lists to files, in order of name, each once.

    Parameters
    ----------
    patterns : paths, URLs and globs of either; a file called ``*.paths`` or ``*.paths.gz`` is a list of files
    options : ``prefix``, ``skip_missing`` and ``storage`` count

    Raises
    ------
    InputError
        when there is no pattern, one that matches nothing, a folder, or files that cannot be read; all are named
    """
    if not patterns:
        raise InputError("no input: name at least one file or a glob such as 'crawl/*.warc.gz'")
    options = options or InputOptions()
    found: dict[str, Place | None] = {}
    for pattern in map(str, patterns):
        places = _expand(pattern, options)
        if not places:
            found[pattern] = None
        for place in places:
            if is_list(place.path):
                listed = read_list(place.path, options.prefix, place.storage)
                found |= {each.path: each for each in (_place(path, options) for path in listed)}
            else:
                found[place.path] = place
    looked = dict(zip(found, _all_at_once(_look, found.values()), strict=True))
    missing = sorted(name for name, place in looked.items() if place is None)
    if missing and not options.skip_missing:
        raise InputError(_all_missing(missing))
    places = sorted((place for place in looked.values() if place is not None), key=lambda place: place.path)
    if not places:
        raise InputError(f"no files match {', '.join(map(str, patterns))}")
    return FoundInputs(_named(places), missing)


def _all_at_once(function: Callable[[One], Other], items: Iterable[One]) -> list[Other]:
    """``function`` of each item, in order; the first error ends it."""
    with ThreadPoolExecutor(LOOKS) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _place(path: str, options: InputOptions) -> Place:
    return Place(path, options.storage_of(path)) if is_url(path) else Place(os.path.abspath(local_path(path)))


def _expand(pattern: str, options: InputOptions) -> list[Place]:
    """What a path, URL or glob names, folders that a glob matches left out. Nothing if nothing is there."""
    if is_url(pattern):
        # where a question mark begins a query, it is no joker
        jokers = "*[" if pattern.startswith("http") else "*?["
        place = _place(pattern, options)
        return _globbed(place) if any(joker in pattern for joker in jokers) else [place]
    path = local_path(pattern)
    if os.path.isdir(path):
        ending = "parquet" if glob.glob(f"{glob.escape(path)}/*.parquet") else "warc.gz"
        raise InputError(f"{path} is a folder: name its files, for example '{path.rstrip('/')}/*.{ending}'")
    # a file whose name holds glob characters is taken as it is
    if os.path.exists(path) or not glob.has_magic(path):
        return [_place(path, options)]
    return [_place(each, options) for each in glob.glob(path, recursive=True) if not os.path.isdir(each)]


def _globbed(place: Place) -> list[Place]:
    """The files that a glob finds behind a URL, with what the place says of them."""
    system, name = file_system(place.path, place.storage)

    def once() -> dict[str, dict[str, Any]]:
        system.invalidate_cache()
        return system.glob(name, detail=True)

    try:
        found = call_again(once, place.path, looking=True)
    except FileNotFoundError:
        return []
    return [
        Place(system.unstrip_protocol(path), place.storage, info.get("size"), tag_of(info))
        for path, info in found.items()
        if info.get("type") != "directory"
    ]


def _look(place: Place | None) -> Place | None:
    """The place with size and tag of what is there; None if nothing is. Raises InputError for a folder."""
    if place is None:
        return None
    if not is_url(place.path):
        return _look_here(place)
    if place.size is not None and place.tag is not None:
        return place
    try:
        info = look_at(place.path, place.storage)
    except FileNotFoundError:
        return None
    if info.get("type") == "directory":
        raise InputError(f"{place} is a folder: name its files, for example '{place.path.rstrip('/')}/*.warc.gz'")
    if info.get("size") is None:
        raise InputError(f"cannot read {place}: its server does not tell its size; fetch it, and name the file here")
    return Place(place.path, place.storage, info["size"], tag_of(info))


def _look_here(place: Place) -> Place | None:
    path = place.path
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder, expected a file: take it out of the list")
    try:
        return Place(path, {}, os.path.getsize(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read the input {path}: {error.strerror}") from None


def _all_missing(missing: Sequence[str]) -> str:
    shown = ", ".join(missing[:NAMED])
    more = f" and {len(missing) - NAMED:,} more, {len(missing):,} in all" if len(missing) > NAMED else ""
    return f"no such input: {shown}{more}; --skip-missing goes on without, and records what was missing"


def _named(places: Sequence[Place]) -> list[InputFile]:
    kinds = _all_at_once(kind_of, places)
    names = _names([place.path for place in places])
    return [
        InputFile(place.path, name, place.size or 0, *dump_and_segment(place.path), kind, place.tag, place.storage)
        for place, name, kind in zip(places, names, kinds, strict=True)
    ]


def _names(paths: Sequence[str]) -> list[str]:
    """Each path below the folder that all share; without the query of a URL, which may be a signature."""
    plain = [urlsplit(path)._replace(query="", fragment="").geturl() if is_url(path) else path for path in paths]
    parts = [path.split("/") for path in (plain if len(set(plain)) == len(plain) else paths)]
    first, last = min(each[:-1] for each in parts), max(each[:-1] for each in parts)
    common = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return ["/".join(each[common:]) for each in parts]
