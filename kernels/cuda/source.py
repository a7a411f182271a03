"""The text of a CUDA C kernel as one piece, which is what compilers on any machine are given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent
_INCLUDE = re.compile(r'^#include "([\w.]+)"$', re.M)


def kernel_source(name: str) -> str:
    """The text of ``NAME.cu`` with our own headers, each once, in the place of their ``#include`` lines.

    A compiler that keeps machine code by the text it was given (CuPy does) so sees a change in a header as well.

    Parameters
    ----------
    name : file name in this folder, without its ending
    """
    return _with_headers(f"{name}.cu", set())


def header_source(name: str) -> str:
    """The text of ``NAME.cuh`` as of ``kernel_source``, for tests that write a kernel of their own behind it."""
    return _with_headers(f"{name}.cuh", set())


def _with_headers(name: str, taken: set[str]) -> str:
    taken.add(name)
    text = (_FOLDER / name).read_text("utf-8").replace("#pragma once\n", "")
    return _INCLUDE.sub(lambda found: "" if found[1] in taken else _with_headers(found[1], taken), text)


def compiler_options(sizes: Mapping[str, int]) -> tuple[str, ...]:
    """The options that all compilers understand: the language's version, and sizes as macros.

    Parameters
    ----------
    sizes : value of each macro
    """
    return ("--std=c++17", *(f"-D{name}={value}" for name, value in sizes.items()))
