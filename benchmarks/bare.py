"""What the benchmarks compare extraction with: trafilatura and nothing around it."""

from __future__ import annotations


def extract(html: str) -> int:
    """What the preset asks of trafilatura; returns the length of the text."""
    import trafilatura

    text = trafilatura.extract(
        html,
        favor_precision=True,
        include_comments=False,
        include_tables=True,
        deduplicate=False,
        output_format="txt",
        with_metadata=False,
        fast=False,
    )
    return len(text or "")
