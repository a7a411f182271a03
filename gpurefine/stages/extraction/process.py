"""A child process of a guarded extraction as its parent sees it: started, fed, listened to, ended.

``subprocess`` instead of ``multiprocessing``, because Dask's worker processes may not have children of the latter.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass

from gpurefine.errors import RunError
from gpurefine.stages.extraction.wire import ANSWER_HEAD, LONGEST_ANSWER, GuardSettings, Kind, request

#: Variables of the environment that a child gets; PYTHONPATH is the parent's module search path.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")

#: Most pages fit into a pipe of this size, so that each process wakes the other once a page.
PIPE_BYTES = 1 << 18

_CHILD_MODULE = "gpurefine.stages.extraction.child"
_START_LIMIT_S = 120
_LAST_WORDS_S = 5.0


@dataclass(frozen=True)
class Answer:
    """What became of a page.

    Attributes
    ----------
    outcome : "text", "empty", or the rule that removes the page: "failed", "timeout", "memory", "crash"
    text : the text, if there is one
    evidence : the exception or the signal, if there was one
    by_stock : whether the extractor as it is answered for the accelerated one, which failed or missed a text
    """

    outcome: str
    text: str | None = None
    evidence: str | None = None
    by_stock: bool = False


class ChildProcess:
    """A child process and its three pipes.

    ``pending`` pages were sent and not yet answered, ``accepted`` were sent in all; ``ended`` says that it is of no
    more use. Writing and reading go on side by side, so that neither a page nor an answer can be too large for a pipe.
    """

    def __init__(self, settings: GuardSettings) -> None:
        self.pending = self.accepted = 0
        self.ended = False
        self._extractor = settings.extractor.partition(":")[0]
        self._outgoing: deque[memoryview] = deque()
        self._incoming = bytearray()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _CHILD_MODULE, json.dumps(asdict(settings)), str(lifeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=_environment(),
                pass_fds=[lifeline],
                process_group=0,  # Ctrl-C is for the parent
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline)
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # there may be a limit for all pipes of a user
                fcntl.fcntl(self._requests, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._requests, False)

    @property
    def number(self) -> int:
        """The process number."""
        return self._process.pid

    def wait_until_ready(self) -> str:
        """Wait for the imports and the warm-up; returns why it does not accelerate, if it was asked to and does not."""
        try:
            kind, text = self._receive_message(_START_LIMIT_S) or (None, "")
        except TimeoutError:
            kind, text = Kind.UNABLE, f"it was not ready within {_START_LIMIT_S} seconds"
        if kind != Kind.READY:
            reason = text if kind == Kind.UNABLE else self._how_it_ended()
            self.end()
            raise RunError(
                f"the extraction process could not start ({reason}); check that {self._extractor} can be imported"
                " and that the memory limit leaves room for it"
            )
        return text

    def send(self, page: bytes | memoryview) -> None:
        """Begin to send a page; ``receive`` goes on with it."""
        self._outgoing.extend(memoryview(part).cast("B") for part in request(page) if len(part))
        self.pending += 1
        self.accepted += 1
        self._write()

    def receive(self, wall_limit_s: float) -> Answer:
        """The answer to the page that was sent first."""
        self.pending -= 1
        try:
            message = self._receive_message(wall_limit_s)
        except TimeoutError:
            self.ended = True
            return Answer("timeout", evidence="stood still")
        if message is None:
            self.ended = True
            return self._last_answer()
        kind, text = message
        if kind in (Kind.TEXT, Kind.STOCK_TEXT):
            return Answer("text", text, by_stock=kind == Kind.STOCK_TEXT)
        if kind in (Kind.EMPTY, Kind.STOCK_EMPTY):
            return Answer("empty", by_stock=kind == Kind.STOCK_EMPTY)
        if kind == Kind.FAILED:
            return Answer("failed", evidence=text)
        self.ended = True  # its memory is not what it was
        return Answer("memory") if kind == Kind.MEMORY else Answer("crash", evidence="unexpected answer")

    def end(self) -> None:
        """Kill it and wait for it."""
        self.ended = True
        if self._lifeline >= 0:
            os.close(self._lifeline)  # ends it where killing another user's process is forbidden
            self._lifeline = -1
        with suppress(PermissionError):
            self._process.kill()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _receive_message(self, wall_limit_s: float) -> tuple[int, str] | None:
        """An answer's kind and text, None if the child ended; TimeoutError if it does neither."""
        deadline = time.monotonic() + wall_limit_s
        poll = select.poll()
        poll.register(self._answers, select.POLLIN)
        while (message := self._take_message()) is None:
            if self._outgoing:
                poll.register(self._requests, select.POLLOUT)
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            if not ready:
                raise TimeoutError
            for pipe, _ in ready:
                if pipe == self._requests:
                    self._write()
                    if not self._outgoing:
                        poll.unregister(self._requests)
                elif not self._read():
                    return None
        return message

    def _take_message(self) -> tuple[int, str] | None:
        """The first whole message of what has come in."""
        if len(self._incoming) < ANSWER_HEAD.size:
            return None
        kind, size = ANSWER_HEAD.unpack_from(self._incoming)
        end = ANSWER_HEAD.size + size
        if size > LONGEST_ANSWER:
            kind, size, end = 0, 0, len(self._incoming)
        if len(self._incoming) < end:
            return None
        text = self._incoming[ANSWER_HEAD.size : ANSWER_HEAD.size + size].decode("utf-8", "replace")
        del self._incoming[:end]
        return kind, text

    def _read(self) -> bool:
        data = os.read(self._answers, 1 << 20)
        self._incoming += data
        return bool(data)

    def _write(self) -> None:
        """Write what the pipe takes. A child that is gone is noticed by reading."""
        try:
            while self._outgoing:
                written = os.write(self._requests, self._outgoing[0])
                if written < len(self._outgoing[0]):
                    self._outgoing[0] = self._outgoing[0][written:]
                    return
                self._outgoing.popleft()
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._outgoing.clear()

    def _last_answer(self) -> Answer:
        """What ended the page at hand, from how its child ended."""
        how = self._how_it_ended()
        if how == signal.SIGPROF.name:
            return Answer("timeout")
        if how == signal.SIGKILL.name:  # nobody else kills it but the kernel when the machine is out of memory
            return Answer("memory", evidence=how)
        return Answer("crash", evidence=how)

    def _how_it_ended(self) -> str:
        """Name of the signal that ended the child, or its exit code."""
        try:
            code = self._process.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code >= 0:
            return f"exit code {code}"
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def _environment() -> dict[str, str]:
    """The least that lets a child import what its parent can import, the same on every machine."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    path = [entry or os.getcwd() for entry in sys.path]
    return environment | {"PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
