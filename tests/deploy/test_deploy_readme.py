"""The commands of deploy/README.md name options and files that exist."""

import re
import shlex
from pathlib import Path

import typer
from dask_options import cuda_worker_options, options_of, real_options

from gpurefine.cli import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "README.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip()
]


def called(*words):
    """The commands that begin with these words, behind any variables that are set for them."""
    bare = [command[[("=" in word) for word in command].index(False) :] for command in COMMANDS if command]
    return [command for command in bare if command[: len(words)] == list(words)]


def test_commands_of_dask_have_their_options():
    for words, known in (
        (("dask", "scheduler"), real_options("scheduler")),
        (("dask", "worker"), real_options("worker")),
        (("dask", "cuda", "worker"), cuda_worker_options()),
    ):
        (command,) = called(*words)
        assert set(options_of(command)) <= known


def test_commands_of_gpurefine_have_their_options():
    commands = typer.main.get_command(app).commands
    found = called("gpurefine")
    assert {command[1] for command in found} == {"doctor", "run"}
    for command in found:
        known = {name for each in commands[command[1]].params for name in each.opts}
        assert set(options_of(command)) <= known
    (submitted,) = called("sbatch")
    script = next(number for number, word in enumerate(submitted) if word.endswith(".sbatch"))
    known = {name for each in commands["run"].params for name in each.opts}
    assert set(options_of(submitted[script:])) <= known


def test_files_that_are_named_exist():
    named = set(re.findall(r"deploy/[\w./-]+", TEXT))
    assert len(named) >= 6
    for name in named:
        assert (ROOT / name.rstrip(".")).exists(), name
