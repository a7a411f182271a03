"""``dedup.url``: documents of equal URL collide, and one of them stays; URLs that earlier runs kept are removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from gpurefine.dedup.seen import Seen
from gpurefine.dedup.urlkeys import url_hashes
from gpurefine.documents import Batch
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import DedupStage, MapStage


class Url(DedupStage):
    """Removes all but one of the documents with equal URLs, and documents whose URL earlier runs kept.

    RefinedWeb (3.3) cuts Common Crawl into 100 parts and carries the URLs of all samples kept in a part on; documents
    with such a URL are removed from later parts. Here a run leaves that list with `write_seen`, and `seen` names the
    lists of earlier runs. Of equal URLs inside one part the paper says nothing: `within: false` leaves them.

    The URL counts exactly as recorded, or as `normalise` makes it. A document without a URL (null, empty, or empty when
    normalised) is like no other: it stays, and is in no list.
    """

    kind: ClassVar[str] = "dedup.url"
    key_columns: ClassVar[tuple[str, ...]] = ("high", "low")
    key_source: ClassVar[str] = "url"
    beside_keys: ClassVar[frozenset[str]] = frozenset({"as_", "keep", "within", "seen", "write_seen"})

    normalise: Literal["c4"] | None = Field(
        None,
        description="`c4`: without scheme, `www.`, a query that begins with `utm_`, `ref` or `feed`, and last slashes",
    )
    within: bool = Field(True, description="compare the documents of this run with each other; off: only with `seen`")
    seen: tuple[str, ...] = Field(
        (), description="directories of finished runs with `write_seen`, or list files; their URLs are removed"
    )
    write_seen: bool = Field(False, description="leave the list of the URLs of kept documents in `seen_urls/`")

    @field_validator("seen", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("seen")
    @classmethod
    def _each_once_and_absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # workers may be elsewhere
        value = tuple(str(Path(name).absolute()) for name in value)
        twice = next((name for name in value if value.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' is named twice: name each list once")
        return value

    @property
    def compares(self) -> bool:
        """As `within` says."""
        return self.within

    @property
    def before(self) -> tuple[MapStage, ...]:
        """The stage that removes what is in a list, if there are lists."""
        return (Seen(as_=self.name, lists=self.seen, normalise=self.normalise),) if self.seen else ()

    def provide(self, resources: Resources) -> dict[str, str]:
        """SHA-256 of each list of `seen`."""
        return {name: value for stage in self.before for name, value in stage.provide(resources).items()}

    def key_settings(self, provided: Mapping[str, Any]) -> dict[str, Any]:
        """The lists of URLs decide no key."""
        return super().key_settings({})

    def keys(self, batch: Batch, tool: Any = None) -> np.ndarray:
        """The 128-bit hash of each URL in two halves, uint64, (2, n); `NO_KEY` where there is no URL."""
        return url_hashes(batch.frame["url"], self.normalise)
