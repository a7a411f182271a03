"""Articles of the demo crawl: no two alike, no marks of the notation left, and paragraphs that come from the files."""

import itertools
import re

import pytest

from gpurefine.demo.ordinary import LANGUAGE_CODES
from gpurefine.demo.prose import (
    ENGLISH_FIELDS,
    SHARED_WORDS,
    Article,
    english_articles,
    foreign_article,
    read_texts,
    sentences,
)


@pytest.fixture(scope="module")
def articles():
    return list(itertools.islice(english_articles(), 200))


def test_an_article_is_a_function_of_its_number_and_the_seed(articles):
    assert list(itertools.islice(english_articles(), 20)) == articles[:20]
    assert next(english_articles(seed=2)) not in articles


def test_articles_have_the_length_of_articles(articles):
    assert all(130 <= article.words <= 500 for article in articles)


def test_no_two_articles_share_a_long_run_of_words(articles):
    owner = {}
    for number, article in enumerate(articles):
        words = " ".join(article.paragraphs).split()
        for begin in range(len(words) - SHARED_WORDS + 1):
            assert owner.setdefault(tuple(words[begin : begin + SHARED_WORDS]), number) == number


def test_nothing_of_the_notation_is_left(articles):
    for article in articles:
        text = "\n".join((article.title, *article.paragraphs))
        assert not re.search(r"[{}|\[\]]|  |\n\n", text), text
        assert all(paragraph[-1] in ".!?" for paragraph in article.paragraphs)


def test_a_place_keeps_its_name_in_an_article():
    articles = itertools.islice(english_articles(), 40)
    bridges = [article for article in articles if "The stone bridge in" in " ".join(article.paragraphs)]
    assert bridges
    for article in bridges:
        towns = set(
            re.findall(r"(?:The stone bridge in|The swimming pool of) ([A-Z]\w+)", " ".join(article.paragraphs))
        )
        assert len(towns) == 1


@pytest.mark.parametrize("field", ENGLISH_FIELDS)
def test_english_material_is_whole(field):
    texts = read_texts(f"english_{field}")
    assert len(texts.paragraphs) == 10
    assert min(map(len, (texts.titles, texts.openings, texts.closings))) >= 3
    for text in itertools.chain(*vars(texts).values()):
        assert text.count("{") == text.count("}") and not re.search(r"\{[^}]*\{", text), text
        assert set(re.findall(r"\[\w+\]", text)) <= {"[name]", "[town]", "[river]", "[month]", "[season]"}
    assert all(len(sentences(paragraph)) >= 4 for paragraph in texts.paragraphs)


@pytest.mark.parametrize("language", LANGUAGE_CODES)
def test_material_in_other_languages(language):
    article = foreign_article(language, 1)
    assert len(article.paragraphs) == 3 and len(set(article.paragraphs)) == 3
    assert article != foreign_article(language, 2)
    assert article.title in read_texts(language).titles


def test_words_are_counted():
    assert Article("not counted", ("one two", "three")).words == 3
