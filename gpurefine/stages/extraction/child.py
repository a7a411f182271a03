"""The child process of a guarded extraction: reads pages, writes texts, and can do nothing else.

Started by ``guard.py`` as ``python -m gpurefine.stages.extraction.child SETTINGS LIFELINE``. It imports and warms up
the extractor, then gives up what a page could abuse: memory beyond a limit, files, sockets, processes, root's rights.
The kernel ends it when a page takes too much processor time, even in the middle of a C loop, where a signal handler
written in Python would wait for the next bytecode; and when the process that started it is gone.

It must start fast and stay small: import nothing here that imports NumPy, pandas or Dask.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import resource
import signal
import sys
from contextlib import suppress
from functools import partial
from importlib.machinery import BuiltinImporter, FrozenImporter

from gpurefine.stages.extraction.extractors import Extractor, ExtractorOptions, load
from gpurefine.stages.extraction.tidy import tidy
from gpurefine.stages.extraction.wire import REQUEST_HEAD, Kind, answer

NOBODY = 65534
STACK_BYTES = 8 << 20
LONGEST_MESSAGE = 200


def main() -> None:
    """Serve pages until the parent closes the pipe."""
    settings = json.loads(sys.argv[1])
    requests, answers = _private_pipes()
    _end_with_parent(int(sys.argv[2]))
    logging.disable(logging.CRITICAL)
    try:
        extract = load(settings["extractor"], ExtractorOptions(**settings["options"]))
        _lock_in(settings["memory_limit_bytes"])
    except Exception as error:
        _write(answers, answer(Kind.UNABLE, describe(error)))
        return
    _write(answers, answer(Kind.READY, getattr(extract, "why_stock", None) or ""))
    start_timer = partial(signal.setitimer, signal.ITIMER_PROF, settings["time_limit_s"])
    if hasattr(extract, "before_retry"):
        extract.before_retry = start_timer
    while (page := _read_page(requests)) is not None:
        start_timer()
        reply = _reply(extract, page, settings["bare_domains"], settings["join_bullets"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        _write(answers, reply)


def describe(error: BaseException) -> str:
    """An exception in one line that is the same in every process: its name and the beginning of its message."""
    message = re.sub(r"0x[0-9a-fA-F]+", "0x", " ".join(str(error).split()))
    message = "".join(sign for sign in message if sign.isprintable())[:LONGEST_MESSAGE]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _reply(extract: Extractor, page: bytearray, bare_domains: bool, join_bullets: bool) -> bytes:
    """The answer to one page."""
    try:
        text = extract(page.decode("utf-8", "replace"))
        text = tidy(text, bare_domains, join_bullets) if text else ""
        by_stock = getattr(extract, "by_stock", False)
        if text:
            return answer(Kind.STOCK_TEXT if by_stock else Kind.TEXT, text)
        return answer(Kind.STOCK_EMPTY if by_stock else Kind.EMPTY)
    except MemoryError:
        return answer(Kind.MEMORY)
    except BaseException as error:  # also what extension modules derive from it
        return answer(Kind.FAILED, describe(error))


def _private_pipes() -> tuple[int, int]:
    """Move the two pipes away from stdin and stdout, where a library might read or print; all three lead nowhere."""
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    return requests, answers


def _end_with_parent(lifeline: int) -> None:
    """Ask for a signal, whose default action is to end, when the write end of the lifeline is closed.

    Nothing is ever written to it, so that happens when the parent closes it or dies. (A parent-death signal would
    come when the *thread* that started this process ends, which is not the same.)
    """
    for number in (signal.SIGIO, signal.SIGPROF, signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # what was ignored in the parent is ignored here too
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.set_blocking(lifeline, False)
    with suppress(OSError):  # some sandboxes know no such signal; the end of the other pipe is noticed between pages
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    with suppress(BlockingIOError):
        os.read(lifeline, 1)
        os._exit(0)  # it was closed before the signal was asked for


def _lock_in(memory_limit_bytes: int) -> None:
    """Give up everything that extraction does not need; from here on no module, file, socket or process."""
    # Finders would look into folders. lxml's sax module asks for one module that does not exist on every page, and
    # must hear just that, not that a folder cannot be opened.
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder in (BuiltinImporter, FrozenImporter)]
    if os.geteuid() == 0:
        with suppress(OSError):  # a container may forbid it, even to root, or may not know this user
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    _limit(resource.RLIMIT_STACK, STACK_BYTES)  # how deep C code may recurse should not be the machine's choice
    _limit(resource.RLIMIT_AS, memory_limit_bytes)
    for everything in (
        resource.RLIMIT_CORE,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_NPROC,
    ):
        _limit(everything, 0)


def _limit(what: int, value: int) -> None:
    """Set a resource limit that cannot be raised again; a lower one that was inherited stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _read_page(requests: int) -> bytearray | None:
    """The next page, or None when the parent closed the pipe."""
    head = _read(requests, REQUEST_HEAD.size)
    return None if head is None else _read(requests, REQUEST_HEAD.unpack(head)[0])


def _read(pipe: int, size: int) -> bytearray | None:
    """Exactly ``size`` bytes, or None at the end of the pipe."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = os.readv(pipe, [view])
        if count == 0:
            return None
        view = view[count:]
    return data


def _write(pipe: int, data: bytes) -> None:
    """All of ``data``."""
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


if __name__ == "__main__":
    main()
