"""Block lists from folders, archives and a package; the pointer from a name to a compiled list."""

import gzip
import hashlib
import io
import tarfile

import pytest

from gpurefine.errors import ResourceError
from gpurefine.resources import download, lists
from gpurefine.resources.blocklist import UNSORTED
from gpurefine.resources.lists import archive_files, fetch_lists, folder_files, open_provided, provide_list
from gpurefine.resources.registry import KnownFile, PackageMember
from gpurefine.stages.base import Resources

CONTENTS = {
    "adult/domains": b"bad.example\nworse.example\n",
    "adult/urls": b"mixed.example/bad\n",
    "adult/expressions": b"(bad|worse)",
    "chat/domains": b"talk.example\n",
}


@pytest.fixture
def resources(tmp_path) -> Resources:
    return Resources(tmp_path / "cache", offline=True)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "lists"
    for name, content in CONTENTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def archive_of(contents: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def found(name, resources, keys, categories=("adult", "chat")):
    blocklist = open_provided(name, resources)
    return blocklist.find(keys, blocklist.chosen(categories))


def test_a_folder_is_compiled_once(folder, resources):
    summary = provide_list(str(folder), resources)
    assert (summary.domains, summary.urls) == ({"adult": 2, "chat": 1}, {"adult": 1})
    assert summary.ignored == ["adult/expressions"]
    compiled = resources.cache / "lists" / f"v1-{summary.sha256}" / "hashes.npy"
    before = compiled.stat().st_mtime_ns
    assert provide_list(str(folder), resources) == summary
    assert compiled.stat().st_mtime_ns == before
    keys = ["bad.example", "mixed.example/bad", "talk.example", "other.example"]
    assert found(str(folder), resources, keys) == ["adult", "adult", "chat", None]


def test_a_changed_folder_is_another_list(folder, resources):
    old = provide_list(str(folder), resources)
    (folder / "chat" / "domains").write_bytes(b"other.example\n")
    new = provide_list(str(folder), resources)
    assert new.sha256 != old.sha256
    assert found(str(folder), resources, ["talk.example", "other.example"]) == [None, "chat"]


def test_aliases_are_left_out(folder, resources):
    (folder / "porn").symlink_to("adult")
    assert [f"{file.category}/{file.kind}" for file in folder_files(folder)] == sorted(
        CONTENTS, key=lambda name: (name.split("/")[0], ("domains", "urls", "expressions").index(name.split("/")[1]))
    )


@pytest.mark.parametrize("prefix", ["", "blacklists/", "./"])
def test_an_archive_gives_the_same_list_as_its_folder(folder, resources, tmp_path, prefix):
    content = archive_of({prefix + name: data for name, data in CONTENTS.items()}, {f"{prefix}porn": "adult"})
    (tmp_path / "lists.tar.gz").write_bytes(content)
    fetched = fetch_lists(resources, tmp_path / "lists.tar.gz")
    assert fetched.sha256 == provide_list(str(folder), resources).sha256
    assert found("ut1", resources, ["bad.example"]) == ["adult"]
    assert provide_list("ut1", resources).domains == fetched.domains


def test_a_folder_can_be_fetched_as_ut1(folder, resources):
    assert fetch_lists(resources, folder).domains == provide_list("ut1", resources).domains


def test_members_are_read_by_name_and_never_unpacked(resources, tmp_path):
    content = archive_of(
        {"../../escaped/domains": b"bad.example\n", "/etc/passwd": b"root"}, {"x/domains": "/etc/hosts"}
    )
    (tmp_path / "evil.tar.gz").write_bytes(content)
    assert fetch_lists(resources, tmp_path / "evil.tar.gz").categories == ["escaped"]
    assert not (tmp_path.parent / "escaped").exists()


def test_an_archive_without_categories(resources, tmp_path):
    (tmp_path / "flat.tar.gz").write_bytes(archive_of({"domains": b"bad.example\n", "urls": b"a.example/b\n"}))
    assert fetch_lists(resources, tmp_path / "flat.tar.gz").domains == {UNSORTED: 1}
    assert found("ut1", resources, ["bad.example", "a.example/b"], ()) == [UNSORTED, UNSORTED]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>login</html>",
        archive_of(CONTENTS)[:-40],
        archive_of(CONTENTS)[:-4],
        gzip.compress(b"not a tar"),
        archive_of({"a/domains": b""}),
    ],
    ids=["empty", "page", "cut short", "cut check sum", "not a tar", "no entries"],
)
def test_a_bad_archive_leaves_the_old_list(folder, resources, tmp_path, content):
    fetch_lists(resources, folder)
    (tmp_path / "bad.tar.gz").write_bytes(content)
    with pytest.raises(ResourceError, match="no block list could be had"):
        fetch_lists(resources, tmp_path / "bad.tar.gz")
    assert found("ut1", resources, ["bad.example"]) == ["adult"]


def test_an_archive_that_is_too_large(monkeypatch):
    monkeypatch.setattr(lists, "UNPACKED_BYTES", 50)
    with pytest.raises(download.FetchError, match="larger"):
        list(archive_files(archive_of(CONTENTS)))


def test_the_package_is_asked_after_the_official_address(resources, tmp_path, monkeypatch):
    content = archive_of({"domains": b"bad.example\n"})
    digest = hashlib.sha256(content).hexdigest()
    known = KnownFile("ut1", "", digest, len(content), PackageMember("lists", "1", "x"))
    monkeypatch.setattr(lists, "UT1_ADDRESS", (tmp_path / "absent").as_uri())
    monkeypatch.setattr(lists, "UT1_PACKAGED", known)
    monkeypatch.setattr(lists, "read_packaged", lambda source, size: content)
    online = Resources(resources.cache)
    assert fetch_lists(online).source == "lists 1"
    monkeypatch.setattr(lists, "read_packaged", lambda source, size: content[:-1])
    with pytest.raises(ResourceError, match=r"absent.*sha256"):
        fetch_lists(online)


def test_offline_says_so(resources):
    for source in (None, "https://lists.example/x.tar.gz"):
        with pytest.raises(ResourceError, match="network is not to be used"):
            fetch_lists(resources, source)


def test_no_list_says_what_to_do(resources):
    with pytest.raises(ResourceError, match=r"gpurefine fetch lists.*--set urls\.blocklist=off"):
        provide_list("ut1", resources)


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_that_is_no_list(resources, tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResourceError, match="<category>/domains"):
        provide_list(str(tmp_path / name), resources)


def test_a_damaged_compiled_list_says_what_to_do(folder, resources):
    summary = fetch_lists(resources, folder)
    (resources.cache / "lists" / f"v1-{summary.sha256}" / "list.json").write_text("{")
    with pytest.raises(ResourceError, match="damaged"):
        open_provided("ut1", resources)
    for name in ("ut1", str(folder)):
        with pytest.raises(ResourceError, match="damaged"):
            provide_list(name, resources)


def test_the_real_sample(shared_data, resources, tmp_path):
    kinds = {"domain": "domains", "url": "urls", "regex": "expressions"}
    contents: dict[str, list[str]] = {}
    with gzip.open(shared_data / "lists" / "ut1_sample.tsv.gz", "rt", encoding="utf-8") as rows:
        next(rows)
        for row in rows:
            category, kind, entry = row.rstrip("\n").split("\t")
            contents.setdefault(f"{category}/{kinds[kind]}", []).append(entry)
    (tmp_path / "ut1.tar.gz").write_bytes(
        archive_of({name: "\n".join(entries).encode() for name, entries in contents.items()})
    )
    summary = fetch_lists(resources, tmp_path / "ut1.tar.gz")
    taken = sum(summary.domains.values()) + sum(summary.urls.values())
    wanted = sum(len(entries) for name, entries in contents.items() if not name.endswith("expressions"))
    assert taken + summary.refused == wanted
    assert summary.refused < wanted / 100
    assert found("ut1", resources, ["abc.net.au", "6austria.com/main_page"]) == [None, "adult"]
