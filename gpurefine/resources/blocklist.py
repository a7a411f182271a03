"""A block list of millions of domains as sorted hashes in memory-mapped files: opened in no time, shared by workers.

``compile_list`` reads the entries once (``lists`` says from where), ``write_list`` puts them into the cache,
``open_list`` maps them and ``Blocklist.find`` looks keys up. A key is a host (``example.com``) or a host and a path
(``example.com/adult``). Two keys of one hash would be one entry: with 4.6 million entries a key that is not listed
has odds of 4.6e6 / 2**64 = 2.5e-13 to hit, 0.0015 expected errors in a billion pages of six keys each.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
from xxhash import xxh3_64_intdigest

from gpurefine.resources.suffixes import SuffixRules
from gpurefine.text.urlparts import LONGEST_HOST, split_url

#: Category of entries from a list that has none.
UNSORTED = "unsorted"

#: Files of a category: domains, hosts with a path, and regular expressions, which are only noted.
KINDS = ("domains", "urls", "expressions")

_BLOCK = 1 << 20
_FILES = ("hashes.npy", "categories.npy", "list.json")


@dataclass(frozen=True)
class ListFile:
    """One file of a list in UT1's layout: its category, its kind (a name of ``KINDS``) and its bytes."""

    category: str
    kind: str
    stream: BinaryIO


@dataclass
class ListSummary:
    """What a compiled list is.

    Attributes
    ----------
    source : where it came from, in words
    sha256 : of the lines ``<sha256 of file>  <category>/<kind>``, sorted; the same list has the same one in a folder
        and in an archive
    categories : names by category number
    domains, urls : entries by category
    refused : entries that were not taken (no dot, a public suffix, too long)
    refused_examples : the first of them
    longest : characters of the longest entry with a path
    ignored : files of regular expressions, which are not used
    """

    source: str
    sha256: str = ""
    categories: list[str] = field(default_factory=list)
    domains: dict[str, int] = field(default_factory=dict)
    urls: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    refused_examples: list[str] = field(default_factory=list)
    longest: int = 0
    ignored: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Blocklist:
    """A list that is open.

    Attributes
    ----------
    summary : what it is
    hashes : uint64, (entries,), ascending, memory-mapped
    category_ids : uint8, (entries,), the index into ``summary.categories``; an entry of two categories is there twice
    """

    summary: ListSummary
    hashes: np.ndarray
    category_ids: np.ndarray

    def find(self, keys: Sequence[str], chosen: frozenset[int]) -> list[str | None]:
        """The category of each key that is listed under one of the ``chosen`` category numbers, else None."""
        categories: list[str | None] = [None] * len(keys)
        if not keys or not len(self.hashes):
            return categories
        wanted = np.fromiter((xxh3_64_intdigest(key.encode()) for key in keys), np.uint64, len(keys))
        places = np.searchsorted(self.hashes, wanted)
        places[places == len(self.hashes)] = 0
        for index in np.flatnonzero(self.hashes[places] == wanted):
            place = int(places[index])
            while place < len(self.hashes) and self.hashes[place] == wanted[index]:
                number = int(self.category_ids[place])
                if number in chosen:
                    categories[index] = self.summary.categories[number]
                    break
                place += 1
        return categories

    def chosen(self, names: Iterable[str]) -> frozenset[int]:
        """Category numbers of these names; entries without a category are always among them."""
        names = {*names, UNSORTED}
        return frozenset(i for i, name in enumerate(self.summary.categories) if name in names)


def entry_key(entry: str, suffixes: SuffixRules) -> str | None:
    """The key of a list entry, or None where it must not be taken: no host, too long, or it would block a whole suffix.

    A path is compared without regard to case, percent-coding, query and a leading ``www.`` of its host.
    """
    has_scheme = entry.partition("/")[0].endswith(":")
    parts = split_url(entry if has_scheme else f"//{entry}")
    host = parts.host.strip(".")
    if not host or len(host) > LONGEST_HOST:
        return None
    path = parts.path.rstrip("/")
    if path:
        return host.removeprefix("www.") + path
    return None if suffixes.covers(host) else host


def url_keys(host: str, path: str, longest: int) -> Iterator[str]:
    """Host and path, cut at each ``/`` boundary: what an entry with a path may equal.

    Parameters
    ----------
    longest : characters of the longest entry; nothing longer is made, so that a hostile path costs no more
    """
    host = host.removeprefix("www.")
    end = 0
    while end < len(path):
        end = path.find("/", end + 1)
        if end == -1:
            end = len(path)
        if len(host) + end > longest:
            return
        yield host + path[:end]


def compile_list(
    source: str, files: Iterable[ListFile], suffixes: SuffixRules
) -> tuple[ListSummary, np.ndarray, np.ndarray]:
    """Read a list's files into sorted hashes.

    Returns
    -------
    summary, hashes (uint64, ascending) and category numbers (uint8), of equal length

    Raises
    ------
    ValueError
        if there are more than 256 categories
    """
    summary = ListSummary(source)
    hashes, numbers = array("Q"), array("B")
    digests = []
    for file in files:
        if file.kind == "expressions":
            summary.ignored.append(f"{file.category}/{file.kind}")
            continue
        if file.category not in summary.categories:
            summary.categories.append(file.category)
        number = summary.categories.index(file.category)
        if number > 255:
            raise ValueError(f"{source} has more than 256 categories")
        before, digest = len(hashes), sha256()
        for line in _lines(file.stream, digest):
            _take(line, suffixes, summary, hashes)
        numbers.extend([number] * (len(hashes) - before))
        counts = summary.domains if file.kind == "domains" else summary.urls
        counts[file.category] = counts.get(file.category, 0) + len(hashes) - before
        digests.append(f"{digest.hexdigest()}  {file.category}/{file.kind}\n")
    summary.sha256 = sha256("".join(sorted(digests)).encode()).hexdigest()
    keys = np.frombuffer(hashes, np.uint64) if hashes else np.zeros(0, np.uint64)
    ids = np.frombuffer(numbers, np.uint8) if numbers else np.zeros(0, np.uint8)
    order = np.lexsort((ids, keys))
    return summary, keys[order], ids[order]


def folder_digest(files: Iterable[ListFile]) -> str:
    """The ``sha256`` that ``compile_list`` would give these files, without reading their entries."""
    digests = []
    for file in files:
        if file.kind == "expressions":
            continue
        digest = sha256()
        while block := file.stream.read(_BLOCK):
            digest.update(block)
        digests.append(f"{digest.hexdigest()}  {file.category}/{file.kind}\n")
    return sha256("".join(sorted(digests)).encode()).hexdigest()


def write_list(folder: Path, summary: ListSummary, hashes: np.ndarray, category_ids: np.ndarray) -> None:
    """Write a compiled list as ``folder``, which appears whole or not at all; an equal one may be there already."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        contents = (hashes, category_ids, json.dumps(asdict(summary), indent=1, ensure_ascii=False).encode())
        for name, content in zip(_FILES, contents, strict=True):
            with open(temporary / name, "wb") as stream:
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    np.save(stream, content, allow_pickle=False)
                stream.flush()
                os.fsync(stream.fileno())
        os.chmod(temporary, 0o755)
        try:
            os.rename(temporary, folder)
        except OSError:
            # Another process was quicker: a folder that is not empty is not replaced, and it holds the same.
            if not is_list(folder):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def is_list(folder: Path) -> bool:
    """Whether ``write_list`` wrote this folder."""
    return all((folder / name).is_file() for name in _FILES)


def open_list(folder: Path) -> Blocklist:
    """Map a compiled list into memory.

    Raises
    ------
    OSError, ValueError, TypeError
        if it is not there or not what ``write_list`` wrote
    """
    summary = ListSummary(**json.loads((folder / "list.json").read_text("utf-8")))
    hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
    category_ids = np.load(folder / "categories.npy", mmap_mode="r", allow_pickle=False)
    if hashes.dtype != np.uint64 or category_ids.dtype != np.uint8 or hashes.shape != category_ids.shape:
        raise ValueError(f"{folder} does not hold a compiled list")
    return Blocklist(summary, hashes, category_ids)


def _take(line: bytes, suffixes: SuffixRules, summary: ListSummary, hashes: array) -> None:
    """One line of a list into the hashes, or into the count of what was refused."""
    entry = line.decode("utf-8", "replace").strip()
    if not entry or entry.startswith("#"):
        return
    key = entry_key(entry, suffixes)
    if key is None:
        summary.refused += 1
        if len(summary.refused_examples) < 20:
            summary.refused_examples.append(entry[:100])
        return
    if "/" in key:
        summary.longest = max(summary.longest, len(key))
    hashes.append(xxh3_64_intdigest(key.encode()))


def _lines(stream: BinaryIO, digest: sha256) -> Iterator[bytes]:
    """The lines of a stream without their ends; every byte goes through ``digest``."""
    rest = b""
    while block := stream.read(_BLOCK):
        digest.update(block)
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest
