"""The stage ``extract``: decoded HTML becomes the text of the page's main content (RefinedWeb 3.1).

It comes after the URL rules and before language identification. The extractor runs in a guarded child process (see
``extraction/``), because a page of the web may be made to crash, hang or exhaust it. Limits on the size of the HTML
come first: they are the same on every machine, while limits on time and memory, which exist for safety, are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from gpurefine.documents import Batch
from gpurefine.frames import string_column, text_buffers
from gpurefine.stages.base import MapStage, Outcome, Resources, Verdict
from gpurefine.stages.extraction.extractors import KNOWN, ExtractorOptions, versions
from gpurefine.stages.extraction.fast.accelerate import why_stock
from gpurefine.stages.extraction.guard import Guard
from gpurefine.stages.extraction.limits import PageSizes, page_sizes
from gpurefine.stages.extraction.process import Answer
from gpurefine.stages.extraction.wire import GuardSettings


class Extract(MapStage):
    """Main content of HTML pages as tidy plain text; pages without any are removed.

    Rules, in order: ``too_large`` (bytes, start tags or attributes beyond a limit; the evidence says which), then what
    extraction itself came to: ``empty`` (no text), ``failed`` (an exception, which is the evidence), ``timeout``,
    ``memory``, ``crash`` (the page ended two child processes; the signal is the evidence). All are final.

    Source: RefinedWeb 3.1 names trafilatura and the removal of URLs, but no options; ``favor`` and
    ``include_comments`` are datatrove's defaults, the others trafilatura's. The limits are ours.
    """

    kind: ClassVar[str] = "extract"
    needs_html: ClassVar[bool] = True
    #: A library may end its process where it gets no more memory, so a crash is of this kind too.
    machine_dependent: ClassVar[frozenset[str]] = frozenset({"timeout", "memory", "crash"})

    with_: Literal["trafilatura", "resiliparse"] = Field(
        "trafilatura", alias="with", description="extractor; resiliparse needs the extra gpurefine[resiliparse]"
    )
    favor: Literal["precision", "recall", "balanced"] = Field(
        "precision", description="what trafilatura prefers where it is not sure (only trafilatura)"
    )
    include_comments: bool = Field(False, description="keep the comments below an article")
    include_tables: bool = Field(True, description="keep the text of tables (only trafilatura)")
    deduplicate: Literal["off", "page"] = Field(
        "off",
        description="page: drop an element of more than 100 characters from its fourth occurrence on the page on "
        "(only trafilatura)",
    )
    accelerate: bool = Field(
        True,
        description="faster code to the same text, for versions of trafilatura that were compared (only trafilatura)",
    )
    bare_domains: bool = Field(False, description="remove example.com/path and IP addresses as well as URLs")
    join_bullets: bool = Field(
        True, description="put a list mark that the extractor left alone on a line before the item's text"
    )
    max_html_bytes: int = Field(20 << 20, gt=0, description="bytes of UTF-8; a larger page is too_large")
    max_start_tags: int = Field(100_000, gt=0, description="start tags on a page; more are too_large")
    max_attributes: int = Field(1_000, gt=0, description="attributes on one tag; more are too_large")
    time_limit_s: float = Field(60.0, gt=0, description="seconds of processor time that a page may take")
    memory_limit_bytes: int = Field(4 << 30, ge=512 << 20, description="address space of a child process, in bytes")

    @model_validator(mode="after")
    def _only_known_options(self) -> Extract:
        """Refuse options that the extractor would ignore."""
        if self.with_ != "trafilatura":
            for option in ("favor", "include_tables", "deduplicate", "accelerate"):
                if getattr(self, option) != type(self).model_fields[option].default:
                    raise ValueError(f"{option} is an option of trafilatura; {self.with_} has none like it")
        return self

    def provide(self, resources: Resources) -> dict[str, str]:
        """Versions of the extractor and of the parser below it, and whether it is accelerated.

        Raises
        ------
        ResourceError
            if the extractor cannot be imported
        """
        found = versions(self.with_)
        if self.with_ == "trafilatura":
            found["code"] = "accelerated" if self._accelerates() else "stock"
        return found

    def warning(self) -> str | None:
        """Why extraction is not accelerated, where the installed versions were not compared."""
        if self.with_ != "trafilatura" or not self.accelerate or (why := why_stock()) is None:
            return None
        return f"extraction takes more than twice as long as it could: {why}; docs/extraction.md names those that were"

    def _accelerates(self) -> bool:
        return self.with_ == "trafilatura" and self.accelerate and why_stock() is None

    def open(self, resources: Resources) -> Guard:
        """A guard; its child process starts with the first page."""
        return Guard(self.guard_settings())

    def guard_settings(self) -> GuardSettings:
        """What the child process is told."""
        return GuardSettings(
            KNOWN[self.with_].maker,
            # a child of a version that was not compared need not say so again
            ExtractorOptions(
                self.favor, self.include_comments, self.include_tables, self.deduplicate, self._accelerates()
            ),
            self.bare_domains,
            self.join_bullets,
            self.time_limit_s,
            self.memory_limit_bytes,
        )

    def apply(self, batch: Batch, tool: Guard) -> Outcome:
        """Extract a batch of pages: column ``html`` goes, column ``text`` comes, null where the page is removed."""
        data, offsets = text_buffers(batch.frame["html"])
        sizes = page_sizes(data, offsets)
        verdicts = self._size_verdicts(sizes)
        kept = np.flatnonzero(~np.any([verdict.removed for verdict in verdicts], axis=0))
        html = memoryview(data)
        answers: list[Answer | None] = [None] * len(batch)
        for row, answer in zip(
            kept, tool.extract([html[offsets[row] : offsets[row + 1]] for row in kept]), strict=True
        ):
            answers[row] = answer
        text = string_column([answer.text if answer else None for answer in answers])
        frame = batch.frame.drop(columns="html").assign(text=text)
        noted = {"by_stock_code": sum(answer.by_stock for answer in answers if answer)}
        return Outcome(Batch(frame), verdicts + self._answer_verdicts(answers), _measured(sizes), noted)

    def _size_verdicts(self, sizes: PageSizes) -> list[Verdict]:
        """``too_large`` for each of the three sizes."""
        limits = [
            ("bytes", sizes.html_bytes, self.max_html_bytes),
            ("start tags", sizes.start_tags, self.max_start_tags),
            ("attributes", sizes.attributes, self.max_attributes),
        ]
        return [
            Verdict("too_large", counts > limit, counts.astype(np.float64), limit, [what] * len(counts), final=True)
            for what, counts, limit in limits
        ]

    def _answer_verdicts(self, answers: Sequence[Answer | None]) -> list[Verdict]:
        """A verdict for each way in which extraction gives no text."""
        outcomes = np.array([answer.outcome if answer else "" for answer in answers], dtype=np.str_)
        evidence = [answer.evidence if answer else None for answer in answers]
        limits = {"timeout": self.time_limit_s, "memory": self.memory_limit_bytes}
        return [
            Verdict(rule, outcomes == rule, None, limits.get(rule), evidence, final=True)
            for rule in ("empty", "failed", "timeout", "memory", "crash")
        ]


def _measured(sizes: PageSizes) -> dict[str, np.ndarray]:
    return {name: counts.astype(np.float64) for name, counts in vars(sizes).items()}
