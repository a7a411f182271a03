"""The Slurm script runs to its end on this machine: srun and the CUDA workers are imitated, all else is real."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dask_options import cuda_worker_options, options_of, real_options

import gpurefine

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "slurm" / "gpurefine.sbatch"
JOB = "4711"

#: Runs its command once a node, as srun does, and ends it when it is ended itself.
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
trap 'kill $(jobs -p); wait; exit 143' TERM
for _ in $(seq "$SLURM_JOB_NUM_NODES"); do "$@" & done
wait -n
"""

#: Notes what dask is called with and turns CUDA workers into CPU workers, one a GPU.
DASK = """#!{python}
import os, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    print(*arguments, "NUMBA_CUDA_MEMORY_MANAGER=" + os.environ.get("NUMBA_CUDA_MEMORY_MANAGER", ""), file=log)
if arguments[:2] == ["cuda", "worker"]:
    if os.environ.get("NO_CUDA_WORKER"):
        sys.exit("no GPU here")
    arguments = arguments[1:]
    for flag in ("--rmm-async", "--enable-cudf-spill"):
        arguments.remove(flag)
    at = arguments.index("--set-rmm-allocator-for-libs")
    del arguments[at : at + 2]
os.execv({dask!r}, ["dask", *arguments])
"""


@pytest.fixture
def job(tmp_path):
    """Starts the script as a job of one node with one GPU and one core for a CPU worker."""
    programs, here = tmp_path / "bin", Path(sys.executable).parent
    programs.mkdir()
    texts = {
        "srun": SRUN,
        "dask": DASK.format(python=sys.executable, log=str(tmp_path / "dask.log"), dask=f"{here}/dask"),
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    started = []

    def start(*arguments, **environment):
        variables = {
            **os.environ,
            "PATH": f"{programs}:{here}:{os.environ['PATH']}",
            "TMPDIR": str(tmp_path),
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_ID": JOB,
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_GPUS_ON_NODE": "1",
            "SLURM_CPUS_PER_TASK": "2",
            "GPUREFINE_CPU_WORKERS": "1",
            "GPUREFINE_IMITATED_GPUS": "1",
            **environment,
        }
        process = subprocess.Popen(
            ["bash", SCRIPT, *map(str, arguments)],
            env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if left_of(process):
            os.killpg(process.pid, signal.SIGKILL)


def left_of(job):
    """Processes of a job that still run: all have its session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == job.pid and fields[0] != "Z":
                found.append((folder / "cmdline").read_text(errors="replace"))
    return found


def ended_clean(job, tmp_path):
    for _ in range(100):
        if not left_of(job):
            break
        time.sleep(0.1)
    return not left_of(job) and not (tmp_path / f".gpurefine-{JOB}").exists() and not list(tmp_path.glob("tmp.*"))


def test_a_run_on_a_node(job, demo_crawl, tmp_path):
    options = ["--set", f"urls.blocklist={demo_crawl[1]}", "--backend", "gpu", "--quiet"]
    process = job("refinedweb", demo_crawl[0], "-o", tmp_path / "run", *options)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert "kept" in told and gpurefine.open_run(tmp_path / "run").summary()["kept"] > 0
    assert ended_clean(process, tmp_path)
    calls = [line.split() for line in (tmp_path / "dask.log").read_text().splitlines()]
    scheduler, *workers = sorted(calls, key=lambda call: call[0] != "scheduler")
    cuda, cpu = sorted(workers, key=lambda call: call[0] != "cuda")
    assert set(options_of(scheduler)) <= real_options("scheduler")
    assert set(options_of(cpu)) <= real_options("worker")
    assert set(options_of(cuda)) <= cuda_worker_options()
    assert cuda[-1] == "NUMBA_CUDA_MEMORY_MANAGER=rmm.allocators.numba" and cpu[-1] == "NUMBA_CUDA_MEMORY_MANAGER="
    assert cuda[cuda.index("--resources") + 1] == "GPU=1" and cpu[cpu.index("--nworkers") + 1] == "1"


@pytest.mark.slow
def test_a_run_that_is_refused_ends_the_job_with_its_exit_code(job, tmp_path):
    process = job("no-such-preset", tmp_path / "*.warc.gz", "-o", tmp_path / "run", SLURM_GPUS_ON_NODE="0")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and "no-such-preset" in told
    assert ended_clean(process, tmp_path)


def test_a_worker_that_cannot_start_ends_the_job(job, tmp_path):
    process = job("refinedweb", tmp_path, "-o", tmp_path / "run", NO_CUDA_WORKER="1")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "workers ended before the run" in told
    assert ended_clean(process, tmp_path)


def test_the_time_limit_ends_everything(job, tmp_path):
    process = job("refinedweb", tmp_path, "-o", tmp_path / "run", SLURM_GPUS_ON_NODE="0", SLURM_CPUS_PER_TASK="1",
                  SLURM_JOB_NUM_NODES="2", GPUREFINE_CPU_WORKERS="1", NO_CUDA_WORKER="1")  # fmt: skip
    scheduler_file = tmp_path / f".gpurefine-{JOB}" / "scheduler.json"
    for _ in range(100):
        if scheduler_file.exists():
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert ended_clean(process, tmp_path)


def test_what_slurm_is_asked_for_is_one_task_a_node():
    asked = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH")]
    for option in ("--ntasks-per-node=1", "--nodes=1", "--gpus-per-node=1", "--signal=B:TERM@120"):
        assert option in asked
