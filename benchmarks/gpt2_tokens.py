"""How fast are GPT-2 tokens by the table of words, against tiktoken on the same texts and core?

    python benchmarks/gpt2_tokens.py TEXTS.parquet [--language en] [--rounds 5] [--words 131072]

Processor time of this process; kernels are compiled before. ``new``: a tokenizer that never saw a text; ``again``: the
same texts a second time, so that it knows their words; ``count`` as that, without writing tokens. tiktoken encodes with
``encode_ordinary_batch`` and one thread and keeps no words. All are timed in each round, one after the other; ratios
are those within a round, of which the median is shown. Both must give the same tokens.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tiktoken
from machine import describe, markdown
from tiktoken_ext.openai_public import r50k_pat_str

from gpurefine.frames import string_column, text_buffers
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import merge_ranks, model_path, provide_model
from gpurefine.text.gpt2 import WORDS, Gpt2Tokenizer
from gpurefine.text.normalise import normalise


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="Parquet file with a column text (and lang)")
    parser.add_argument("--language", help="only rows with this lang")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--words", type=int, default=WORDS, help="words that the table holds")
    options = parser.parse_args()
    resources = default_resources()
    provide_model("gpt2-vocab.bpe", resources)
    ranks = merge_ranks(model_path("gpt2-vocab.bpe", resources).read_text("utf-8"))
    oracle = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})
    print("\n".join(describe()), f"tiktoken {version('tiktoken')}.")
    rows = []
    raw = text_buffers(string_column(read_texts(options.texts, options.language)))
    for name, buffers in (("as they are", raw), ("normalised", normalise(*raw))):
        rows += measure(name, buffers, ranks, oracle, options)
    print("\n".join(markdown(["texts", "MB", "program", "MB/s", "times tiktoken", "lowest to highest"], rows)))


def read_texts(path: Path, language: str | None) -> list[str]:
    """The texts of a Parquet file, of one language or all."""
    filters = None if language is None else [("lang", "=", language)]
    return [text for text in pq.read_table(path, columns=["text"], filters=filters)["text"].to_pylist() if text]


def measure(name, buffers, ranks, oracle, options) -> list[list[str]]:
    """Rows of the table for one kind of text."""
    data, offsets = buffers
    texts = [data[begin:end].tobytes().decode() for begin, end in itertools.pairwise(offsets)]
    tokenizer = Gpt2Tokenizer(ranks, options.words)
    tokens, starts = tokenizer.tokens(data, offsets)
    wanted = oracle.encode_ordinary_batch(texts, num_threads=1)
    assert np.diff(starts).tolist() == [len(document) for document in wanted]
    assert tokens.tolist() == list(itertools.chain.from_iterable(wanted)), "tokens differ"
    del wanted
    times = {"new": [], "again": [], "count": [], "tiktoken": []}
    for _ in range(options.rounds):
        fresh = Gpt2Tokenizer(ranks, options.words)
        times["new"].append(seconds(lambda: fresh.tokens(data, offsets)))  # noqa: B023 -- called at once
        times["again"].append(seconds(lambda: tokenizer.tokens(data, offsets)))
        times["count"].append(seconds(lambda: tokenizer.count(data, offsets)))
        times["tiktoken"].append(seconds(lambda: oracle.encode_ordinary_batch(texts, num_threads=1)))
    size = int(offsets[-1] - offsets[0]) / 1e6
    rows = []
    for program, measured in times.items():
        ratios = sorted(theirs / ours for ours, theirs in zip(measured, times["tiktoken"], strict=True))
        spread = [f"{statistics.median(ratios):.1f}", f"{ratios[0]:.1f} to {ratios[-1]:.1f}"]
        rate = f"{size / statistics.median(measured):.1f}"
        rows.append([name, f"{size:.1f}", program, rate, *(spread if program != "tiktoken" else ["", ""])])
    return rows


def seconds(work) -> float:
    """Processor seconds of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
