"""Which options the commands of Dask have: asked of what is installed, or as dask-cuda 26.10 has them."""

from __future__ import annotations

from functools import cache
from importlib import import_module

#: Of ``dask cuda worker``, read in dask_cuda/cli.py of release 26.10.0.
CUDA_WORKER = frozenset(
    {
        "--host",
        "--worker-port",
        "--listen-address",
        "--contact-address",
        "--nthreads",
        "--name",
        "--memory-limit",
        "--device-memory-limit",
        "--enable-cudf-spill",
        "--disable-cudf-spill",
        "--cudf-spill-stats",
        "--rmm-pool-size",
        "--rmm-maximum-pool-size",
        "--rmm-managed-memory",
        "--no-rmm-managed-memory",
        "--rmm-async",
        "--no-rmm-async",
        "--set-rmm-allocator-for-libs",
        "--rmm-release-threshold",
        "--rmm-log-directory",
        "--rmm-track-allocations",
        "--no-rmm-track-allocations",
        "--pid-file",
        "--resources",
        "--dashboard",
        "--no-dashboard",
        "--dashboard-address",
        "--local-directory",
        "--scheduler-file",
        "--protocol",
        "--interface",
        "--preload",
        "--death-timeout",
        "--dashboard-prefix",
        "--tls-ca-file",
        "--tls-cert",
        "--tls-key",
        "--enable-tcp-over-ucx",
        "--disable-tcp-over-ucx",
        "--enable-infiniband",
        "--disable-infiniband",
        "--enable-nvlink",
        "--disable-nvlink",
        "--enable-rdmacm",
        "--disable-rdmacm",
        "--worker-class",
        "--pre-import",
        "--multiprocessing-method",
    }
)


@cache
def real_options(command: str) -> frozenset[str]:
    """Options of ``dask scheduler`` or ``dask worker`` as they are installed."""
    return _options(import_module(f"distributed.cli.dask_{command}").main)


def cuda_worker_options() -> frozenset[str]:
    """Options of ``dask cuda worker``: those of 26.10, less what an installed dask-cuda does not know."""
    try:
        installed = _options(import_module("dask_cuda.cli").worker)
    except ImportError:
        return CUDA_WORKER
    return CUDA_WORKER & installed


def _options(command) -> frozenset[str]:
    return frozenset(name for each in command.params for name in (*each.opts, *each.secondary_opts))


def options_of(command: list[str]) -> list[str]:
    """The options in a command line, without their values."""
    return [word.partition("=")[0] for word in command if word.startswith("--")]
