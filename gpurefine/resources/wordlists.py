"""Lists of words and of domains as parameters: given in the config, in a text file, or built in (``configs/words``)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from gpurefine.errors import ConfigError, ResourceError

#: A list spelled out, or the path of a text file with one entry a line; ``#`` begins a comment.
WordList = tuple[str, ...] | str


def entries_of(words: WordList) -> list[str]:
    """The entries of a list in their order, without comments and blank lines.

    Raises
    ------
    ResourceError
        if the file is not there or not UTF-8 text
    """
    if not isinstance(words, str):
        return list(words)
    try:
        return _entries(Path(words).expanduser().read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ResourceError(f"cannot read the list {words}: {reason}; expected a text file, one entry a line") from None


def builtin_entries(name: str) -> list[str]:
    """The entries of a list that comes with gpurefine.

    Raises
    ------
    ConfigError
        if there is no list of that name
    """
    path = files("gpurefine.configs") / "words" / f"{name}.txt"
    if not path.is_file():
        raise ConfigError(f"gpurefine has no built-in list '{name}'")
    return _entries(path.read_text("utf-8"))


def _entries(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
