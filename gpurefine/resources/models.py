"""Models and vocabularies: in the cache, fetched on demand, or files of the user's own.

Stages call ``provide_model`` before a run writes anything and ``model_path`` in the workers, which never fetch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from gpurefine.errors import ResourceError
from gpurefine.resources.cache import Resources, sha256_of
from gpurefine.resources.download import FetchError, read_known, write_whole
from gpurefine.resources.registry import MODELS, KnownFile
from gpurefine.text.gpt2 import Gpt2Tokenizer


def provide_model(name: str, resources: Resources) -> dict[str, str]:
    """Make sure that a model is on this machine.

    Parameters
    ----------
    name : a name of ``registry.MODELS`` (``lid.176.ftz``), or the path of a file, which is used as it is
    resources : its cache holds the fetched models; with ``offline`` nothing is fetched

    Returns
    -------
    ``{"name": ..., "sha256": ...}`` for the manifest; the name of a file given by path is its last part

    Raises
    ------
    ResourceError
        if it is neither known nor a file, or cannot be had; the sentence says what to do
    """
    if name not in MODELS:
        path = model_path(name, resources)
        return {"name": path.name, "sha256": sha256_of(path)}
    model = MODELS[name]
    path = _cached(model, resources)
    if not _is_whole(path, model):
        if resources.offline:
            raise ResourceError(_missing(model, path, "the network is not to be used"))
        try:
            write_whole(path, read_known(model))
        except FetchError as error:
            raise ResourceError(_missing(model, path, str(error))) from error
        except OSError as error:
            raise ResourceError(
                f"cannot write {path}: {error}; set GPUREFINE_CACHE to a folder that can be written"
            ) from error
    return {"name": model.name, "sha256": model.sha256}


def model_path(name: str, resources: Resources) -> Path:
    """Where a model lies on this machine; nothing is fetched.

    Raises
    ------
    ResourceError
        if it is not there
    """
    if name in MODELS:
        path = _cached(MODELS[name], resources)
        if not path.is_file():
            raise ResourceError(_missing(MODELS[name], path, "it was not fetched yet"))
        return path
    path = Path(name).expanduser()
    if not path.is_file():
        raise ResourceError(
            f"model '{name}' is neither a file nor a known name ({', '.join(MODELS)}): give the path of the model file"
        )
    return path


def fetch_models(resources: Resources, names: Iterable[str] | None = None) -> list[tuple[str, Path, str]]:
    """Bring models into the cache.

    Parameters
    ----------
    names : names of ``registry.MODELS``; None is all of them

    Returns
    -------
    (name, path, sha256) of each

    Raises
    ------
    ResourceError
        if a name is not known or a model cannot be had
    """
    fetched = []
    for name in MODELS if names is None else names:
        entry = provide_model(name, resources)
        fetched.append((entry["name"], model_path(name, resources), entry["sha256"]))
    return fetched


def gpt2_tokenizer(resources: Resources) -> Gpt2Tokenizer:
    """GPT-2's tokenizer with the vocabulary in the cache; nothing is fetched.

    Raises
    ------
    ResourceError
        if the file is not in the cache or is damaged
    """
    path = model_path("gpt2-vocab.bpe", resources)
    if not _is_whole(path, MODELS["gpt2-vocab.bpe"]):
        raise ResourceError(f"{path} is damaged: delete it and run `gpurefine fetch models`")
    return _tokenizer_of(path.read_text("utf-8")).fresh()


@lru_cache(maxsize=1)
def _tokenizer_of(vocabulary: str) -> Gpt2Tokenizer:
    """For its tables, which take 0.2 s: several stages of a run have a tokenizer each."""
    return Gpt2Tokenizer(merge_ranks(vocabulary), words=1)


def merge_ranks(vocabulary: str) -> dict[bytes, int]:
    """Token bytes -> rank from the text of a ``vocab.bpe`` (a version line, then one merge of two tokens a line)."""
    # GPT-2 writes bytes as printable characters: Latin-1's printable ones stand for themselves, the other 68 are
    # moved to U+0100 and up in order of their value.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(moved)}
    ranks = {bytes([byte]): rank for rank, byte in enumerate([*printable, *moved])}
    for line in vocabulary.splitlines()[1:]:
        left, _, right = line.partition(" ")
        ranks[bytes(byte_of[character] for character in left + right)] = len(ranks)
    return ranks


def _cached(model: KnownFile, resources: Resources) -> Path:
    return resources.cache / "models" / model.name


def _is_whole(path: Path, model: KnownFile) -> bool:
    return path.is_file() and path.stat().st_size == model.size and sha256_of(path) == model.sha256


def _missing(model: KnownFile, path: Path, why: str) -> str:
    own = f", or name a file of your own: `--set {model.setting}=/path/to/{model.name}`" if model.setting else ""
    return (
        f"{model.name} is not in the cache ({path}): {why}; run `gpurefine fetch models` where there is a network "
        f"and bring the cache here{own}"
    )
