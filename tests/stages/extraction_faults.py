"""An extractor for tests of the guard: a page is the name of a fault, or text that comes back as it is."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from gpurefine.stages.extraction.extractors import ExtractorOptions, make_trafilatura
from gpurefine.stages.extraction.fast import accelerate


class Panic(BaseException):
    """What some extension modules raise: not an Exception."""


class _Faults:
    """What can happen; each returns the text of the page, if it returns."""

    def __init__(self) -> None:
        self.pages = 0

    def segfault(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def segfault_unless_first(self) -> str:
        if self.pages > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return "survived"

    def killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def exits(self) -> None:
        os._exit(3)

    def spins(self) -> None:
        while True:
            pass

    def sleeps(self) -> None:
        time.sleep(1000)

    def hog(self) -> str:
        return str(len(bytearray(1 << 36)))

    def hog_unless_first(self) -> str:
        if self.pages > 1:
            raise MemoryError
        return "enough"

    def recurses(self) -> str:
        return self.recurses()

    def raises(self) -> None:
        raise KeyError("element <a at 0x7f00deadbeef>\nis\x1b[31m gone")

    def panics(self) -> None:
        raise Panic("index out of range")

    def reads_file(self) -> str:
        with open("/proc/version") as file:
            return file.read()

    def writes_file(self) -> str:
        with open(f"/tmp/gpurefine-{os.getpid()}", "w") as file:
            return str(file.write("x"))

    def opens_socket(self) -> str:
        return str(socket.socket())

    def forks(self) -> str:
        return str(os.fork())

    def threads(self) -> str:
        thread = threading.Thread(target=time.sleep, args=(0,))
        thread.start()
        return "started"

    def talks(self) -> str:
        print("stdout", flush=True)
        print("stderr", file=sys.stderr, flush=True)
        os.write(1, b"one")
        os.write(2, b"two")
        return "quiet"

    def listens(self) -> str:
        return f"heard {sys.stdin.read()!r}"

    def pid(self) -> str:
        return str(os.getpid())

    def user(self) -> str:
        return f"{os.getuid()} {os.geteuid()} {os.getgroups()}"

    def environment(self) -> str:
        return " ".join(sorted(os.environ))

    def modules(self) -> str:
        return " ".join(sorted({name.partition(".")[0] for name in sys.modules}))

    def count(self) -> str:
        return str(self.pages)

    def lies(self) -> None:
        for pipe in range(3, 64):
            with suppress(OSError):
                os.write(pipe, b"\x63" + (1 << 60).to_bytes(8, "little"))
        time.sleep(1000)

    def closes(self) -> None:
        os.closerange(3, 64)
        time.sleep(1000)


def make(options: object) -> Callable[[str], str | None]:
    """The maker of this extractor."""
    faults = _Faults()

    def extract(html: str) -> str | None:
        faults.pages += 1
        fault = getattr(faults, html, None) if html.isidentifier() else None
        return fault() if callable(fault) else html

    return extract


def watched(options: ExtractorOptions) -> Callable[[str], str | None]:
    """A maker of trafilatura texts are lists of what was opened, imported or executed for the page."""
    extract = make_trafilatura(options)
    events: list[str] = []

    def watch(event: str, arguments: tuple) -> None:
        if event == "import" and str(arguments[0]).startswith("lxml.xml"):
            return  # asked for by lxml's sax module, and never there
        if event in ("open", "import", "ctypes.dlopen") or event.startswith(("socket.", "os.", "subprocess.")):
            events.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)

    def report(html: str) -> str:
        events.clear()
        extract(html)
        return ", ".join(events)

    return report


def broken(options: object) -> Callable[[str], str | None]:
    """A maker that cannot make anything."""
    raise ImportError("no module named 'extractor'")


def dying(options: object) -> Callable[[str], str | None]:
    """A maker that ends its process."""
    os.kill(os.getpid(), signal.SIGABRT)


def make_of_unknown_versions(options: ExtractorOptions) -> Callable[[str], str | None]:
    """Trafilatura of versions that nobody has compared."""
    accelerate.TESTED.clear()
    return make_trafilatura(options)


def make_failing_accelerated(options: ExtractorOptions) -> Callable[[str], str | None]:
    """Trafilatura whose accelerated code fails on some pages, and finds nothing on others."""
    from trafilatura import core

    extract = make_trafilatura(options)
    stock = core.compare_extraction

    def compare_extraction(cleaned, raw, body, text, settings):
        if "FAILING" in text or raw.get("id") == "failing":
            raise KeyError("a fault of a patch")
        if "EMPTY" in text:
            return body, ""
        return stock(cleaned, raw, body, text, settings)

    extract._patches.put(core, "compare_extraction", compare_extraction)
    return extract


def make_slow(options: ExtractorOptions) -> Callable[[str], str | None]:
    """Trafilatura that takes 0.7 s for some pages, on which its accelerated code fails after as long."""
    from trafilatura import core

    whole = core.determine_returnstring

    def slowly(document, settings):
        began = time.process_time()
        while "SLOW" in document.raw_text and time.process_time() < began + 0.7:
            pass
        return whole(document, settings)

    def slowly_failing(document, settings):
        text = slowly(document, settings)
        if "SLOW" in text:
            raise KeyError("a fault of a patch")
        return text

    core.determine_returnstring = slowly
    extract = make_trafilatura(options)
    if extract._patches is not None:
        extract._patches.put(core, "determine_returnstring", slowly_failing)
    return extract
