"""Machine code that Numba kept must never be older than the functions it was made from."""

import ast
import hashlib
import importlib
from pathlib import Path

import pytest

import gpurefine
from gpurefine.kernels import scalar

KERNELS = Path(scalar.__file__).parent
PACKAGE = "gpurefine.kernels."


def modules_used_by(path):
    """Files of the kernel modules that a file takes something from, by themselves or through others."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(PACKAGE):
            used = KERNELS / (node.module.removeprefix(PACKAGE).replace(".", "/") + ".py")
            found |= {used} | modules_used_by(used)
    return found


#: Files with kernels whose machine code is kept -> the kernel modules that these take something from.
KEPT = {
    path: sorted(modules_used_by(path))
    for folder in {KERNELS, Path(gpurefine.__file__).parent}
    for path in sorted(folder.rglob("*.py"))
    if "cache=True" in path.read_text("utf-8")
}


def test_all_kept_kernels_are_known():
    used = {path.stem: {module.stem for module in modules} for path, modules in KEPT.items()}
    statistics = {"scalar", "grouping", "lines", "ngrams", "words"}
    assert used == {
        "stats": statistics,
        "all_copies": statistics,
        "band_collisions": {"collisions", "components", "scalar"},
        "candidates": {"collisions", "scalar"},
        "collisions": {"scalar"},
        "editdistance": set(),
        "jaccard": set(),
        "components": set(),
        "copies": {"collisions", "scalar"},
        "numbersets": {"components", "scalar"},
        "gpt2": {"scalar", "grouping", "bytepairs", "pretokens"},
        "linekeys": {"digests", "grouping", "normalise", "scalar"},
        "minhash": {"lanes", "minhashing"},
        "normalise": {"grouping", "scalar"},
        "origins": {"grouping", "normalise", "scalar"},
        "shingles": {"minhashing", "scalar"},
        "spans": set(),
        "tags": set(),
        "visible": {"tags"},
        "windows": {"scalar"},
    }


@pytest.mark.parametrize("path", [path for path, used in KEPT.items() if used], ids=lambda path: path.stem)
def test_a_change_in_a_module_it_uses_shows_in_the_kernels_own_file(path):
    module = importlib.import_module(f"{PACKAGE}cpu.{path.stem}")
    assert Path(module.__file__) == path
    checksum = hashlib.sha256(b"".join(used.read_bytes() for used in KEPT[path])).hexdigest()
    assert checksum == module.COMPILED_FROM, f"{module.__name__}: set COMPILED_FROM to {checksum!r}"
