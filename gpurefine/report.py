"""What the command line prints: waterfalls, examples, pages, S-curves. Everything from a page is made fit to print."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

import gpurefine
from gpurefine.dedup.curve import half_point, match_probability, share, warning
from gpurefine.errors import SettingWarning

if TYPE_CHECKING:
    from gpurefine.doctor import Diagnosis

#: Similarities of the rows of a printed S-curve: where curves differ.
SHOWN_SIMILARITIES = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)

#: How a finding of the doctor is marked.
MARK_STYLES = {"ok": "green", "missing": "yellow", "problem": "red"}

#: Characters of a bar that stands for all pairs, at most and at least.
LONGEST_BAR, SHORTEST_BAR = 40, 6


def print_waterfall(result: gpurefine.Run) -> None:
    """The waterfall of a finished run as a table."""
    summary = result.summary()
    has_reference = any(entry["reference"] is not None for entry in summary["waterfall"])
    table = Table("stage", "rule", title=f"{summary['name']}: {summary['records']:,} records")
    for heading in ("removed", "left", "share left", *(["published"] if has_reference else [])):
        table.add_column(heading, justify="right")
    for entry in summary["waterfall"]:
        reference = [_share(entry["reference"])] if has_reference else []
        cells = [f"{entry['removed']:,}", f"{entry['left']:,}", _share(entry["share_left"]), *reference]
        table.add_row(f"[bold]{entry['stage']}[/bold]", "", *cells)
        for rule, removed in entry["rules"].items():
            table.add_row("", rule, f"{removed:,}", "", "", *[""] * len(reference))
    out = console()
    out.print(table)
    tokens = f", {summary['tokens']:,} GPT-2 tokens" if summary["tokens"] is not None else ""
    out.print(
        f"kept {summary['kept']:,} documents, {summary['text_bytes'] / 1e6:,.1f} MB of text{tokens} -> {result.path}"
    )
    for step in summary["steps"]:
        if step.get("spans"):
            out.print(
                f"{step['applies']}: {step['spans']:,} spans of {step['span_characters']:,} characters in "
                f"{step['span_documents']:,} documents, told in spans/"
            )
    if not summary["records"] and summary["skipped_records"]:
        skipped = ", ".join(f"{number:,} {kind}" for kind, number in summary["skipped_records"].items())
        out.print(f"no document was read: the input holds no pages and no texts, but {skipped}")
    limited = sum(summary["removed_by_machine_limits"].values())
    if limited:
        out.print(f"{limited:,} pages fell to a time or memory limit or a crash; another machine may keep them")


def print_examples(result: gpurefine.Run) -> None:
    """One removed page of each rule, with value, limit and evidence."""
    table = Table(
        Column("removed by", no_wrap=True), "page", "value", "limit", "evidence", title="one page of each rule"
    )
    removed = result.removed(columns=["stage", "rule", "url", "value", "limit", "evidence", "survivor"])
    for (stage, rule), group in removed.groupby(["stage", "rule"], sort=True):
        row = group.iloc[0]
        table.add_row(
            f"{stage}:{rule}",
            escape(printable(row.url, 60)),
            _number(row.value),
            _number(row.limit),
            escape(printable(row.evidence if pd.isna(row.survivor) else f"as {row.survivor}", 40)),
        )
    console().print(table)


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """What the doctor found, a line each, and which backend a run would take."""
    out = console()
    for part, findings in groupby(diagnosis.findings, key=lambda found: found.part):
        out.print(part, style="bold")
        for found in findings:
            mend = f"; {found.mend}" if found.mend else ""
            line = Text(f"  {found.mark:<8} ", style=MARK_STYLES[found.mark])
            line.append(printable(f"{found.subject}: {found.told}{mend}"), style="default")
            out.print(line, soft_wrap=True)
    out.print("backend", style="bold")
    out.print(f"  {printable(diagnosis.backend)}", markup=False, highlight=False, soft_wrap=True)


def console() -> Console:
    """Standard output; a pipe or file gets lines that are wide enough not to break words."""
    return Console(width=None if sys.stdout.isatty() else 140)


def _number(value: object) -> str:
    if pd.isna(value):
        return ""
    number = float(str(value))
    return f"{number:,.0f}" if number.is_integer() else f"{number:.4g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def printable(value: object, length: int = 2000) -> str:
    """Text from a page, fit for a terminal: no control characters, bounded."""
    text = "" if pd.isna(value) else str(value)
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[: length + 1])
    return text if len(text) <= length else text[:length] + "..."


def print_presets() -> None:
    """The presets with what they do and their stages."""
    table = Table("preset", "what it does", "stages")
    for name in gpurefine.presets():
        pipeline = gpurefine.load_pipeline(name)
        table.add_row(name, pipeline.description.strip(), ", ".join(stage.name for stage in pipeline.stages))
    console().print(table)


def print_found(found: pd.DataFrame) -> None:
    """What ``Run.explain`` found, a block of ``key: value`` for each record."""
    for number, row in enumerate(found.to_dict("records")):
        if number:
            print()
        for key, value in row.items():
            if pd.isna(value):
                continue
            # further lines stand below the value, where none of ours begins
            print(f"{key:>9}: {printable(value).replace(chr(10), chr(10) + ' ' * 11)}")


def print_curves(settings: Sequence[tuple[int, int]]) -> None:
    """S-curves beside each other, a row a similarity; below them what each setting finds and costs, and warnings."""
    out = console()
    # beside the bar a column holds a share of 8 characters, a blank, and what rich puts around both
    abreast = max(1, (out.width - 14) // (SHORTEST_BAR + 12))
    for first in range(0, len(settings), abreast):
        chosen = settings[first : first + abreast]
        longest = max(SHORTEST_BAR, min(LONGEST_BAR, (out.width - 14) // len(chosen) - 12))
        out.print(_curve_table(chosen, longest, "#" if out.options.ascii_only else "\N{FULL BLOCK}"))
    for bands, rows in settings:
        out.print(
            f"{bands} x {rows}: half of the pairs at similarity {half_point(bands, rows):.4f}; {bands * rows:,} hashes "
            f"and {8 * bands:,} bytes of keys a document",
            highlight=False,
        )
    for text in filter(None, (warning(*setting) for setting in settings)):
        out.print(f"\nwarning: {text}", style="yellow", highlight=False)


def _curve_table(settings: Sequence[tuple[int, int]], longest: int, block: str) -> Table:
    """A column a setting: the share that is found, and a bar of as many blocks, ``longest`` for all."""
    table = Table(Column("similarity", justify="right"), title="share of pairs that collide, by bands x rows")
    for bands, rows in settings:
        table.add_column(f"{bands} x {rows}", no_wrap=True)
    for similarity in SHOWN_SIMILARITIES:
        found = [float(match_probability(similarity, *setting)) for setting in settings]
        cells = [f"{share(value):>8} {block * round(value * longest):<{longest}}" for value in found]
        table.add_row(f"{similarity:g}", *cells)
    return table


def show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Takes the place of ``warnings.showwarning``: a warning of ours is one line, without a line of our code."""
    if issubclass(category, SettingWarning):
        print(f"gpurefine: warning: {printable(message)}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, *place[:2]), file=sys.stderr, end="")
