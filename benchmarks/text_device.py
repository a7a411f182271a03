"""How fast are the CUDA kernels on text, beside the device's own copies? Needs a GPU and CuPy.

    python benchmarks/text_device.py [--megabytes 256] [--rounds 5] [--out FILE.md]

First each kernel's results on ragged texts (empty, long, of all alphabets, of blanks) are compared with the CPU's, to
the bit; a difference ends the program with status 1. Then kernels and limits take turns on generated texts of 2 KB on
average (generated.py). Rates are of the text that goes in; for what works on units, of the units too. The limit of what
passes over text is a copy of it within the device, which reads and writes each byte once: nothing can be as fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from device import Contender, median_seconds, open_cupy, rates, rates_page
from generated import generate
from machine import publish

from gpurefine import kernels
from gpurefine.kernels.cuda import normalise, shingles, stats
from gpurefine.kernels.cuda.device import to_device, to_host
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import gpt2_tokenizer
from gpurefine.text.characters import character_classes
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.languages import load_language
from gpurefine.text.unicode import normalisation_table

#: Texts that kernels are compared on, beside generated ones.
RAGGED = (
    "", " ", "a", "\n\n\n", "word " * 3000, "Ünïcödé — «weiß» ΣΊΣΥΦΟΣ ΐ", "日本語のテキスト。\n二行目", "🙂" * 50 + "…",
    "don't we'll I'M 12345 6789 ... !!! \t\r\n end", "", "\u2028\u0085\u3000x", "a" * 5000, "• item\n- item\n* item\n",
    "the same line\n" * 40 + "the same paragraph\n\n" * 40,
)  # fmt: skip


def buffers(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts as bytes and int64 offsets."""
    encoded = [text.encode() for text in texts]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)], dtype=np.int64)


class OnDevice:
    """The kernels with their tables on the device, each from text (or units) to its results there.

    Parameters
    ----------
    tokenizer : keeps its vocabulary on the device
    stop_words : uint64 hashes
    """

    def __init__(self, tokenizer: Gpt2Tokenizer, stop_words: np.ndarray) -> None:
        table = normalisation_table("blank")
        self.tables = tuple(map(to_device, (table.ascii_map, table.place, table.replacements)))
        self.classes, self.stop_words = to_device(character_classes()), to_device(stop_words)
        self.tokenizer = tokenizer

    def normalise(self, data: Any, offsets: Any) -> tuple[Any, Any]:
        """Normalised text."""
        return normalise.normalise_text(data, offsets, *self.tables)

    def statistics(self, data: Any, offsets: Any) -> tuple[Any]:
        """A row of counts a document."""
        return (stats.text_statistics(data, offsets, self.classes, self.stop_words),)

    def tokens(self, data: Any, offsets: Any) -> tuple[Any, Any]:
        """GPT-2 tokens."""
        return self.tokenizer.tokens(data, offsets)

    def token_counts(self, data: Any, offsets: Any) -> tuple[Any]:
        """How many GPT-2 tokens each document has."""
        return (self.tokenizer.count(data, offsets),)

    def words(self, data: Any, offsets: Any) -> tuple[Any, Any]:
        """Hashes of words."""
        return shingles.word_units(data, offsets, self.classes)

    def characters(self, data: Any, offsets: Any) -> tuple[Any, Any]:
        """Code points."""
        return shingles.character_units(data, offsets)


def on_host(tokenizer: Gpt2Tokenizer, stop_words: np.ndarray) -> dict[str, Callable]:
    """The CPU's side of each method of ``OnDevice``, by its name."""
    from gpurefine.text.normalise import normalise as normalise_on_host

    classes = character_classes()
    return {
        "normalise": normalise_on_host,
        "statistics": lambda data, offsets: (kernels.text_statistics(data, offsets, classes, stop_words),),
        "tokens": tokenizer.tokens,
        "token_counts": lambda data, offsets: (tokenizer.count(data, offsets),),
        "words": lambda data, offsets: kernels.word_units(data, offsets, classes),
        "characters": kernels.character_units,
    }


def differing(device: OnDevice, host: dict[str, Callable], data: np.ndarray, offsets: np.ndarray) -> list[str]:
    """A sentence for each kernel whose results are not the CPU's; shingles are compared too, of each kind of unit."""
    there = to_device(data), to_device(offsets)
    found = []

    def compare(name: str, ours: tuple, expected: tuple) -> None:
        for number, (one, other) in enumerate(zip(map(to_host, ours), expected, strict=True)):
            if one.dtype != other.dtype or not np.array_equal(one, other):
                found.append(f"{name}: array {number} of {one.dtype} {one.shape} differs from the CPU's")

    for name, expected in host.items():
        ours, theirs = getattr(device, name)(*there), expected(data, offsets)
        compare(name, ours, theirs)
        if name in ("tokens", "words", "characters"):
            compare(f"shingles of {name}", shingles.shingle_hashes(*ours, 5), kernels.shingle_hashes(*theirs, 5))
    return found


def contenders(cupy: ModuleType, device: OnDevice, data: np.ndarray, offsets: np.ndarray) -> list[Contender]:
    """Limits and kernels on one batch of texts."""
    size = float(data.size)
    text, starts = to_device(data), to_device(offsets)
    target = cupy.empty_like(text)
    normal, normal_starts = device.normalise(text, starts)
    tokens, token_starts = device.tokens(normal, normal_starts)

    def copy() -> None:
        target[:] = text

    passes = {
        "statistics": (device.statistics, text, starts),
        "normalise": (device.normalise, text, starts),
        "GPT-2 tokens of normalised text": (device.tokens, normal, normal_starts),
        "GPT-2 token counts": (device.token_counts, text, starts),
        "words": (device.words, text, starts),
        "characters": (device.characters, text, starts),
        "shingles of 5 tokens": (lambda *units: shingles.shingle_hashes(*units, 5), tokens, token_starts),
    }

    def whole() -> None:
        shingles.shingle_hashes(*device.tokens(*device.normalise(text, starts)), 5)

    found = [
        Contender("copy", copy, size, "B of text"),
        Contender("copy from the host", lambda: cupy.asarray(data), size, "B of text"),
    ]
    for name, (function, *arguments) in passes.items():
        found.append(
            Contender(name, lambda call=function, given=arguments: call(*given), size, "B of text", limit="copy")
        )
    found.append(Contender("text to shingles", whole, size, "B of text", limit="copy"))
    return found


def main() -> int:
    """Compare, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=256, help="text of a batch, about")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the table to this file")
    options = parser.parse_args()
    opened = open_cupy()
    if opened is None:
        return 2
    cupy, name = opened
    tokenizer = gpt2_tokenizer(default_resources(offline=True))
    stop_words = kernels.word_hashes(*buffers(sorted(load_language("en").stop_words)))
    device = OnDevice(tokenizer, stop_words)
    sample = generate(1, 0, 40)
    ragged = [*RAGGED, *(sample.data[slice(*ends)].tobytes().decode() for ends in pairwise(sample.offsets))]
    if wrong := differing(device, on_host(tokenizer, stop_words), *buffers(ragged)):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    documents = generate(2, 0, max(1, round(options.megabytes * 1e6 / 2000)))
    measured = contenders(cupy, device, documents.data, documents.offsets)
    table = rates(measured, median_seconds(cupy, measured, options.rounds))
    told = (
        f"{documents.data.size / 1e6:.1f} MB of text in {documents.offsets.size - 1:,} documents, {options.rounds} "
        f"rounds in turns. The results on {len(ragged)} ragged texts were the CPU's."
    )
    publish(rates_page(f"Kernels on text on {name}", told, table), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
