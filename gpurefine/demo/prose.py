"""Articles of the demo crawl, composed out of the paragraphs in ``texts/`` before pages are made of them.

A text file holds lines ``title:``, ``opening:`` and ``closing:`` and paragraphs of one line each. In the English files
``{one|two}`` is a choice, and ``[name]``, ``[town]`` and the like are drawn once an article. Nothing here depends on
the clock, the machine or Python's hash seed: an article is a function of its number and of those before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

#: Fields that an English article can be about: the file names are ``english_<field>.txt``.
ENGLISH_FIELDS = ("nature", "water", "craft", "food", "town", "games", "travel", "home")

#: No two articles have this many words in a row in common, so that an article is nobody's near duplicate and no
#: span of 50 tokens (the length at which RefinedWeb cuts repeated substrings) occurs twice.
SHARED_WORDS = 30

NAMES = (
    "Agnes Torvall", "Bram Okafor", "Clara Wystan", "Dorit Lamm", "Edwin Marsh", "Freya Solberg", "Gideon Pyle",
    "Hanna Quist", "Ivo Bellweather", "Jutta Maron", "Kester Finch", "Leonie Abara", "Milos Hartwell", "Nora Ashdown",
    "Osric Vane", "Petra Lindqvist", "Quentin Rowe", "Rosa Tamblyn", "Silas Greenhow", "Tilda Moreau",
)  # fmt: skip
TOWNS = (
    "Aldermere", "Brackwater", "Cold Norton Fen", "Dunsley", "Eastrigg", "Fallowfield Green", "Gatherham",
    "Holm Sands", "Inglebeck", "Kettlewick", "Langmoor", "Mardle Bay", "Nethercote", "Oxbarrow", "Pennyhythe",
    "Quarley", "Ravensford", "Saltmarsh", "Thornaby Cross", "Underhill",
)  # fmt: skip
RIVERS = ("Ashel", "Brenn", "Corve", "Dallow", "Eske", "Fenwater", "Gillet", "Hathe", "Isling", "Lowin")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "September", "October", "November")
SEASONS = ("spring", "summer", "autumn", "winter")

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\[{])")
_BLANKS = re.compile(r" {2,}")


@dataclass(frozen=True)
class Texts:
    """The material of one file: title lines, first and last sentences, and paragraphs of one subject each."""

    titles: tuple[str, ...]
    openings: tuple[str, ...]
    closings: tuple[str, ...]
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Article:
    """A text to make a page of: it has a title and paragraphs without line breaks."""

    title: str
    paragraphs: tuple[str, ...]

    @property
    def words(self) -> int:
        """Words of the paragraphs, separated by white space."""
        return sum(len(paragraph.split()) for paragraph in self.paragraphs)


def read_texts(name: str) -> Texts:
    """The material of ``texts/<name>.txt``; lines that begin with ``#`` are comments."""
    kinds: dict[str, list[str]] = {"title": [], "opening": [], "closing": [], "": []}
    text = (files("gpurefine.demo") / "texts" / f"{name}.txt").read_text("utf-8")
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        kind, colon, rest = line.partition(": ")
        if colon and kind in kinds:
            kinds[kind].append(rest)
        else:
            kinds[""].append(line)
    return Texts(*(tuple(kinds[kind]) for kind in ("title", "opening", "closing", "")))


def english_articles(seed: int = 1) -> Iterator[Article]:
    """English articles of 130 to 500 words without end, each about one of the eight fields.

    Parameters
    ----------
    seed : another seed gives other articles of the same paragraphs
    """
    material = [read_texts(f"english_{field}") for field in ENGLISH_FIELDS]
    seen: set[str] = set()
    number = 0
    while True:
        number += 1
        # random.Random seeded with an int draws the same on every version of Python that the package supports
        source = random.Random(seed * 1_000_003 + number)
        article = _compose(material[number % len(material)], source)
        runs = _runs(article)
        if runs & seen:
            continue
        seen |= runs
        yield article


def foreign_article(language: str, number: int) -> Article:
    """An article in another language (the name of a file in ``texts/``): up to three paragraphs from the number-th."""
    texts = read_texts(language)
    first = number % len(texts.paragraphs)
    chosen = (texts.paragraphs[first:] + texts.paragraphs[:first])[:3]
    return Article(texts.titles[number % len(texts.titles)], chosen)


def sentences(paragraph: str) -> list[str]:
    """The sentences of an English paragraph."""
    return _SENTENCE_END.split(paragraph)


def _compose(texts: Texts, source: random.Random) -> Article:
    fixed = {
        "[name]": source.choice(NAMES),
        "[town]": source.choice(TOWNS),
        "[river]": source.choice(RIVERS),
        "[month]": source.choice(MONTHS),
        "[season]": source.choice(SEASONS),
    }
    subjects = source.sample(texts.paragraphs, source.choice((2, 2, 3, 3, 4, 5)))
    parts = [source.choice(texts.openings), *(_shorten(part, source) for part in subjects)]
    parts.append(source.choice(texts.closings))
    title = _fill(source.choice(texts.titles), fixed, source)
    return Article(title, tuple(_fill(part, fixed, source) for part in parts))


def _shorten(paragraph: str, source: random.Random) -> str:
    """Leave out one or two sentences, never the first."""
    parts = sentences(paragraph)
    for _ in range(source.choice((1, 1, 2))):
        del parts[source.randrange(1, len(parts))]
    return " ".join(parts)


def _fill(text: str, fixed: dict[str, str], source: random.Random) -> str:
    """Make the choices of a text and put the article's names in."""
    text = _CHOICE.sub(lambda found: source.choice(found[1].split("|")), text)
    for mark, word in fixed.items():
        text = text.replace(mark, word)
    return _BLANKS.sub(" ", text)


def _runs(article: Article) -> set[str]:
    """All runs of ``SHARED_WORDS`` words of an article."""
    words = " ".join(article.paragraphs).split()
    return {" ".join(words[i : i + SHARED_WORDS]) for i in range(len(words) - SHARED_WORDS + 1)}
