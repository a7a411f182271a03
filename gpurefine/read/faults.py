"""What goes wrong at places that are reached through a network: which errors pass, calling again, one sentence.

Whatever package talks to a place, its errors are told by their HTTP status where they have one, else by their type.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from gpurefine.errors import InputError

#: Tries of each call while a run reads. When inputs are looked for, before it starts, a user waits for the answer.
TRIES, TRIES_OF_A_LOOK = 12, 6
#: A refusal (401, 403) may be a busy server's, as Common Crawl's are; before a run starts it is hardly one.
REFUSALS_OF_A_LOOK = 3
#: The longest wait between two tries, in seconds: our own, and what a server may ask for by ``Retry-After``.
LONGEST_WAIT, LONGEST_ASKED_WAIT = 60.0, 600.0

Fault = Literal["gone", "refused", "changed", "passing", "lasting"]
Answer = TypeVar("Answer")

#: Packages whose errors are those of places. Errors of no such package, and not of the system, are our own mistakes.
_PACKAGES = ("aiohttp", "botocore", "aiobotocore", "s3fs", "gcsfs", "google", "azure", "adlfs", "fsspec", "requests")
#: Exceptions of ``botocore`` that no second try mends.
_LASTING = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "ParamValidationError", "InvalidURL")
_OF_STATUS: dict[int, Fault] = {404: "gone", 410: "gone", 401: "refused", 403: "refused", 412: "changed"}
_PASSING_STATUS = (408, 425, 429)


class CutTransferError(OSError):
    """Fewer bytes came than were asked for."""


def fault_of(error: BaseException) -> Fault | None:
    """What an error says of the place; None for an error that is none of a place."""
    causes = list(_causes(error))
    if any(isinstance(each, PermissionError) for each in causes):
        return "refused"
    statuses = [status for status in map(_status, causes) if status is not None]
    if statuses:
        # the innermost is what the server said
        found = statuses[-1]
        passing: Fault = "passing" if found in _PASSING_STATUS or found >= 500 else "lasting"
        return _OF_STATUS.get(found, passing)
    names = {type(each).__name__ for each in causes}
    if "FileExpired" in names:
        return "changed"
    if names & set(_LASTING):
        return "lasting"
    inner = causes[-1]
    for kinds, fault in (
        (FileNotFoundError, "gone"),
        # a package finds wrong options late, by errors of many types
        ((IsADirectoryError, NotADirectoryError, ImportError, ValueError, TypeError, NotImplementedError), "lasting"),
        ((OSError, TimeoutError, asyncio.TimeoutError, EOFError), "passing"),
    ):
        if isinstance(inner, kinds):
            return fault
    return "passing" if type(inner).__module__.partition(".")[0] in _PACKAGES else None


def call_again(
    call: Callable[[], Answer], url: str, *, looking: bool = False, stopped: threading.Event | None = None
) -> Answer:
    """Call, and call again while that may help, with random waits that grow, or as long as the server asks for.

    Parameters
    ----------
    url : what is read, for the sentence
    looking : before the run starts, when fewer tries are made
    stopped : once it is set, no further try is made

    Raises
    ------
    FileNotFoundError
        if there is no such thing
    InputError
        if it cannot be read, saying what happened and how often it was tried
    """
    stopped = stopped or threading.Event()
    most = TRIES_OF_A_LOOK if looking else TRIES

    def enough(state: RetryCallState) -> bool:
        refused = looking and fault_of(state.outcome.exception()) == "refused"
        return state.attempt_number >= (REFUSALS_OF_A_LOOK if refused else most) or stopped.is_set()

    retrying = Retrying(
        stop=enough,
        wait=_wait,
        sleep=lambda seconds: stopped.wait(seconds) and None,
        retry=retry_if_exception(lambda error: fault_of(error) in ("passing", "refused")),
        reraise=True,
    )
    try:
        return retrying(call)
    except Exception as error:
        fault = fault_of(error)
        if isinstance(error, InputError):
            raise
        if fault is None:
            # a package may wrap any error as a file that is not there, which this one does not say
            raise list(_causes(error))[-1] from None
        if fault == "gone":
            raise FileNotFoundError(f"there is no {url}") from error
        raise InputError(sentence(url, error, fault, retrying.statistics["attempt_number"])) from error


def sentence(url: str, error: BaseException, fault: Fault, tries: int) -> str:
    """What is told of an error at a place, and what to do."""
    if fault == "changed":
        return f"{url} is no longer what it was when the run began: put it back, or use --fresh to start over"
    times = f" (tried {tries} times)" if tries > 1 else ""
    said = told(error)
    if fault == "passing":
        return f"cannot read {url}: {said}{times}; give the same command again when it can be reached"
    lacking = any(type(each).__name__ in _LASTING for each in _causes(error))
    if fault == "refused" or lacking:
        return f"cannot read {url}: {said}{times}; {_credentials(url)}"
    if "support range requests" in said or "seek streaming" in said:
        return f"cannot read {url}: its server sends no parts of files; fetch it, and name the file here"
    return f"cannot read {url}: {said}{times}"


def told(error: BaseException) -> str:
    """What an error says, in one line."""
    causes = list(_causes(error))
    # what a package wraps an error in may say nothing but the name of the file
    told_by = next((each for each in reversed(causes) if _status(each) is not None), causes[-1])
    status, message = _status(told_by), getattr(told_by, "message", None)
    if status is not None and isinstance(message, str) and message:
        return f"the server answers {status} {message}"
    return " ".join(str(told_by).split()) or type(told_by).__name__


def _credentials(url: str) -> str:
    if url.startswith(("s3://", "s3a://")):
        return (
            "for a public bucket use --set 'input.storage={s3: {anon: true}}', for others set AWS_PROFILE, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of an account that may read it"
        )
    if url.startswith(("http://", "https://")):
        return "see that the address is right and open to all, or give an address with a signature"
    return "see that your credentials for it are set and may read it"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error of some package holds."""
    if type(error).__module__ == "aiohttp.http_exceptions":
        # a transfer that was cut, of which aiohttp says 400
        return None
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = next((getattr(error, name, None) for name in ("status", "status_code", "code")), None)
    return status if isinstance(status, int) and 300 <= status < 600 else None


def _asked_wait(error: BaseException) -> float | None:
    """Seconds that a server asks to wait for."""
    for each in _causes(error):
        response = getattr(each, "response", None)
        metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        headers = metadata.get("HTTPHeaders") or getattr(each, "headers", None) or {}
        value = next((headers[name] for name in ("Retry-After", "retry-after") if name in headers), None)
        if value is None:
            continue
        try:
            return float(value)
        except ValueError:
            pass
        try:
            return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return None


def _wait(state: RetryCallState) -> float:
    asked = _asked_wait(state.outcome.exception())
    if asked is not None and asked >= 0:
        # those who were all told the same moment do not come at once
        return min(asked, LONGEST_ASKED_WAIT) + wait_random_exponential(multiplier=0.1, max=1.0)(state)
    return wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
