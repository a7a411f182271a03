"""The project's files agree with each other, and the filter and dedup parts import without the extraction packages."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_environment_yml_lists_what_pyproject_lists():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == PROJECT["project"]["dependencies"]
    assert f"python{PROJECT['project']['requires-python']}" in plain


def test_base_dependencies_have_lower_bounds_only_and_no_gpu_package():
    for text in PROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        assert [specifier.operator for specifier in requirement.specifier] == [">="], text
        assert not any(word in requirement.name for word in ("cudf", "cupy", "rmm", "dask-cuda", "nvidia"))


@pytest.mark.parametrize("extra", ["cu12", "cu13"])
def test_the_constraints_file_holds_the_caps_of_the_gpu_extras(extra):
    text = (ROOT / "constraints" / "rapids.txt").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    constraints = {Requirement(line).name: Requirement(line).specifier for line in lines}
    for text in PROJECT["project"]["optional-dependencies"][extra]:
        requirement = Requirement(text)
        if requirement.name in constraints:
            caps = {str(s) for s in requirement.specifier if s.operator == "<"}
            assert caps <= {str(s) for s in constraints[requirement.name]}, text


def test_every_package_folder_is_installed():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    homes = {"gpurefine": "gpurefine", "kernels": "gpurefine.kernels", "configs": "gpurefine.configs"}
    for top, package in homes.items():
        for path in (ROOT / top).rglob("__init__.py"):
            parts = path.parent.relative_to(ROOT / top).parts
            assert ".".join([package, *parts]) in listed


def test_filter_and_dedup_parts_import_without_the_extraction_packages():
    blocked = ["trafilatura", "fasttext", "fastwarc", "lxml", "justext", "chardet", "brotli", "resiliparse"]
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is not to be imported here")
sys.meta_path.insert(0, Refuse())
import gpurefine.kernels, gpurefine.frames, gpurefine.documents, gpurefine.config
import gpurefine.stages.urls, gpurefine.stages.repetition, gpurefine.stages.quality, gpurefine.stages.lines
import gpurefine.stages.language, gpurefine.stages.extract
import gpurefine.dedup.exact, gpurefine.dedup.keys, gpurefine.dedup.collisions, gpurefine.dedup.survivors
gpurefine.config.load_pipeline("refinedweb")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reference_of_presets_and_parameters_is_what_the_classes_say():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_reference.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
