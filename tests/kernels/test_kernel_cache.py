"""Machine code that Numba kept must never be older than the kernels it was made from."""

import ast
import hashlib
from pathlib import Path

import pytest

from gpurefine.kernels import cpu, scalar
from gpurefine.kernels.cpu import all_copies, stats

ROOT = Path(scalar.__file__).parent
PACKAGE = "gpurefine.kernels."
assert Path(cpu.__file__).parent == ROOT / "cpu"


def modules_used_by(path):
    """Files of the kernel modules that a file takes something from, by themselves or through others."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith(PACKAGE):
            used = ROOT / (node.module.removeprefix(PACKAGE).replace(".", "/") + ".py")
            found |= {used} | modules_used_by(used)
    return found


@pytest.mark.parametrize("module", [stats, all_copies], ids=["stats", "all_copies"])
def test_a_change_in_a_module_it_uses_shows_in_the_kernels_own_file(module):
    used = sorted(modules_used_by(Path(module.__file__)))
    assert len(used) == 5  # scalar, grouping, lines, words, ngrams
    checksum = hashlib.sha256(b"".join(path.read_bytes() for path in used)).hexdigest()
    assert checksum == module.COMPILED_FROM, f"{module.__name__}: set COMPILED_FROM to {checksum!r}"
