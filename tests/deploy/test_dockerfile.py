"""The Dockerfile takes RAPIDS as it is: a pinned base, and no package installed past the constraints."""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETUPTOOLS = SETTINGS["project"], SETTINGS["tool"]["setuptools"]


def test_the_base_is_the_rapids_of_the_extras():
    (base,) = [line.split()[1] for line in LINES if line.startswith("FROM")]
    release, cuda, python = re.fullmatch(r"rapidsai/base:(\d+\.\d+)-(cuda\d+)-py(\d\.\d+)", base).groups()
    extra = PROJECT["optional-dependencies"][cuda.replace("cuda", "cu")]
    (cudf,) = [text for text in extra if text.startswith("cudf-")]
    assert f">={release}," in cudf
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


def test_pip_installs_only_within_the_constraints():
    installs = re.findall(r"pip install [^&|;]*", TEXT)
    assert len(installs) == 1
    for command in installs:
        assert "--constraint constraints/rapids.txt" in command and "--constraint image.txt" in command
        (wanted,) = re.findall(r'"\.\[([^]]*)\]"', command)
        assert set(wanted.split(",")) <= set(PROJECT["optional-dependencies"])
        assert not set(wanted.split(",")) & {"cu12", "cu13"}  # they would come a second time, beside conda's
    assert "pip list --format=freeze > image.txt" in TEXT.partition("pip install")[0]


def test_the_build_sees_what_it_installs_and_nothing_else():
    ignored, *kept = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    names = {entry.removeprefix("!") for entry in kept if entry.startswith("!")}
    assert ignored == "**" and all((ROOT / name).exists() for name in names)
    homes = {"gpurefine", *SETUPTOOLS["package-dir"].values()}
    assert homes | {"pyproject.toml", "constraints", PROJECT["readme"], *PROJECT["license-files"]} == names


def test_the_image_has_the_version_of_the_project():
    (tag,) = set(re.findall(r"gpurefine:(\S+)", TEXT + (ROOT / "deploy" / "Dockerfile").read_text()))
    assert Version(tag) == Version(PROJECT["version"])
