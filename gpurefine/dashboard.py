"""Dask's dashboard, a page that shows workers and tasks while a run goes on: served or not, and its address.

A local scheduler serves it only where it is asked for, since it costs the run's own process some time, and only to
this machine. A scheduler that is running already has one or not; its address is told.
"""

from __future__ import annotations

import socket
from importlib.util import find_spec
from typing import Any

from distributed import Client

from gpurefine.errors import ResourceError

#: Where the dashboard is by custom; another port is taken where this one is not free.
PORT = 8787


def check_dashboard(wanted: bool, scheduler: str | None) -> None:
    """Raise ResourceError if a local dashboard is wanted and the package that draws it is not here."""
    if wanted and scheduler is None and find_spec("bokeh") is None:
        raise ResourceError("--dashboard: bokeh is not installed; `pip install 'gpurefine[dashboard]'`")


def dashboard_options(wanted: bool) -> dict[str, Any]:
    """Options of a local Dask scheduler."""
    return {"dashboard": wanted, "dashboard_address": f"127.0.0.1:{_free_port() if wanted else 0}"}


def dashboard_link(client: Client, wanted: bool, scheduler: str | None) -> str | None:
    """The dashboard's address; None where none is served.

    Parameters
    ----------
    client : of the run
    wanted : whether a local one is
    scheduler : address or file of a scheduler that was running already, which has one or not
    """
    if scheduler is None and not wanted:
        return None
    try:
        return client.dashboard_link
    except KeyError:
        return None


def _free_port() -> int:
    """The customary port if it is free, else 0, which is any."""
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT
