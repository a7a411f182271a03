"""Spans of tokens that occur twice, found by a dictionary of all windows; imports nothing of ours."""

from collections import defaultdict


def duplicate_spans(documents, length, keep_first=False):
    """For each row of tokens the union of its windows that have a copy: pairs of first token and the one behind."""
    places = defaultdict(list)
    for document, tokens in enumerate(documents):
        for first in range(len(tokens) - length + 1):
            places[tuple(tokens[first : first + length])].append((document, first))
    covered = [set() for _ in documents]
    for copies in places.values():
        if len(copies) > 1:
            for document, first in copies[keep_first:]:
                covered[document].add(first)
    return [_union(sorted(each), length) for each in covered]


def _union(firsts, length):
    spans = []
    for first in firsts:
        if spans and first <= spans[-1][1]:
            spans[-1][1] = first + length
        else:
            spans.append([first, first + length])
    return spans
