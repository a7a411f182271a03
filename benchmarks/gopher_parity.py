"""Do ``repetition`` and ``quality`` decide as datatrove's Gopher filters do, given the same words?

    python benchmarks/gopher_parity.py TEXTS.parquet [--language en] [--limit N] [--spacy-limit N]

Three comparisons: white-space words on both sides with our defaults (kept or removed by both stages together); the same
with our switches set as datatrove counts (also the name of the failing rule of each stage); spaCy's words on both sides
with these switches. Each text on which the second or third differs is shown with its cause.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from datatrove.utils.text import PUNCTUATION_SET
from gopher_datatrove import OWN_SPLITTER, datatrove_rules, our_rules, print_machine, read_texts, use_words

from gpurefine.stages.quality import Quality
from gpurefine.stages.repetition import Repetition
from gpurefine.text.characters import SYMBOL, character_classes

AS_DATATROVE = ({"top_min_count": 1}, {"empty_lines": "counted"})


def cause(text: str, words: list[str]) -> str:
    """Which of the known differences of definition this text shows; '' for none."""
    classes = character_classes()
    plain_here = {word for word in set(words) if any(not classes[ord(character)] & SYMBOL for character in word)}
    plain_there = {word for word in set(words) if any(character not in PUNCTUATION_SET for character in word)}
    causes = []
    if plain_here != plain_there:
        example = min(plain_here ^ plain_there, key=lambda word: (len(word), word))
        causes.append(f"symbol words: {example!a} is {'a' if example in plain_here else 'no'} word here")
    if len(text.splitlines()) != text.count("\n") + (not text.endswith("\n")):
        causes.append("line breaks other than newlines")
    if text != text.strip():
        causes.append("white space around the text")
    return "; ".join(causes)


def compare(title: str, texts: list[str], ours: list[list[str]], theirs: list[list[str]], words_of=None) -> None:
    """Print how many decisions and names are equal, and the causes where they are not."""
    kept = [(not any(a), not any(b)) for a, b in zip(ours, theirs, strict=True)]
    equal = sum(a == b for a, b in kept)
    print(f"\n{title}: {len(texts)} texts")
    print(f"  kept or removed by both stages together: equal on {equal} ({equal / len(texts):.4%})")
    print(f"  kept here {sum(a for a, _ in kept)}, there {sum(b for _, b in kept)}")
    for index, stage in enumerate(("repetition", "quality")):
        different = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a[index] != b[index]]
        print(f"  failing rule of {stage}: equal on {len(texts) - len(different)}, different on {len(different)}")
        pairs = Counter((ours[i][index] or "stays", theirs[i][index] or "stays") for i in different)
        for (here, there), count in pairs.most_common():
            print(f"    {count:5} here {here}, there {there}")
        if words_of is not None:
            for i in different:
                reason = cause(texts[i], words_of(texts[i])) or "UNEXPLAINED"
                print(f"    text {i}: here {ours[i][index] or 'stays'}, there {theirs[i][index] or 'stays'}: {reason}")


def main() -> None:
    """Read the arguments, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="Parquet file with a column text (and lang)")
    parser.add_argument("--language", help="only rows with this lang")
    parser.add_argument("--limit", type=int, help="only the first so many texts")
    parser.add_argument("--spacy-limit", type=int, default=500, help="texts for the comparison with spaCy's words")
    options = parser.parse_args()
    texts = read_texts(options.texts, options.language, options.limit)
    print_machine()

    use_words(str.split)
    theirs = datatrove_rules(texts)
    compare("White-space words, our defaults", texts, our_rules([Repetition(), Quality()], texts), theirs)
    switched = [Repetition(**AS_DATATROVE[0]), Quality(**AS_DATATROVE[1])]
    compare("White-space words, datatrove's switches", texts, our_rules(switched, texts), theirs, str.split)

    use_words(None)
    texts = texts[: options.spacy_limit]
    switched = [Repetition(words="spacy", **AS_DATATROVE[0]), Quality(words="spacy", **AS_DATATROVE[1])]
    ours, theirs = our_rules(switched, texts), datatrove_rules(texts)
    compare("spaCy's words, datatrove's switches", texts, ours, theirs, OWN_SPLITTER)


if __name__ == "__main__":
    main()
