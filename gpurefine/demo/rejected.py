"""Pages of the demo crawl that the text rules refuse: one or more for each rule of repetition, quality and lines.

Each is built so that it passes all rules that come before the one it shows. For a rule that compares a share of the
text with a limit, prose is added until the share lies between that limit and the one that an earlier rule would hit
(limits: Gopher, arXiv 2112.11446, table A1; RefinedWeb, arXiv 2306.01116, 3.2 and G.2).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice, zip_longest

from gpurefine.demo import templates
from gpurefine.demo.prose import Article, read_texts, sentences
from gpurefine.demo.records import Page

#: Share of the text at which the phrases of n words lie: above the limit of the rule for n, at or below those before.
PHRASE_SHARES = {2: 0.24, 3: 0.19, 4: 0.17, 5: 0.165, 6: 0.145, 7: 0.135, 8: 0.125, 9: 0.115, 10: 0.105}

#: A line break that was escaped twice. Extraction makes single line ends of all white space in a page, then undoes
#: escapes once more, so that only these become empty lines: the one way for a page to have paragraphs.
LINE_BREAK = "&amp;#10;"

_SITE = "https://odd.example"


def repetitive_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Pages for the thirteen rules of ``repetition``; ``repetition:empty`` cannot be reached after ``extract``."""
    paragraphs = _sentences(articles, 4)
    yield _page("dup_para_frac", _paragraphs_line([*paragraphs, paragraphs[0], paragraphs[1]]))
    long = " ".join(_sentences(articles, 5))
    yield _page("dup_para_char_frac", _paragraphs_line([long, *_sentences(articles, 4), long]))
    refrain = "Back to the list of all our letters"
    yield _page("dup_line_frac", [part for line in _sentences(articles, 14) for part in (line, refrain)])
    yield _page("dup_line_char_frac", [long, *_sentences(articles, 6), long])
    for words, share in PHRASE_SHARES.items():
        rule = f"top_{words}" if words < 5 else f"dup_{words}"
        yield _page(rule, _with_phrases(_phrases(words), share, words < 5, articles))


def odd_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Pages for the eight rules of ``quality``, both sides of the two that have two."""
    texts = _odd_texts()
    yield _quality("words", [" ".join(_sentences(articles, 3)[:2])], 1)
    yield _quality("words", [_salad(articles, 100_050)], 2)
    yield _quality("mean_word_length", texts["long"], 1)
    yield _quality("mean_word_length", texts["short"], 2)
    tagged = [" ".join(_marked(line.split(), "#{}", 5)) for line in _sentences(articles, 9)]
    yield _quality("hash", tagged, 1)
    dotted = [" ".join(_marked(line.split(), "{}...", 6)) + " so it was." for line in _sentences(articles, 9)]
    yield _quality("ellipsis", dotted, 1)
    bullets = "".join(f"<li>{line}</li>" for line in texts["bullet"])
    html = templates.page_of_lines("To do", []).replace("</article>", f"<ul>{bullets}</ul></article>")
    yield Page(f"{_SITE}/bullet_lines/1", "quality:bullet_lines", html.encode())
    yield _quality("bullet_lines", [f"\u2022 {line}" for line in texts["bullet"]], 2)
    yield _quality("ellipsis_lines", texts["teaser"], 1)
    yield _quality("alphabetic", texts["shelf"], 1)
    yield _quality("stop_words", texts["catalogue"], 1)


def flagged_pages(articles: Iterator[Article]) -> Iterator[Page]:
    """Pages of which the line rules would remove more than 5 % of the words.

    ``lines:empty`` cannot be reached: to leave nothing, all words would have to go.
    """
    counters = ["12 likes", "3 shares", "Comments: 4", "1.2K views", "17 retweets", "5 replies", "9 votes", "2 likes"]
    headings = ["OUR OPENING HOURS AND PRICES", "CALL US ANY TIME", "BOOK YOUR SEATS TODAY", "ALL OFFERS END SOON"]
    menu = [
        "Sign in to write a comment",
        "Sign up for letters",
        "Read more",
        "3 items in cart",
        "Sign in",
        "Home",
        "Top",
    ]
    for number, lines in enumerate((counters, headings, menu), start=1):
        prose = _sentences(articles, 9)
        mixed = [part for pair in zip_longest(prose, lines) for part in pair if part]
        html = templates.page_of_lines("A page with much around it", mixed)
        yield Page(f"https://flagged.example/{number}", "lines:flagged", html.encode())


def _page(rule: str, lines: list[str]) -> Page:
    html = templates.page_of_lines("The same again", lines)
    return Page(f"https://again.example/{rule}", f"repetition:{rule}", html.encode())


def _quality(rule: str, lines: list[str], number: int) -> Page:
    html = templates.page_of_lines("An odd page", lines)
    return Page(f"{_SITE}/{rule}/{number}", f"quality:{rule}", html.encode())


def _sentences(articles: Iterator[Article], count: int) -> list[str]:
    """The next sentences of fresh articles."""
    return list(islice(_fresh_sentences(articles), count))


def _fresh_sentences(articles: Iterator[Article]) -> Iterator[str]:
    """Sentences of 40 to 160 characters of fresh articles without end, each once."""
    seen: set[str] = set()
    for article in articles:
        for paragraph in article.paragraphs[1:-1]:
            # the first sentence of a paragraph names its subject and would come too often
            for sentence in sentences(paragraph)[1:]:
                if 40 <= len(sentence) <= 160 and sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _paragraphs_line(paragraphs: list[str]) -> list[str]:
    """One line of HTML whose text is these paragraphs with empty lines between."""
    return [(LINE_BREAK * 2).join(paragraphs)]


def _with_phrases(phrases: list[str], share: float, inside: bool, articles: Iterator[Article]) -> list[str]:
    """Lines of prose between which phrases are repeated until they are that share of the text.

    Parameters
    ----------
    phrases : said in turn, 24 times together
    share : for phrases inside sentences, all their characters / those of the text; for phrases that are sentences,
        the characters without blanks of all but the first copies / those of the text
    inside : put the phrase in front of a sentence's last word instead of behind the sentence
    """
    said = [phrases[number % len(phrases)] for number in range(24)]
    counted = sum(map(len, said)) if inside else sum(len(phrase.replace(" ", "")) for phrase in said[len(phrases) :])
    room = counted / share - sum(map(len, said))
    prose: list[str] = []
    for line in _fresh_sentences(articles):
        if room < len(line):
            break
        prose.append(line)
        room -= len(line) + 1
    lines = []
    for number, line in enumerate(prose):
        here = said[number * len(said) // len(prose) : (number + 1) * len(said) // len(prose)]
        for phrase in here:
            line = " ".join([*line.split()[:-1], phrase, line.split()[-1]]) if inside else f"{line} {phrase}"
        lines.append(line)
    return lines


def _phrases(words: int) -> list[str]:
    return [line for line in read_texts("refrains").paragraphs if len(line.split()) == words]


def _salad(articles: Iterator[Article], words: int) -> str:
    """Words of an article drawn at random: too many for a document, yet no run of them is said again."""
    source = random.Random(words)
    vocabulary = sorted({word for word in " ".join(next(articles).paragraphs).split() if word.isalpha()})[:64]
    return " ".join(source.choice(vocabulary) for _ in range(words))


def _marked(words: list[str], mark: str, every: int) -> list[str]:
    """The words, one in ``every`` put into the mark."""
    return [mark.format(word) if number % every == 0 else word for number, word in enumerate(words)]


def _odd_texts() -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    text = (files("gpurefine.demo") / "texts" / "odd.txt").read_text("utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            kind, _, rest = line.partition(": ")
            kinds.setdefault(kind, []).append(rest)
    return kinds
