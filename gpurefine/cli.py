"""The command line: parse, call the API, print. Exit codes: 0 done, 1 failed midway, 2 refused before writing."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

import gpurefine
from gpurefine.errors import ConfigError, GpurefineError

if TYPE_CHECKING:
    from gpurefine.config import Pipeline

app = typer.Typer(
    name="gpurefine",
    help="Refines web crawls (WARC) into pre-training corpora (Parquet), and says of every removed page why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
fetch_app = typer.Typer(help="Fetch models and block lists into the cache.", no_args_is_help=True)
app.add_typer(fetch_app, name="fetch")

ConfigArgument = Annotated[str, typer.Argument(help="a preset's name or a YAML file", show_default=False)]
InputsArgument = Annotated[list[str], typer.Argument(help="WARC files or globs", show_default=False)]
OutputOption = Annotated[Path, typer.Option("-o", "--output", help="the run directory", show_default=False)]
WorkersOption = Annotated[int | None, typer.Option(help="worker processes, default one a core", show_default=False)]
MemoryOption = Annotated[
    str | None, typer.Option(help="bytes for keys and tables of all workers (8GiB), default 70 % of what is free")
]
SetOption = Annotated[list[str], typer.Option("--set", help="KEY=VALUE changes a parameter; may be repeated")]
OfflineOption = Annotated[bool, typer.Option("--offline", help="use models and lists of the cache only")]
BackendOption = Annotated[str, typer.Option(help="auto, cpu or gpu")]
SchedulerOption = Annotated[str | None, typer.Option(help="address or file of a Dask scheduler to use")]
PartitionOption = Annotated[
    str | None, typer.Option("--partition-size", help="bytes of input in a partition (32MiB); never changes a result")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="delete what an earlier run left there and start over")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="show no progress")]

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str | None) -> int | None:
    """``8GiB``, ``500MB`` or a plain number as bytes. Raises ConfigError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if not match:
        raise ConfigError(f"'{text}' is no size in bytes: expected for example 500MB or 8GiB")
    return int(float(match[1]) * UNITS[match[2]])


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show a traceback with an error; may stand anywhere")] = False,
) -> None:
    """Options that stand before the command."""
    if version:
        print(gpurefine.__version__)
        raise typer.Exit


@app.command()
def run(
    config: ConfigArgument,
    inputs: InputsArgument,
    output: OutputOption,
    backend: BackendOption = "auto",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    scheduler: SchedulerOption = None,
    partition_size: PartitionOption = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    offline: OfflineOption = False,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
) -> None:
    """Refine a crawl. The same command goes on where a run was stopped."""
    result = gpurefine.run(
        config,
        inputs,
        output,
        overrides=set_,
        backend=backend,
        workers=workers,
        memory=parse_bytes(memory),
        scheduler=scheduler,
        partition_bytes=parse_bytes(partition_size),
        offline=offline,
        fresh=fresh,
        quiet=quiet,
    )
    print_waterfall(result)


@app.command()
def dedup(
    kind: Annotated[str, typer.Argument(help="minhash or exact", show_default=False)],
    inputs: Annotated[list[str], typer.Argument(help="Parquet files or globs", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="the run directory", show_default=False)] = None,
    bands: Annotated[int | None, typer.Option(help="of minhash; default 450", show_default=False)] = None,
    rows: Annotated[int | None, typer.Option(help="of minhash, a band; default 20", show_default=False)] = None,
    shingle: Annotated[
        str | None, typer.Option(help="of minhash: gpt2-N, word-N or char-N; default gpt2-5", show_default=False)
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="show what a run would need and stop")] = False,
    backend: BackendOption = "auto",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    scheduler: SchedulerOption = None,
    partition_size: PartitionOption = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    offline: OfflineOption = False,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
) -> None:
    """Remove duplicates from tables with a column of texts. The same command goes on where a run was stopped."""
    from gpurefine.engine.tables import dedup_pipeline

    options = {"bands": bands, "rows": rows, "shingle": shingle}
    pipeline = dedup_pipeline(kind, set_, **{name: value for name, value in options.items() if value is not None})
    if plan:
        print_plan(pipeline, inputs, workers, memory, partition_size, offline)
        return
    if output is None:
        raise ConfigError("dedup: name the run directory by -o, or use --plan to see what a run would need")
    result = gpurefine.run(
        pipeline,
        inputs,
        output,
        backend=backend,
        workers=workers,
        memory=parse_bytes(memory),
        scheduler=scheduler,
        partition_bytes=parse_bytes(partition_size),
        offline=offline,
        fresh=fresh,
        quiet=quiet,
    )
    print_waterfall(result)


@app.command()
def demo(
    output: OutputOption = Path("gpurefine-demo"),
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a small crawl, refine it, and show what each rule removed and an example of each."""
    from gpurefine.demo.run import run_demo

    result = run_demo(output, workers=workers, offline=offline, quiet=quiet)
    print_waterfall(result)
    print_examples(result)
    print(f"\nThe crawl and its results are in {output}/. Look into them:")
    print(f"  gpurefine explain {output}/run {result.removed(columns=['url']).url.dropna().iloc[0]}")


@app.command("plan")
def plan_command(
    config: ConfigArgument,
    inputs: InputsArgument,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    partition_size: PartitionOption = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
    offline: OfflineOption = False,
) -> None:
    """Show steps, partitions, memory, disk and time of a run without starting it."""
    print_plan(gpurefine.load_pipeline(config, set_), inputs, workers, memory, partition_size, offline)


@app.command()
def presets() -> None:
    """List the presets with what they reproduce."""
    table = Table("preset", "what it does", "stages")
    for name in gpurefine.presets():
        pipeline = gpurefine.load_pipeline(name)
        table.add_row(name, pipeline.description.strip(), ", ".join(stage.name for stage in pipeline.stages))
    _console().print(table)


@app.command()
def explain(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="a run directory", show_default=False)],
    id_or_url: Annotated[str, typer.Argument(metavar="ID-or-URL", show_default=False)],
) -> None:
    """Say what became of a page and why."""
    found = gpurefine.open_run(run_directory).explain(id_or_url)
    for number, row in enumerate(found.to_dict("records")):
        if number:
            print()
        for key, value in row.items():
            if pd.isna(value):
                continue
            # further lines stand below the value, where none of ours begins
            print(f"{key:>9}: {_printable(value).replace(chr(10), chr(10) + ' ' * 11)}")


@fetch_app.command("models")
def fetch_models_command(offline: OfflineOption = False) -> None:
    """Fetch the language model and the GPT-2 vocabulary."""
    from gpurefine.resources.cache import default_resources
    from gpurefine.resources.models import fetch_models

    for name, path, sha256 in fetch_models(default_resources(offline)):
        print(f"{name}  {path}  sha256 {sha256}")


@fetch_app.command("lists")
def fetch_lists_command(
    source: Annotated[
        str | None, typer.Option("--from", help="a folder, .tar.gz or address in UT1 layout", show_default=False)
    ] = None,
    offline: OfflineOption = False,
) -> None:
    """Fetch the URL block list and compile it."""
    from gpurefine.resources.cache import default_resources
    from gpurefine.resources.lists import fetch_lists

    found = fetch_lists(default_resources(offline), source)
    print(f"{found.source}: {sum(found.domains.values()):,} domains, {sum(found.urls.values()):,} URLs")
    print(f"categories {', '.join(found.categories)}; refused {found.refused:,} entries; sha256 {found.sha256}")


def print_plan(
    pipeline: Pipeline,
    inputs: list[str],
    workers: int | None,
    memory: str | None,
    partition_size: str | None,
    offline: bool,
) -> None:
    """What a run would need, a line each; nothing is written."""
    from gpurefine.engine.estimate import estimate_lines
    from gpurefine.engine.run import prepare

    prepared = prepare(
        pipeline,
        inputs,
        workers=workers,
        memory=parse_bytes(memory),
        partition_bytes=parse_bytes(partition_size),
        offline=offline,
    )
    for line in estimate_lines(prepared):
        print(line)


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
    console = _console()
    console.print(table)
    tokens = f", {summary['tokens']:,} GPT-2 tokens" if summary["tokens"] is not None else ""
    console.print(
        f"kept {summary['kept']:,} documents, {summary['text_bytes'] / 1e6:,.1f} MB of text{tokens} -> {result.path}"
    )
    if not summary["records"] and summary["skipped_records"]:
        skipped = ", ".join(f"{number:,} {kind}" for kind, number in summary["skipped_records"].items())
        console.print(f"no page was read: the input holds no response records, but {skipped}; this version reads WARC")
    limited = sum(summary["removed_by_machine_limits"].values())
    if limited:
        console.print(f"{limited:,} pages fell to a time or memory limit or a crash; another machine may keep them")


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
            escape(_printable(row.url, 60)),
            _number(row.value),
            _number(row.limit),
            escape(_printable(row.evidence if pd.isna(row.survivor) else f"as {row.survivor}", 40)),
        )
    _console().print(table)


def _console() -> Console:
    """Standard output; a pipe or file gets lines that are wide enough not to break words."""
    return Console(width=None if sys.stdout.isatty() else 140)


def _number(value: object) -> str:
    if pd.isna(value):
        return ""
    number = float(str(value))
    return f"{number:,.0f}" if number.is_integer() else f"{number:.4g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _printable(value: object, length: int = 2000) -> str:
    """Text from a page, fit for a terminal: no control characters, bounded."""
    text = "" if pd.isna(value) else str(value)
    text = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[: length + 1])
    return text if len(text) <= length else text[:length] + "..."


def main() -> None:
    """Entry point: errors of ours become one sentence and an exit code."""
    debug = "--debug" in sys.argv
    try:
        app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except (GpurefineError, OSError) as error:
        if debug:
            raise
        if isinstance(error, GpurefineError):
            print(f"gpurefine: {_printable(error)}", file=sys.stderr)
            sys.exit(error.exit_code)
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"gpurefine: {_printable(f'{where}{error.strerror or error}')}; the same command goes on", file=sys.stderr
        )
        sys.exit(1)
