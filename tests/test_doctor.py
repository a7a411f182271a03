"""The doctor tells line by line what is there and what is missing, with the command that mends it."""

import shutil
import socket
import subprocess
import sys
import time

import pytest

from gpurefine import doctor
from gpurefine.devices import Device, DeviceReport
from gpurefine.doctor import diagnose
from gpurefine.errors import ConfigError
from gpurefine.resources.cache import Resources

GIB = 1 << 30
NO_GPU = DeviceReport((), "no NVIDIA driver is found; `install one`")
H100 = Device(0, "NVIDIA H100", (9, 0), 80 * GIB, 79 * GIB, "GPU-1")


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(doctor, "find_devices", lambda: NO_GPU)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs packages that have metadata and nothing else."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, version, *requires):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
        (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")

    return install


def find(diagnosis, subject, part=None):
    (found,) = [each for each in diagnosis.findings if each.subject == subject and part in (None, each.part)]
    return found


@pytest.fixture
def empty(tmp_path):
    return Resources(tmp_path / "cache", offline=True)


def test_a_machine_without_gpu_is_healthy_and_says_which_backend(without_gpu, empty):
    diagnosis = diagnose(empty)
    assert diagnosis.healthy
    assert diagnosis.backend == "runs on CPUs, no GPU is used: no NVIDIA driver is found; `install one`"
    assert find(diagnosis, "NVIDIA driver").told == NO_GPU.problem
    assert find(diagnosis, "Python").told == ".".join(map(str, sys.version_info[:3]))
    base = [each for each in diagnosis.findings if each.part == "packages"]
    assert len(base) >= 20 and {each.mark for each in base} == {"ok"}


def test_gpu_asked_for_and_not_there(without_gpu, empty):
    diagnosis = diagnose(empty, backend="gpu")
    assert not diagnosis.healthy and diagnosis.backend.startswith("--backend gpu: no NVIDIA driver")
    with pytest.raises(ConfigError, match="auto, cpu, gpu"):
        diagnose(empty, backend="tpu")


def test_a_machine_with_a_gpu(monkeypatch, empty):
    monkeypatch.setattr(doctor, "find_devices", lambda: DeviceReport((H100,), None, "580.65.06", (13, 0)))
    diagnosis = diagnose(empty, backend="gpu")
    assert diagnosis.healthy and diagnosis.backend == "uses GPUs: 1 x NVIDIA H100"
    assert find(diagnosis, "NVIDIA driver").told == "580.65.06"
    assert find(diagnosis, "device 0").told == "NVIDIA H100, compute capability 9.0, 79.0 of 80.0 GiB free, GPU-1"


def test_a_gpu_that_cannot_be_used(monkeypatch, empty):
    report = DeviceReport((H100,), "cuDF is not installed; `pip`", "580.65.06", (13, 0))
    monkeypatch.setattr(doctor, "find_devices", lambda: report)
    diagnosis = diagnose(empty)
    assert diagnosis.healthy and find(diagnosis, "usable GPU").mark == "problem"
    assert diagnosis.backend == "runs on CPUs, no GPU is used: cuDF is not installed; `pip`"


def test_models_and_lists_that_are_missing_or_damaged(without_gpu, empty):
    models = empty.cache / "models"
    diagnosis = diagnose(empty)
    assert find(diagnosis, "gpt2-vocab.bpe").mark == "missing"
    assert find(diagnosis, "gpt2-vocab.bpe").mend == "gpurefine fetch models"
    assert (find(diagnosis, "block list ut1").mark, diagnosis.healthy) == ("missing", True)
    models.mkdir(parents=True)
    (models / "gpt2-vocab.bpe").write_text("half of it")
    (empty.cache / "lists").mkdir()
    (empty.cache / "lists" / "ut1").write_text("points to nothing")
    diagnosis = diagnose(empty)
    assert find(diagnosis, "gpt2-vocab.bpe").mark == "problem"
    assert find(diagnosis, "block list ut1").mark == "problem"


def test_base_packages_that_are_missing_or_too_old_stop_every_run(installed, without_gpu, empty):
    installed("gpurefine", "9.9", "numpy>=99", "no-such-package>=1", 'tomli; python_version < "3"')
    diagnosis = diagnose(empty)
    assert not diagnosis.healthy
    assert find(diagnosis, "numpy").told.endswith("where >=99 is needed")
    assert find(diagnosis, "no-such-package").mark == "missing"
    assert not [each for each in diagnosis.findings if each.subject == "tomli"]


def test_versions_that_rapids_does_not_allow_are_named_with_the_command(installed, without_gpu, empty):
    installed("cudf-cu13", "26.10.2", "pandas<2", "fsspec<1")
    installed("rapids-dask-dependency", "26.10.0", "dask>=1", "distributed==1.0")
    diagnosis = diagnose(empty)
    assert diagnosis.healthy
    assert find(diagnosis, "cuDF (cudf-cu13)").mark == "ok"
    pandas = find(diagnosis, "pandas for RAPIDS")
    assert "<2" in pandas.told and pandas.told.endswith("cudf-cu13")
    assert pandas.mend.startswith("pip install 'pandas<2")
    assert find(diagnosis, "distributed for RAPIDS").told.endswith("by rapids-dask-dependency")
    assert not [each for each in diagnosis.findings if each.subject in ("dask for RAPIDS", "fsspec for RAPIDS")]


def test_an_extra_of_another_rapids(installed, without_gpu, empty):
    installed("cudf-cu12", "25.2.0")
    found = find(diagnose(empty), "cuDF (cudf-cu12)")
    assert found.mark == "problem" and "<26.11,>=26.10" in found.told
    assert found.mend == "pip install 'gpurefine[cu12]'"


def test_little_memory_and_disk(monkeypatch, without_gpu, empty):
    monkeypatch.setattr(doctor, "available_memory", lambda: GIB // 2)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage._replace(free=GIB // 4))
    diagnosis = diagnose(empty)
    assert find(diagnosis, "free memory").mark == find(diagnosis, "temporary files").mark == "problem"
    assert find(diagnosis, "temporary files").mend.startswith("export TMPDIR=")

    def nowhere():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(doctor.tempfile, "gettempdir", nowhere)
    assert not diagnose(empty).healthy


def test_workers_of_a_scheduler(without_gpu, empty, scheduler):
    diagnosis = diagnose(empty, scheduler)
    workers = [each for each in diagnosis.findings if each.part == "scheduler"]
    assert [each.told for each in workers] == ["CPU=1", "CPU=1"] and diagnosis.healthy
    assert diagnosis.backend.startswith(f"runs on CPUs, no GPU is used: no worker of the scheduler at {scheduler} has")
    assert not diagnose(empty, scheduler, "gpu").healthy


def test_a_scheduler_that_does_not_answer(monkeypatch, without_gpu, empty):
    monkeypatch.setattr("gpurefine.workers.CONNECT_TIMEOUT", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
        diagnosis = diagnose(empty, address)
    assert not diagnosis.healthy and "no Dask scheduler answers" in diagnosis.backend
    assert find(diagnosis, address).mark == "problem"


def test_the_command_prints_a_line_each_and_keeps_its_exit_code(cli, without_gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("GPUREFINE_CACHE", str(tmp_path / "cache"))
    code, out, _ = cli("doctor")
    lines = out.splitlines()
    assert code == 0
    assert lines[-1] == "  runs on CPUs, no GPU is used: no NVIDIA driver is found; `install one`"
    assert f"  missing  gpt2-vocab.bpe: not in {tmp_path}/cache/models; gpurefine fetch models" in lines
    assert "  missing  NVIDIA driver: no NVIDIA driver is found; `install one`" in lines
    assert cli("doctor", "--backend", "gpu")[0] == 2
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_it_is_fast_and_asks_no_network(tmp_path):
    """In a process of its own, where no socket can be opened."""
    program = """
import socket, sys
def refuse(*_, **__): raise AssertionError("the network is asked")
socket.socket.connect = refuse
sys.argv = ["gpurefine", "doctor"]
from gpurefine.cli import main
main()
"""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 3


def test_inputs_are_found_and_room_is_told(without_gpu, empty, demo_crawl, tmp_path, monkeypatch):
    (tmp_path / "lines.jsonl").write_text('{"text": "a"}\n')
    diagnosis = diagnose(empty, inputs=[str(demo_crawl[0]), str(tmp_path / "*.jsonl")])
    assert diagnosis.healthy
    assert find(diagnosis, "warc").told.startswith("1 file, 0.00 GiB") and find(diagnosis, "jsonl").mark == "ok"
    assert find(diagnosis, "room").mark == "ok"
    monkeypatch.setattr(doctor, "LEAST_ROOM", 1e12)
    room = find(diagnose(empty, inputs=[str(demo_crawl[0])]), "room")
    assert room.mark == "problem" and "a run of these takes some" in room.told and "gpurefine plan" in room.mend


def test_inputs_that_cannot_be_read_are_a_problem(without_gpu, empty, tmp_path, cli):
    diagnosis = diagnose(empty, inputs=[str(tmp_path / "none.warc.gz")])
    assert not diagnosis.healthy
    found = find(diagnosis, "files")
    assert found.mark == "problem" and "none.warc.gz" in found.told
    code, out, _ = cli("doctor", str(tmp_path / "none.warc.gz"))
    assert code == 2 and "none.warc.gz" in out


def test_inputs_are_looked_at_with_the_options_of_a_run(without_gpu, cli, demo_crawl, tmp_path):
    (tmp_path / "warc.paths").write_text(f"{demo_crawl[0].name}\nnone.warc.gz\n")
    code, out, _ = cli("doctor", str(tmp_path / "warc.paths"), "--set", f"input.prefix={demo_crawl[0].parent}/")
    assert code == 2 and "none.warc.gz" in out
    given = ["--set", f"input.prefix={demo_crawl[0].parent}/", "--set", "input.skip_missing=true"]
    code, out, _ = cli("doctor", str(tmp_path / "warc.paths"), *given)
    assert "1 are missing, the first is" in out and "warc: 1 file" in out
