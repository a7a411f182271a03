"""HTTP responses as crawls hold them: heads, chunks, codings, bombs, and what is left of broken streams."""

from __future__ import annotations

import gzip
import random
import time
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.read.http import MIN_BROKEN, BodyError, HttpResponse, decode_body, looks_like_text, parse_response

LIMIT = 1 << 20
TEXT = "".join(f"<p>Paragraph {number} of {number * number} about rivers.</p>\n" for number in range(200)).encode()


def raw_deflate(data: bytes) -> bytes:
    """A deflate stream without zlib's header, as some servers send it."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate raw": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


def chunked(data: bytes, size: int = 100, extension: bytes = b"") -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in [*pieces, b""])


def coded(body: bytes, content: str = "", transfer: str = "") -> HttpResponse:
    return HttpResponse(200, {"content-encoding": content, "transfer-encoding": transfer}, body)


# --- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "status", "headers", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", 200, {"a": "b"}, b"body"),
        (b"HTTP/1.0 404\r\n\r\n", 404, {}, b""),
        (b"HTTP/2 200\r\na: b\r\n\r\nbody", 200, {"a": "b"}, b"body"),
        (b"HTTP/2.0 200 \r\n\r\nbody", 200, {}, b"body"),
        (b"ICY 200 OK\r\n\r\nbody", 200, {}, b"body"),
        (b"http/1.1   301   Moved\n\nbody", 301, {}, b"body"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", 200, {}, b"body"),
        (b"HTTP/1.1 200 OK", 200, {}, b""),
        (b"HTTP/1.1 200 OK\nA: b", 200, {"a": "b"}, b""),
        (b"HTTP/1.1 200 OK\nA: b\n\n\nbody", 200, {"a": "b"}, b"\nbody"),
        (b"HTTP/1.1 200 OK\r\nA : b \r\nA: c\r\n\tfolded\r\n\r\n", 200, {"a": "b"}, b""),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\td\r\n\r\n", 200, {"a": "b c d"}, b""),
        (b"HTTP/1.1 200 OK\r\n no name\r\n: none\r\nA:\r\n\r\nbody", 200, {"a": ""}, b"body"),
        (b"HTTP/1.1 200 OK\r\nA: \xe9:\x00\r\n\r\n", 200, {"a": "é:\0"}, b""),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n<html>x: y", 200, {"a": "b"}, b"<html>x: y"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", 200, {"a": "b"}, b"body"),
        (b"HTTP/1.1 101 Switch\r\n\r\nbody", 101, {}, b"body"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\n\r\n",
            200,
            {"content-encoding": "gzip,br"},
            b"",
        ),
    ],
)
def test_heads_that_occur(block, status, headers, body):
    assert parse_response(block) == HttpResponse(status, headers, body)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\r\n\r\n",
        b"<html>",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 400_000 + b"\r\n",
    ],
    ids=lambda block: block[:20],
)
def test_no_head(block):
    assert parse_response(block) is None


@pytest.mark.parametrize(
    "lines",
    [b"A: b\r\n" + b" c\r\n" * 500_000, b"Content-Encoding: br\r\n" * 90_000, b":\n" * 1_000_000],
    ids=["folded", "repeated", "nameless"],
)
def test_long_heads_take_linear_time(lines):
    begin = time.process_time()
    assert parse_response(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nbody").body == b"body"
    assert time.process_time() - begin < 10  # a quadratic reader needs minutes


FIELD = st.tuples(
    st.text("abcdefgh-", min_size=1, max_size=8),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).filter(lambda value: value[:1] != "<"),
)


@given(st.integers(200, 599), st.lists(FIELD, max_size=6), st.binary(max_size=50), st.sampled_from(["\r\n", "\n"]))
def test_any_sane_response_is_read_back(status, fields, body, end):
    head = end.join([f"HTTP/1.1 {status} Reason", *(f"{name}: {value}" for name, value in fields), "", ""])
    expected = {}
    for name, value in fields:
        expected.setdefault(name, value)
    assert parse_response(head.encode() + body) == HttpResponse(status, expected, body)


# --- chunks -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=400), st.integers(1, 90), st.sampled_from([b"", b" ", b";name=value", b" ; a"]))
def test_chunks_are_joined(data, size, extension):
    assert decode_body(coded(chunked(data, size, extension), transfer="Chunked"), LIMIT) == data


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (TEXT, TEXT),  # announced, not done
        (b"", b""),
        (b"5\nhello\n6\n world\n0\n\n", b"hello world"),
        (b"0005\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"5\r\nhello6\r\n world0\r\n\r\n", b"hello world"),
        (b"5\r\nhello\r\n", b"hello"),  # the last chunk is missing, but no byte is
        (b"800\r\n" + TEXT[:2000], TEXT[:2000]),
        (b"800\r\n" + TEXT[:2048] + b"\r\nzz\r\n", TEXT[:2048]),
    ],
)
def test_chunks_that_occur(body, content):
    assert decode_body(coded(body, transfer="chunked"), LIMIT) == content


@pytest.mark.parametrize("body", [b"ff\r\nhello", b"5\r\nhello\r\nzz\r\nrest"])
def test_chunks_that_break_off_early_are_damaged(body):
    with pytest.raises(BodyError) as caught:
        decode_body(coded(body, transfer="chunked"), LIMIT)
    assert caught.value.reason == "damaged"


# --- codings ----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=3000), st.lists(st.sampled_from(sorted(ENCODERS)), max_size=2), st.booleans())
@example(TEXT, ["gzip", "br"], True)
@example(b"", ["br", "zstd"], False)
@example(b"x", ["deflate raw", "br"], False)
def test_two_layers_and_chunks_are_undone(data, layers, in_chunks):
    body = data
    for layer in layers:
        body = ENCODERS[layer](body)
    if "deflate raw" in layers and looks_like_text(body):
        return  # too short to be told from text
    content = ", ".join(layer.removesuffix(" raw") for layer in layers)
    response = coded(chunked(body), content, "chunked") if in_chunks else coded(body, content)
    assert decode_body(response, LIMIT) == data


@pytest.mark.parametrize("coding", sorted(ENCODERS))
@pytest.mark.parametrize("text", [TEXT, b"short", "<html>Ünï</html>".encode("cp1252")], ids=["long", "short", "latin"])
def test_a_coding_that_is_not_there_is_ignored(coding, text):
    assert decode_body(coded(text, coding.removesuffix(" raw")), LIMIT) == text


@pytest.mark.parametrize("content", ["", "identity", "utf-8", "none", "lzma", ",", "x-unknown, "])
def test_unknown_codings_are_ignored(content):
    assert decode_body(coded(TEXT, content), LIMIT) == TEXT


def test_three_codings_are_refused():
    body = gzip.compress(gzip.compress(gzip.compress(TEXT)))
    with pytest.raises(BodyError) as caught:
        decode_body(coded(body, "gzip, gzip, gzip"), LIMIT)
    assert caught.value.reason == "damaged"


def test_members_and_frames_are_joined_and_what_follows_is_ignored():
    for coding in ("gzip", "zstd"):
        encoded = ENCODERS[coding](TEXT)
        assert decode_body(coded(encoded + encoded + b"\r\n\r\n", coding), LIMIT) == TEXT + TEXT
    for coding in ("br", "deflate"):
        assert decode_body(coded(ENCODERS[coding](TEXT) + b"\r\n\r\n", coding), LIMIT) == TEXT


# --- broken streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_of_a_cut_stream_the_beginning_is_used(coding):
    # random, so that what decodes grows with the stream
    text = random.Random(1).randbytes(400_000).hex().encode()
    encoded = ENCODERS[coding](text)
    name = coding.removesuffix(" raw")
    for share in (0.5, 0.8, 0.99):
        kept = decode_body(coded(encoded[: int(len(encoded) * share)], name), LIMIT)
        assert text.startswith(kept)
        if coding != "zstd":  # its blocks have 128 KiB
            assert len(kept) > 0.9 * share * len(text)
        else:
            assert len(kept) > share * len(text) - (128 << 10)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_wrong_checksum_costs_nothing(coding):
    encoded = bytearray(ENCODERS[coding](TEXT))
    encoded[-5 if coding == "gzip" else -1] ^= 0xFF
    assert decode_body(coded(bytes(encoded), coding), LIMIT) == TEXT


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_less_than_a_kilobyte_of_a_broken_stream_is_damaged(coding):
    encoded = ENCODERS[coding](TEXT[: MIN_BROKEN - 1])
    with pytest.raises(BodyError) as caught:
        decode_body(coded(encoded[: len(encoded) // 2], coding.removesuffix(" raw")), LIMIT)
    assert caught.value.reason == "damaged"
    assert caught.value.detail.startswith(coding.removeprefix("x-").removesuffix(" raw"))


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not():
    assert decode_body(coded(b"<" * 1000), 1000) == b"<" * 1000
    for response in (coded(b"<" * 1001), coded(gzip.compress(b"<" * 1001), "gzip")):
        with pytest.raises(BodyError) as caught:
            decode_body(response, 1000)
        assert (caught.value.reason, caught.value.size > 1000) == ("too_large", True)


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_a_bomb_needs_no_more_memory_than_a_large_page(coding):
    bomb = ENCODERS[coding](bytes(64 << 20))
    name = coding.removesuffix(" raw")
    tracemalloc.start()
    try:
        with pytest.raises(BodyError) as caught:
            decode_body(coded(bomb, name), LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too_large"
    assert peak < 5 * LIMIT


def test_a_bomb_in_a_bomb():
    bomb = gzip.compress(gzip.compress(bytes(256 << 20), 1))
    with pytest.raises(BodyError) as caught:
        decode_body(coded(bomb, "gzip, gzip"), LIMIT)
    assert caught.value.reason == "too_large"


CODINGS = st.sampled_from(["", "gzip", "deflate", "br", "zstd", "gzip, br", "zstd, deflate"])
MAGIC = st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\x78\x9c", b"ff\r\n", b"\x1b\x00"])


@settings(deadline=None, max_examples=300)
@given(st.tuples(MAGIC, st.binary(max_size=200)).map(b"".join), CODINGS, st.sampled_from(["", "chunked"]))
def test_any_bytes_give_a_body_or_a_body_error(body, content, transfer):
    try:
        decoded, error = decode_body(coded(body, content, transfer), 5000), None
    except BodyError as caught:
        decoded, error = b"", caught
    assert len(decoded) <= 5000
    if error:
        assert error.reason in ("damaged", "too_large")
        assert (error.detail is None) == (error.reason == "too_large")


@given(st.binary(max_size=300))
@example(b"HTTP/1.1 200 OK\r\n\r\n")
@example(b"HTTP/1.1 100\n\nHTTP/1.1 100")
def test_any_bytes_are_a_response_or_none(block):
    response = parse_response(block)
    assert response is None or block.endswith(response.body)
