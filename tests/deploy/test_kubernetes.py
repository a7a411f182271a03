"""The manifests for Kubernetes fit each other, the image, and the commands that they call."""

from pathlib import Path

import pytest
import typer
import yaml
from dask_options import cuda_worker_options, options_of, real_options

from gpurefine.cli import app

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FOLDER = DEPLOY / "kubernetes"
MANIFESTS = {path.name: list(yaml.safe_load_all(path.read_text())) for path in sorted(FOLDER.glob("*.yaml"))}
OBJECTS = [each for name, found in MANIFESTS.items() if name != "kustomization.yaml" for each in found]
KUSTOMIZATION = MANIFESTS["kustomization.yaml"][0]


def find(kind, name):
    (found,) = [each for each in OBJECTS if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods():
    return {
        each["metadata"]["name"]: each["spec"]["template"] for each in OBJECTS if "template" in each.get("spec", {})
    }


def containers():
    for pod in pods().values():
        yield from (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])


def arguments(name):
    return pods()[name]["spec"]["containers"][0]["args"]


def test_one_image_in_one_version():
    (image,) = {each["image"] for each in containers()}
    (entry,) = KUSTOMIZATION["images"]
    name, version = image.split(":")
    assert (entry["name"], entry["newTag"]) == (name, version) and version != "latest"
    assert f"-t {image} ." in (DEPLOY / "Dockerfile").read_text()


def test_the_kustomization_holds_the_cluster_and_not_the_data():
    assert set(KUSTOMIZATION["resources"]) == set(MANIFESTS) - {
        "kustomization.yaml",
        *("volume.yaml", "fetch.yaml", "run.yaml"),
    }


def test_selectors_find_their_pods():
    for each in OBJECTS:
        if each["kind"] == "Deployment":
            assert each["spec"]["selector"]["matchLabels"] == each["spec"]["template"]["metadata"]["labels"]
    service = find("Service", "gpurefine-scheduler")
    assert service["spec"]["selector"] == pods()["gpurefine-scheduler"]["metadata"]["labels"]
    for rule in find("NetworkPolicy", "gpurefine")["spec"]["ingress"]:
        for source in rule["from"]:
            label = source["podSelector"]["matchLabels"].items()
            assert all(label <= pod["metadata"]["labels"].items() for pod in pods().values())


def test_all_meet_at_the_scheduler():
    (port,) = find("Service", "gpurefine-scheduler")["spec"]["ports"]
    address = f"tcp://gpurefine-scheduler:{port['port']}"
    assert address in arguments("gpurefine-gpu-worker") and address in arguments("gpurefine-cpu-worker")
    assert f"--scheduler={address}" in arguments("gpurefine-run")
    (wait,) = pods()["gpurefine-run"]["spec"]["initContainers"]
    assert {"name": "SCHEDULER", "value": address} in wait["env"]
    scheduler = arguments("gpurefine-scheduler")
    assert scheduler[scheduler.index("--port") + 1] == str(port["targetPort"])
    (container,) = pods()["gpurefine-scheduler"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == container["readinessProbe"]["tcpSocket"]["port"] == port["port"]


def test_the_commands_have_their_options():
    assert set(options_of(arguments("gpurefine-scheduler"))) <= real_options("scheduler")
    assert set(options_of(arguments("gpurefine-cpu-worker"))) <= real_options("worker")
    assert set(options_of(arguments("gpurefine-gpu-worker"))) <= cuda_worker_options()
    commands = typer.main.get_command(app).commands
    known = {name for each in commands["run"].params for name in each.opts}
    assert arguments("gpurefine-run")[:2] == ["gpurefine", "run"]
    assert set(options_of(arguments("gpurefine-run"))) <= known


def test_gpu_workers_get_a_gpu_and_one_allocator():
    (worker,) = pods()["gpurefine-gpu-worker"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == worker["resources"]["requests"]["nvidia.com/gpu"] == 1
    assert {"name": "NUMBA_CUDA_MEMORY_MANAGER", "value": "rmm.allocators.numba"} in worker["env"]
    for option in ("--resources=GPU=1", "--rmm-async", "--set-rmm-allocator-for-libs=cupy", "--enable-cudf-spill"):
        assert option in worker["args"]
    others = [each for each in containers() if each is not worker]
    assert not any("nvidia.com/gpu" in each["resources"].get("limits", {}) for each in others)


def test_a_run_waits_for_as_many_workers_as_there_are():
    (cpu,) = [word for word in arguments("gpurefine-cpu-worker") if word.startswith("--nworkers=")]
    a_pod = int(cpu.partition("=")[2])
    gpu_pods, cpu_pods = (find("Deployment", f"gpurefine-{kind}-worker")["spec"]["replicas"] for kind in ("gpu", "cpu"))
    (wait,) = pods()["gpurefine-run"]["spec"]["initContainers"]
    assert {"name": "WORKERS", "value": str(gpu_pods + cpu_pods * a_pod)} in wait["env"]
    assert pods()["gpurefine-cpu-worker"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] == str(a_pod)
    compile(wait["args"][2], "wait", "exec")


def test_all_that_read_or_write_documents_share_one_folder():
    claim = find("PersistentVolumeClaim", "gpurefine-data")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for name in ("gpurefine-gpu-worker", "gpurefine-cpu-worker", "gpurefine-run", "gpurefine-fetch"):
        volumes = {each["name"]: each for each in pods()[name]["spec"]["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        mounts = {each["name"]: each["mountPath"] for each in pods()[name]["spec"]["containers"][0]["volumeMounts"]}
        assert mounts["data"] == "/data" and set(mounts) == set(volumes)
    assert "GPUREFINE_CACHE=/data/" in (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("name", pods())
def test_nothing_runs_as_root_or_gains_rights(name):
    pod = pods()[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for each in (*pod.get("initContainers", ()), *pod["containers"]):
        assert not each["securityContext"]["allowPrivilegeEscalation"]
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in each["resources"]["limits"] and "cpu" in each["resources"]["requests"]
