"""The removal of documents whose URL an earlier run kept: a decision on each document alone.

``dedup.url`` puts this stage, under its own name, before its keys, so that ``seen`` is one of its rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from gpurefine.dedup.urlkeys import url_hashes
from gpurefine.dedup.urllist import UrlList, check_url_list, list_path
from gpurefine.documents import Batch
from gpurefine.errors import InputError
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import MapStage, Outcome, Verdict


class Seen(MapStage):
    """Removes documents whose URL is in a list; the evidence is the path of the first list that has it."""

    kind: ClassVar[str] = "dedup.url.seen"

    lists: tuple[str, ...]
    normalise: Literal["c4"] | None = None

    def provide(self, resources: Resources) -> dict[str, str]:
        """SHA-256 of each list, whose checksums are verified."""
        return {f"seen {name}": check_url_list(find_list(name, self.normalise), self.normalise) for name in self.lists}

    def open(self, resources: Resources) -> dict[str, UrlList]:
        """The lists, mapped into memory."""
        return {name: UrlList(find_list(name, self.normalise)) for name in self.lists}

    def apply(self, batch: Batch, tool: dict[str, UrlList]) -> Outcome:
        """One rule, ``seen``, without a measure."""
        hashes = url_hashes(batch.frame["url"], self.normalise)
        evidence = np.full(len(batch), None, object)
        for name, urls in reversed(tool.items()):
            evidence[urls.contains(hashes)] = name
        removed = np.array([name is not None for name in evidence], bool)
        return Outcome(batch, [Verdict("seen", removed, evidence=evidence.tolist())])


def find_list(name: str, normalise: str | None) -> Path:
    """The list that a run left, by its directory, or the file itself.

    Raises
    ------
    InputError
        if there is none
    """
    path = Path(name)
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"seen: there is no run and no list of URLs at {name}: name a finished run's directory")
        return path
    # it is the last thing that a run writes, so a run that has one is finished
    found = list_path(path, normalise)
    if not found.exists():
        others = ", ".join(sorted(other.name for other in found.parent.glob("*.urls")))
        raise InputError(
            f"seen: {name} has no list of URLs {found.parent.name}/{found.name}{f', only {others}' if others else ''}: "
            f"name a finished run whose dedup.url had write_seen: true and normalise: {normalise or 'null'}"
        )
    return found
