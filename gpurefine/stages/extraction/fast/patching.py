"""Attributes of other packages that are replaced, all of them at once, and put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Replacement:
    """One attribute: its owner and name, what the package has there and what stands in for it."""

    owner: Any
    name: str
    stock: Any
    fast: Any


class Patches:
    """What was replaced in this process, in order. A later replacement of an attribute builds on the earlier one."""

    def __init__(self) -> None:
        self._replaced: list[Replacement] = []
        self._forget: list[Callable[[], None]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute."""
        self._replaced.append(Replacement(owner, name, getattr(owner, name), value))
        setattr(owner, name, value)

    def keep(self, owner: Any, name: str) -> None:
        """Remember an attribute that a patch changes while it works, to be put back with the others."""
        value = getattr(owner, name)
        self._replaced.append(Replacement(owner, name, value, value))

    def at_end(self, forget: Callable[[], None]) -> None:
        """Have something called behind each page: a patch's notes would keep the page's tree alive."""
        self._forget.append(forget)

    def forget_page(self) -> None:
        """Drop what the patches noted about the page at hand."""
        for forget in self._forget:
            forget()

    def use_stock(self) -> None:
        """Put the packages' own attributes back."""
        for each in reversed(self._replaced):
            setattr(each.owner, each.name, each.stock)

    def use_fast(self) -> None:
        """Put the replacements in again."""
        for each in self._replaced:
            setattr(each.owner, each.name, each.fast)
