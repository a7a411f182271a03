"""YAML as people mean it: only ``true`` and ``false`` are booleans.

PyYAML follows YAML 1.1, where ``off``, ``no`` and ``on`` are booleans too: ``blocklist: off`` and the language code
``no`` (Norwegian) would arrive as False.
"""

from __future__ import annotations

import re
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    pass


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


def parse_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises
    ------
    yaml.YAMLError
        if it is not YAML
    """
    return yaml.load(text, Loader=_Loader)  # a SafeLoader: plain values only
