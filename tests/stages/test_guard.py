"""The guard: hostile pages cost themselves and nothing else."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpurefine.errors import RunError
from gpurefine.stages.extraction import process, wire
from gpurefine.stages.extraction.extractors import KNOWN
from gpurefine.stages.extraction.guard import Guard
from gpurefine.stages.extraction.process import Answer
from gpurefine.stages.extraction.wire import GuardSettings

FAULTS = "extraction_faults:make"


@pytest.fixture
def guard():
    """A guard around the extractor of faults."""
    guard = Guard(GuardSettings(FAULTS, time_limit_s=1.0, memory_limit_bytes=1 << 30))
    yield guard
    guard.close()


def extract(guard: Guard, *pages: str) -> list[Answer]:
    return guard.extract([page.encode() for page in pages])


@pytest.mark.parametrize(
    ("fault", "answer", "children"),
    [
        ("segfault", Answer("crash", evidence="SIGSEGV"), 3),
        ("exits", Answer("crash", evidence="exit code 3"), 3),
        ("killed", Answer("memory", evidence="SIGKILL"), 3),
        ("lies", Answer("crash", evidence="unexpected answer"), 3),
        ("spins", Answer("timeout"), 2),
        ("hog", Answer("memory"), 3),
        ("segfault_unless_first", Answer("text", "survived", by_stock=True), 3),
        ("hog_unless_first", Answer("text", "enough", by_stock=True), 3),
        ("recurses", Answer("failed", evidence="RecursionError: maximum recursion depth exceeded"), 1),
        ("raises", Answer("failed", evidence="KeyError: 'element <a at 0x>\\nis\\x1b[31m gone'"), 1),
        ("panics", Answer("failed", evidence="Panic: index out of range"), 1),
    ],
)
def test_fault_costs_one_page(guard, fault, answer, children):
    """The pages before and behind it are extracted, in order, whatever the page in the middle does."""
    answers = extract(guard, "one", "two", fault, "three", "four")
    assert answers == [
        *(Answer("text", t) for t in ("one", "two")),
        answer,
        *(Answer("text", t) for t in ("three", "four")),
    ]
    assert guard.starts == children


@pytest.mark.parametrize("fault", ["reads_file", "writes_file", "opens_socket"])
def test_no_file_no_socket(guard, fault):
    """Nothing can be opened inside the child."""
    (answer,) = extract(guard, fault)
    assert answer.outcome == "failed"
    assert answer.evidence.startswith("OSError: [Errno 24]")


@pytest.mark.parametrize(("fault", "error"), [("forks", "BlockingIOError"), ("threads", "RuntimeError")])
def test_no_process(guard, fault, error):
    """No process and no thread can be started inside the child."""
    (answer,) = extract(guard, fault)
    assert answer.outcome == "failed"
    assert answer.evidence.startswith(error)


def test_not_root(guard):
    """A child of root is nobody; another user's child is that user."""
    (answer,) = extract(guard, "user")
    user = 65534 if os.getuid() == 0 else os.getuid()
    assert answer.text.startswith(f"{user} {user} ")
    assert os.getuid() or answer.text.endswith("[]")


def test_child_is_silent_and_small(guard, capfd, monkeypatch):
    """It hears nothing, prints nothing, knows no secret of the environment, and imports no data frames."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    quiet, heard, environment, modules = extract(guard, "talks", "listens", "environment", "modules")
    assert (quiet.text, heard.text) == ("quiet", "heard ''")
    assert "AWS" not in environment.text
    assert not {"numpy", "pandas", "numba", "dask", "pyarrow"} & set(modules.text.split())
    assert capfd.readouterr() == ("", "")


def test_stands_still(guard):
    """A child that neither answers nor uses processor time is given up after the wall-clock limit."""
    guard.wall_limit_s = 0.5
    answers = extract(guard, "one", "sleeps", "two")
    assert answers == [Answer("text", "one"), Answer("timeout", evidence="stood still"), Answer("text", "two")]


def test_closes_its_pipes(guard, monkeypatch):
    """A child that can no longer answer is not waited for."""
    monkeypatch.setattr(process, "_LAST_WORDS_S", 0.1)
    answers = extract(guard, "one", "closes", "two")
    assert answers == [Answer("text", "one"), Answer("crash", evidence="closed its pipe"), Answer("text", "two")]


def test_c_loop_is_stopped():
    """libxml2 compares each attribute of a tag with all others: minutes in one call into C."""
    page = "<html><body><p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">text</p></body></html>"
    guard = Guard(GuardSettings(KNOWN["trafilatura"].maker, time_limit_s=1.0))
    begin = time.monotonic()
    try:
        assert guard.extract([page.encode()]) == [Answer("timeout")]
    finally:
        guard.close()
    assert time.monotonic() - begin < 30


def test_pages_and_answers_larger_than_pipes(guard):
    """Pages and answers of any size go back and forth side by side, in order, empty and undecodable ones too."""
    sizes = random.Random(1)
    pages = [b"a" * int(10 ** sizes.uniform(0, 6.7)) for _ in range(40)] + [
        b"",
        b"\xff",
        b"b" * 65536,
        b"c" * 5_000_000,
    ]
    answers = guard.extract(pages)
    assert [answer.text for answer in answers] == [page.decode("utf-8", "replace") or None for page in pages]
    assert answers[40] == Answer("empty")
    assert guard.starts == 1


def test_answer_too_long_to_believe(monkeypatch):
    """The child itself turns a text that its parent would not believe into a failure."""
    monkeypatch.setattr(wire, "LONGEST_ANSWER", 19)
    assert wire.answer(wire.Kind.TEXT, "x" * 19) == wire.ANSWER_HEAD.pack(wire.Kind.TEXT, 19) + b"x" * 19
    assert wire.answer(wire.Kind.TEXT, "x" * 20) == wire.answer(wire.Kind.FAILED, "text of 20 bytes")


def test_child_is_kept_between_batches(guard):
    """1,000 pages in 50 batches need one child; one that has served its number is replaced."""
    texts = [answer.text for _ in range(50) for answer in extract(guard, *["count"] * 20)]
    assert texts == [str(count + 1) for count in range(1000)]
    assert guard.starts == 1
    guard.close()
    short = Guard(GuardSettings(FAULTS), pages_a_child=3)
    try:
        assert [answer.text for answer in extract(short, *["count"] * 7)] == ["1", "2", "3", "1", "2", "3", "1"]
        assert short.starts == 3
    finally:
        short.close()


def test_no_stale_answer_after_an_interrupt(guard):
    """Answers to pages of an interrupted call are never taken for answers to later pages."""
    assert extract(guard, "one") == [Answer("text", "one")]

    def interrupt(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            extract(guard, "sleeps", "stale")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert extract(guard, "fresh") == [Answer("text", "fresh")]


@pytest.mark.parametrize(("maker", "reason"), [("broken", "no module named 'extractor'"), ("dying", "SIGABRT")])
def test_child_that_cannot_start(maker, reason):
    """It is an error of the run, told with its reason, and no removal."""
    guard = Guard(GuardSettings(f"extraction_faults:{maker}"))
    with pytest.raises(RunError, match=rf"could not start \(.*{reason}"):
        extract(guard, "one")
    guard.close()


PARENT = """
import sys
from gpurefine.stages.extraction.guard import Guard, GuardSettings
guard = Guard(GuardSettings("extraction_faults:make", time_limit_s=600.0))
print(guard.extract([b"pid"])[0].text, flush=True)
guard.extract([sys.argv[1].encode()])
sys.stdin.read()
"""


@pytest.mark.parametrize("page", ["spins", "sleeps", "idle"])
def test_child_ends_with_its_parent(page):
    """``kill -9`` of the parent leaves no child behind, not even one in an endless loop."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PARENT, page], stdin=pipe, stdout=pipe, env=environment) as parent:
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        assert _lives(child)
        parent.kill()
    deadline = time.monotonic() + 5
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(process: int) -> bool:
    """Whether a process is there and not only a zombie that waits for init."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
