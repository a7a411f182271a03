"""Dask's dashboard: served only where it is asked for, to this machine only, and its address told."""

import socket
import urllib.request
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine
from gpurefine import dashboard
from gpurefine.dashboard import check_dashboard, dashboard_link, dashboard_options
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ResourceError
from gpurefine.workers import open_client


def test_a_local_dashboard_answers_on_this_machine_alone(tmp_path):
    with open_client(1, None, tmp_path, dashboard=True) as client:
        link = dashboard_link(client, True, None)
        assert link.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(link, timeout=10) as page:
            assert page.status == 200 and b"bokeh" in page.read().lower()
    assert dashboard_link(client, False, None) is None


def test_the_customary_port_is_taken_if_it_is_free(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(dashboard, "PORT", other.getsockname()[1])
        assert dashboard_options(True) == {"dashboard": True, "dashboard_address": "127.0.0.1:0"}
    assert dashboard_options(True)["dashboard_address"] == f"127.0.0.1:{dashboard.PORT}"
    assert dashboard_options(False) == {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


def test_without_bokeh_it_is_refused_before_anything_starts(monkeypatch, tmp_path):
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ResourceError, match=r"pip install 'gpurefine\[dashboard\]'"):
        gpurefine.run(dedup_pipeline("exact"), tmp_path / "a.parquet", tmp_path / "run", dashboard=True)
    assert not (tmp_path / "run").exists()
    check_dashboard(True, "tcp://127.0.0.1:1")
    check_dashboard(False, None)


def test_the_dashboard_of_a_running_scheduler_is_told(scheduler, tmp_path, capsys):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    gpurefine.run(dedup_pipeline("exact"), tmp_path / "a.parquet", tmp_path / "run", scheduler=scheduler)
    assert capsys.readouterr().err.count("dashboard: http://127.0.0.1:") == 1


def test_a_scheduler_without_one_has_no_address():
    class Client:
        @property
        def dashboard_link(self):
            return {}["dashboard"]

    assert dashboard_link(Client(), False, "tcp://somewhere:8786") is None
    assert dashboard_link(SimpleNamespace(dashboard_link="http://x"), False, "tcp://somewhere:8786") == "http://x"
