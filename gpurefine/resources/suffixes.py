"""Public suffixes (``com``, ``co.uk``, ``github.io``): names under which strangers register, so no entry may be one.

The list is Mozilla's, as the package ``tld`` carries it; it is read from that package's data file, never updated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from gpurefine.text.urlparts import host_of


@dataclass(frozen=True)
class SuffixRules:
    """Names, names below which every label is a suffix too (``*.ck``), and exceptions from these (``!www.ck``)."""

    names: frozenset[str]
    wildcards: frozenset[str]
    exceptions: frozenset[str]

    def covers(self, host: str) -> bool:
        """Whether ``host`` is itself a public suffix; a name without a dot is one (an IPv6 address is none)."""
        if "." not in host:
            return ":" not in host
        if host in self.exceptions:
            return False
        return host in self.names or host.partition(".")[2] in self.wildcards


def public_suffixes() -> SuffixRules:
    """The rules of the public suffix list, its private part included; names in ASCII form."""
    names, wildcards, exceptions = set(), set(), set()
    text = (files("tld") / "res" / "effective_tld_names.dat.txt").read_text("utf-8")
    for line in text.splitlines():
        rule = line.strip()
        if not rule or rule.startswith("//"):
            continue
        if rule.startswith("!"):
            exceptions.add(host_of(rule[1:]))
        elif rule.startswith("*."):
            wildcards.add(host_of(rule[2:]))
        else:
            names.add(host_of(rule))
    return SuffixRules(frozenset(names), frozenset(wildcards), frozenset(exceptions))
