"""Fixtures shared by all tests."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "emulation"), str(ROOT / "tests" / "servers")]
SHARED_DATA = ROOT.parent / "shared" / "data"

# programs that tests start import what is installed, not a checkout that they happen to be started in
os.environ["PYTHONSAFEPATH"] = "1"

# one thread a process, whatever the machine: tests share two cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a busy machine is slow, which is no finding
hypothesis.settings.register_profile("gpurefine", deadline=None)
# for tools under which kernels take many times as long: --hypothesis-profile=few
hypothesis.settings.register_profile("few", deadline=None, max_examples=5)
hypothesis.settings.load_profile("gpurefine")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of large samples that lies beside a developer's checkout; its contents are never shipped."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the sample crawls are not here ({SHARED_DATA.name} beside the checkout)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def torture() -> Path:
    """Malformed and hostile WARC files, with what must come of them in expected.json."""
    return ROOT / "tests" / "torture"


@pytest.fixture(scope="session")
def scheduler():
    """Address of a Dask scheduler with two CPU workers that all runs of a test session may use."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        resources={"CPU": 1},
        memory_limit=None,
        dashboard_address=":0",
        silence_logs=50,
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def cli(monkeypatch, capsys):
    """Calls ``gpurefine`` in this process, which spares the imports: exit code, standard output, standard error."""
    from gpurefine.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpurefine", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return call


@pytest.fixture(scope="session")
def demo_crawl(tmp_path_factory):
    """The demo's WARC and its block list folder."""
    from gpurefine.demo.crawl import write_demo_crawl

    return write_demo_crawl(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder for CUDA kernels that were compiled for the CPU; skips without a compiler."""
    import cuda_on_host

    cuda_on_host.compiler()
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def emulated(programs, monkeypatch):
    """A function that puts a stand-in for CuPy in place, whose kernels run on the CPU: ``cupy_on_host.stand_in``."""
    import cupy_on_host

    def install(**options):
        forget_kernels()
        cupy = cupy_on_host.stand_in(programs, **options)
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        return cupy

    yield install
    forget_kernels()


@pytest.fixture(params=["emulated", pytest.param("device", marks=pytest.mark.gpu)])
def cuda(request):
    """A function that gives CuPy, of which there are two: the emulated one, and the real one on a device.

    It takes the options of ``emulated``, which change nothing on a device.
    """
    if request.param == "emulated":
        return request.getfixturevalue("emulated")
    cupy = pytest.importorskip("cupy", reason="CuPy is not here")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device is here")
    forget_kernels()
    return lambda **options: cupy


@pytest.fixture
def cudf_of(request, monkeypatch):
    """A function that gives the cuDF asked for: ``emulated``, a stand-in beside an emulated CuPy, or ``device``."""

    def install(which):
        if which == "emulated":
            import cudf_on_host

            request.getfixturevalue("emulated")()
            return cudf_on_host.install(monkeypatch)
        cudf = pytest.importorskip("cudf", reason="cuDF is not here")
        if not pytest.importorskip("cupy", reason="CuPy is not here").cuda.is_available():
            pytest.skip("no CUDA device is here")
        forget_kernels()
        return cudf

    return install


@pytest.fixture(params=["emulated", pytest.param("device", marks=pytest.mark.gpu)])
def cudf(request, cudf_of):
    """cuDF, of which there are two: a stand-in, and the real one on a device."""
    return cudf_of(request.param)


def forget_kernels():
    """Kernels and tables of one CuPy are of no use to another."""
    from gpurefine.kernels.cuda import device

    device.kernel.cache_clear()
    device.multiprocessors.cache_clear()
    device._copy_on.cache_clear()
