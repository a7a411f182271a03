"""What differs between the manifest in a run directory and that of the run which is to go on there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What changed, each as ``path: old -> new``."""
    found: list[str] = []
    for part in ("pipeline", "provided", "versions"):
        _walk(old[part], new[part], part, found)
    names = [{file["name"]: (file["size"], file.get("tag")) for file in manifest["inputs"]} for manifest in (old, new)]
    if names[0] != names[1]:
        changed = sorted(name for name in names[0].keys() | names[1].keys() if names[0].get(name) != names[1].get(name))
        found.append(f"inputs ({', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''})")
    return found or ["inputs"]


def _walk(old: Any, new: Any, path: str, found: list[str]) -> None:
    pairs: Iterable[tuple[Any, Any, Any]]
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = [(key, old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new])]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(index, a, b) for index, (a, b) in enumerate(zip(old, new, strict=True))]
    else:
        if old != new:
            found.append(f"{path} ({_short(old)} -> {_short(new)})")
        return
    for key, a, b in pairs:
        _walk(a, b, f"{path}.{key}", found)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
