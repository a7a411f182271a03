"""What errors of places say: which pass, what is told of them, and that our own mistakes are not taken for theirs."""

import errno
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.http_exceptions import ContentLengthError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from gpurefine.errors import InputError
from gpurefine.read import faults
from gpurefine.read.faults import CutTransferError, call_again, fault_of


def answered(status):
    request = SimpleNamespace(real_url="http://x/y")
    return aiohttp.ClientResponseError(request, (), status=status, message="No", headers={})


def from_s3(code, status):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def wrapped(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (FileNotFoundError("x"), "gone"),
        (answered(404), "gone"),
        (wrapped(FileNotFoundError("x"), answered(404)), "gone"),
        (wrapped(FileNotFoundError("x"), answered(503)), "passing"),
        (wrapped(FileNotFoundError("x"), aiohttp.ServerDisconnectedError()), "passing"),
        (wrapped(FileNotFoundError("x"), ConnectionRefusedError()), "passing"),
        (answered(429), "passing"),
        (answered(500), "passing"),
        (answered(408), "passing"),
        (answered(400), "lasting"),
        (answered(403), "refused"),
        (answered(401), "refused"),
        (answered(412), "changed"),
        (wrapped(aiohttp.ClientPayloadError(), ContentLengthError("x")), "passing"),
        (CutTransferError("x"), "passing"),
        (TimeoutError(), "passing"),
        (OSError(errno.EIO, "x"), "passing"),
        (wrapped(OSError(errno.EBUSY, "x"), from_s3("SlowDown", 503)), "passing"),
        (wrapped(PermissionError("x"), from_s3("ExpiredToken", 400)), "refused"),
        (from_s3("PreconditionFailed", 412), "changed"),
        (EndpointConnectionError(endpoint_url="x"), "passing"),
        (NoCredentialsError(), "lasting"),
        (ImportError("x"), "lasting"),
        (wrapped(FileNotFoundError("x"), TypeError("no such option")), "lasting"),
        (ZeroDivisionError(), None),
        (wrapped(FileNotFoundError("x"), ZeroDivisionError()), None),
    ],
)
def test_what_an_error_says(error, fault):
    assert fault_of(error) == fault


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(faults, "LONGEST_WAIT", 0.001)


class Failing:
    """Raises the errors one after another, then answers."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_it_is_tried_until_it_answers():
    call = Failing(*[answered(503)] * (faults.TRIES - 1))
    assert call_again(call, "s3://x/y") == "answer"
    assert call.calls == faults.TRIES


@pytest.mark.parametrize(
    ("error", "looking", "tries", "said"),
    [
        (
            answered(503),
            False,
            12,
            r"cannot read s3://x/y: the server answers 503 No \(tried 12 times\); give",
        ),
        (answered(503), True, 6, r"\(tried 6 times\)"),
        (answered(403), False, 12, r"\(tried 12 times\); for a public bucket use --set 'input\.storage="),
        (answered(403), True, 3, r"\(tried 3 times\); for a public bucket"),
        (answered(400), False, 1, r"cannot read s3://x/y: the server answers 400 No$"),
        (NoCredentialsError(), True, 1, r"Unable to locate credentials; for a public bucket"),
        (answered(412), False, 1, r"s3://x/y is no longer what it was when the run began"),
        (TimeoutError(), True, 6, r"cannot read s3://x/y: TimeoutError \(tried 6 times\)"),
    ],
)
def test_one_sentence_when_it_does_not(error, looking, tries, said):
    call = Failing(*[error] * 20)
    with pytest.raises(InputError, match=said):
        call_again(call, "s3://x/y", looking=looking)
    assert call.calls == tries


def test_errors_of_ours_come_as_they_are():
    with pytest.raises(ZeroDivisionError):
        call_again(Failing(wrapped(FileNotFoundError("x"), ZeroDivisionError())), "s3://x/y")
    with pytest.raises(FileNotFoundError, match="there is no s3://x/y"):
        call_again(Failing(wrapped(FileNotFoundError("x"), answered(404))), "s3://x/y")
