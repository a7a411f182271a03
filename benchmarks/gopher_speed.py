"""How fast are ``repetition`` and ``quality``, against datatrove's two Gopher filters on the same texts and core?

    python benchmarks/gopher_speed.py TEXTS.parquet [--language en] [--limit 300] [--rounds 5]

Processor time of this process. Ours is measured through the stages, from a batch to verdicts, with compiled kernels and
nothing measured before; datatrove's once with its own words (spaCy) and once with the words handed to it for nothing.
All are timed in each round, one after the other; the ratios are those within a round, of which the median is shown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from gopher_datatrove import OWN_SPLITTER, batches_of, datatrove_rules, print_machine, read_texts, use_words

from gpurefine.documents import Batch
from gpurefine.stages.quality import Quality
from gpurefine.stages.repetition import Repetition

#: Our stages go over the texts this often in a round, because once is too short for the clock.
PASSES = 20


def seconds(work) -> float:
    """Processor seconds of one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="Parquet file with a column text (and lang)")
    parser.add_argument("--language", help="only rows with this lang")
    parser.add_argument("--limit", type=int, default=300, help="only the first so many texts")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts = read_texts(options.texts, options.language, options.limit)
    size = sum(len(text.encode()) for text in texts)
    batches = batches_of(texts)
    stages = [Repetition(), Quality()]
    given = {text: OWN_SPLITTER(text) for text in texts}

    def ours() -> None:
        for _ in range(PASSES):
            for batch in batches:
                fresh = Batch(batch.frame)
                for stage in stages:
                    stage.apply(fresh)

    def theirs() -> None:
        datatrove_rules(texts)

    ours()
    rates = {"ours": [], "datatrove, spaCy": [], "datatrove, words given": []}
    for _ in range(options.rounds):
        rates["ours"].append(len(texts) * PASSES / seconds(ours))
        use_words(None)
        rates["datatrove, spaCy"].append(len(texts) / seconds(theirs))
        use_words(given.__getitem__)
        rates["datatrove, words given"].append(len(texts) / seconds(theirs))

    print_machine()
    print(f"{len(texts)} texts, {size / len(texts):,.0f} bytes each; {options.rounds} rounds, one core, processor time")
    for name, values in rates.items():
        ratios = sorted(a / b for a, b in zip(rates["ours"], values, strict=True))
        rate = statistics.median(values)
        print(
            f"{name:24} {rate:10,.1f} documents/s {rate * size / len(texts) / 1e6:8.2f} MB/s"
            f"   ours is {statistics.median(ratios):7.1f} times as fast ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        )


if __name__ == "__main__":
    main()
