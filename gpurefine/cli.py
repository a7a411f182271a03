"""The command line: parse, call the API, print. Exit codes: 0 done, 1 failed midway, 2 refused before writing."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import gpurefine
from gpurefine import report
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
InputsArgument = Annotated[
    list[str], typer.Argument(help="files, URLs, globs, or lists (*.paths.gz)", show_default=False)
]
OutputOption = Annotated[
    str, typer.Option("-o", "--output", help="the run directory, or s3://BUCKET/FOLDER", show_default=False)
]
StageOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="the local directory that a run for s3:// is made in", show_default=False),
]
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
PartOption = Annotated[
    str | None, typer.Option(help="K/N: only the K-th of N parts; short for --set input.part=K/N", show_default=False)
]
SkipOption = Annotated[
    bool, typer.Option("--skip-missing", help="go on without missing inputs; short for --set input.skip_missing=true")
]
AgainstOption = Annotated[
    list[str],
    typer.Option("--against", metavar="RUN", help="a run with kept keys whose documents' copies go; may be repeated"),
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="delete what an earlier run left there and start over")]
DashboardOption = Annotated[
    bool, typer.Option("--dashboard", help="serve Dask's dashboard to this machine and tell its address")
]
QuickOption = Annotated[bool, typer.Option("--quick", help="a plan assumes rates and sizes instead of measuring some")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="show no progress, only the result")]

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_bytes(text: str | None) -> int | None:
    """``8GiB``, ``500MB`` or a plain number as bytes. Raises ConfigError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if not match:
        raise ConfigError(f"'{text}' is no size in bytes: expected for example 500MB or 8GiB")
    return int(float(match[1]) * UNITS[match[2]])


def with_input(overrides: list[str], part: str | None, skip_missing: bool) -> list[str]:
    """The overrides with the options ``--part`` and ``--skip-missing``."""
    named = [] if part is None else [f"input.part={part}"]
    return [*overrides, *named, *(["input.skip_missing=true"] if skip_missing else [])]


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
    part: PartOption = None,
    skip_missing: SkipOption = False,
    against: AgainstOption = [],  # noqa: B006 - typer copies it
    set_: SetOption = [],  # noqa: B006
    stage: StageOption = None,
    offline: OfflineOption = False,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
    dashboard: DashboardOption = False,
) -> None:
    """Refine a crawl. The same command goes on where a run was stopped."""
    result = gpurefine.run(
        config,
        inputs,
        output,
        overrides=with_input(set_, part, skip_missing),
        against=against,
        backend=backend,
        workers=workers,
        memory=parse_bytes(memory),
        scheduler=scheduler,
        partition_bytes=parse_bytes(partition_size),
        stage=stage,
        offline=offline,
        fresh=fresh,
        quiet=quiet,
        dashboard=dashboard,
    )
    report.print_waterfall(result)


@app.command()
def dedup(
    kind: Annotated[str, typer.Argument(help="minhash, exact or url", show_default=False)],
    inputs: Annotated[
        list[str],
        typer.Argument(help="files of texts (Parquet, JSON lines, WET), URLs, globs or lists", show_default=False),
    ],
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="the run directory, or s3://BUCKET/FOLDER", show_default=False)
    ] = None,
    bands: Annotated[int | None, typer.Option(help="of minhash; default 450", show_default=False)] = None,
    rows: Annotated[int | None, typer.Option(help="of minhash, a band; default 20", show_default=False)] = None,
    shingle: Annotated[
        str | None, typer.Option(help="of minhash: gpt2-N, word-N or char-N; default gpt2-5", show_default=False)
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="which one stays: random, first, longest, newest or best:COLUMN", show_default="random"),
    ] = None,
    scope: Annotated[
        str | None, typer.Option(help="compare only where this column is equal", show_default=False)
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="show what a run would need and stop")] = False,
    quick: QuickOption = False,
    backend: BackendOption = "auto",
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    scheduler: SchedulerOption = None,
    partition_size: PartitionOption = None,
    part: PartOption = None,
    skip_missing: SkipOption = False,
    against: AgainstOption = [],  # noqa: B006 - typer copies it
    set_: SetOption = [],  # noqa: B006
    stage: StageOption = None,
    offline: OfflineOption = False,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
    dashboard: DashboardOption = False,
) -> None:
    """Remove duplicates from tables with a column of texts. The same command goes on where a run was stopped."""
    from gpurefine.engine.tables import dedup_pipeline

    options = {"bands": bands, "rows": rows, "shingle": shingle, "keep": keep, "scope": scope}
    pipeline = dedup_pipeline(
        kind,
        with_input(set_, part, skip_missing),
        **{name: value for name, value in options.items() if value is not None},
    )
    if plan:
        folder = None if output is None or "://" in output else Path(output)
        print_plan(pipeline, against, inputs, workers, memory, partition_size, offline, backend, folder, quick)
        return
    if output is None:
        raise ConfigError("dedup: name the run directory by -o, or use --plan to see what a run would need")
    result = gpurefine.run(
        pipeline,
        inputs,
        output,
        against=against,
        backend=backend,
        workers=workers,
        memory=parse_bytes(memory),
        scheduler=scheduler,
        partition_bytes=parse_bytes(partition_size),
        stage=stage,
        offline=offline,
        fresh=fresh,
        quiet=quiet,
        dashboard=dashboard,
    )
    report.print_waterfall(result)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="where it is made")] = Path("gpurefine-demo"),
    workers: WorkersOption = None,
    offline: OfflineOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a small crawl, refine it, and show what each rule removed and an example of each."""
    from gpurefine.demo.run import run_demo

    result = run_demo(output, workers=workers, offline=offline, quiet=quiet)
    report.print_waterfall(result)
    report.print_examples(result)
    print(f"\nThe crawl and its results are in {output}/. Look into them:")
    print(f"  gpurefine explain {output}/run {result.removed(columns=['url']).url.dropna().iloc[0]}")


@app.command("plan")
def plan_command(
    config: ConfigArgument,
    inputs: InputsArgument,
    workers: WorkersOption = None,
    memory: MemoryOption = None,
    partition_size: PartitionOption = None,
    part: PartOption = None,
    skip_missing: SkipOption = False,
    against: AgainstOption = [],  # noqa: B006 - typer copies it
    set_: SetOption = [],  # noqa: B006
    offline: OfflineOption = False,
    backend: BackendOption = "auto",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="where it would write, to look at the disk", show_default=False),
    ] = None,
    quick: QuickOption = False,
) -> None:
    """Show steps, partitions, memory, disk and time of a run without starting it.

    Rates and sizes are measured on some of the inputs, for some seconds.
    """
    pipeline = gpurefine.load_pipeline(config, with_input(set_, part, skip_missing))
    print_plan(pipeline, against, inputs, workers, memory, partition_size, offline, backend, output, quick)


@app.command()
def presets() -> None:
    """List the presets with what they reproduce."""
    report.print_presets()


@app.command()
def doctor(
    inputs: Annotated[
        list[str] | None, typer.Argument(help="files, URLs, globs or lists of a run to look at", show_default=False)
    ] = None,
    backend: BackendOption = "auto",
    scheduler: SchedulerOption = None,
    set_: SetOption = [],  # noqa: B006 - typer copies it
) -> None:
    """Say what is here and what is missing, and what mends it; of inputs, whether they can be read.

    Exits with 2 if no run could start: not on CPUs either, with --backend gpu not on GPUs, or not on these inputs.
    Models and lists that are missing do not count, since not every run needs them.
    """
    from gpurefine.config import pipeline_from_data
    from gpurefine.doctor import diagnose
    from gpurefine.resources.cache import default_resources

    options = pipeline_from_data({"name": "doctor", "stages": ["extract"]}, set_, "--set").input
    diagnosis = diagnose(default_resources(offline=True), scheduler, backend, inputs or (), options)
    report.print_diagnosis(diagnosis)
    if not diagnosis.healthy:
        raise typer.Exit(2)


@app.command()
def curve(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="BANDSxROWS", help="such as 450x20 14x8", show_default=False)
    ] = None,
    bands: Annotated[int | None, typer.Option(help="of one more setting; default 450", show_default=False)] = None,
    rows: Annotated[int | None, typer.Option(help="of one more setting; default 20", show_default=False)] = None,
    plot: Annotated[
        Path | None, typer.Option(help="draw it into FILE.png or FILE.svg", metavar="FILE", show_default=False)
    ] = None,
) -> None:
    """Show which share of near duplicates MinHash finds, by bands and rows; settings stand beside each other."""
    from gpurefine.dedup.curve import PAPER_BANDS, PAPER_ROWS, check_setting, parse_setting

    shown = [parse_setting(text) for text in settings or []]
    if not shown or bands is not None or rows is not None:
        one = (PAPER_BANDS if bands is None else bands, PAPER_ROWS if rows is None else rows)
        shown.append(check_setting(*one))
    shown = list(dict.fromkeys(shown))
    if plot is not None:
        from gpurefine.dedup.plot import check_plot, plot_curves, save_plot

        check_plot(plot)
        save_plot(plot_curves(shown), plot)
    report.print_curves(shown)
    if plot is not None:
        print(f"\ndrawn into {plot}")


@app.command()
def explain(
    run_directory: Annotated[
        str, typer.Argument(metavar="RUN", help="a run directory, or its URL", show_default=False)
    ],
    id_or_url: Annotated[str, typer.Argument(metavar="ID-or-URL", show_default=False)],
) -> None:
    """Say what became of a page and why."""
    found = gpurefine.open_run(run_directory).explain(id_or_url)
    report.print_found(found)


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
    against: list[str],
    inputs: list[str],
    workers: int | None,
    memory: str | None,
    partition_size: str | None,
    offline: bool,
    backend: str,
    output: Path | None = None,
    quick: bool = False,
) -> None:
    """What a run would need, a line each; nothing is written but a scratch folder for what is measured."""
    from gpurefine.config import with_against
    from gpurefine.engine.estimate import estimate_lines
    from gpurefine.engine.plan import uses_gpu
    from gpurefine.engine.run import prepare
    from gpurefine.engine.sampling import take_samples
    from gpurefine.workers import decide_backend

    decided = decide_backend(backend, uses_gpu(pipeline))

    prepared = prepare(
        with_against(pipeline, against),
        inputs,
        workers=workers,
        memory=parse_bytes(memory),
        partition_bytes=parse_bytes(partition_size),
        offline=offline,
    )
    samples = None if quick else take_samples(prepared, decided.gpu)
    folder = None if output is None else next(each for each in (output, *output.absolute().parents) if each.is_dir())
    for line in estimate_lines(prepared, decided, samples, folder):
        print(line)


def main() -> None:
    """Entry point: errors of ours become one sentence and an exit code."""
    debug = "--debug" in sys.argv
    try:
        with warnings.catch_warnings():
            warnings.showwarning = report.show_warning
            app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except (GpurefineError, OSError) as error:
        if debug:
            raise
        if isinstance(error, GpurefineError):
            print(f"gpurefine: {report.printable(error)}", file=sys.stderr)
            sys.exit(error.exit_code)
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"gpurefine: {report.printable(f'{where}{error.strerror or error}')}; the same command goes on",
            file=sys.stderr,
        )
        sys.exit(1)
