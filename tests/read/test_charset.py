"""The charset ladder: what WHATWG labels mean, which rung wins, what damage and detection do."""

from __future__ import annotations

import base64
import codecs
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpurefine.read.charset import declared_charset, decode_html, replacement_share
from gpurefine.read.http import parse_response
from gpurefine.read.labels import LABELS, find_encoding
from gpurefine.read.warc import WarcRecord, WarcSplit

GOLDEN_FILE = Path(__file__).parents[1] / "golden" / "record.jsonl"
GOLDEN = [json.loads(line) for line in GOLDEN_FILE.read_text(encoding="utf-8").splitlines()]

RUSSIAN = "<html><p>Вчера вечером мы долго сидели у реки и говорили о том, что будет дальше с нашим старым домом.</p>"
GREEK = "<html><p>Χθες το βράδυ καθίσαμε πολλή ώρα δίπλα στο ποτάμι και μιλούσαμε για το παλιό μας σπίτι.</p>"
POLISH = "<html><p>Wczoraj wieczorem długo siedzieliśmy nad rzeką i rozmawialiśmy o tym, co będzie z naszym domem.</p>"
CHINESE = "<html><p>昨天晚上我们在河边坐了很久，谈论着我们的老房子将来会怎么样，大家都觉得很难过。</p>" * 3
TAIWANESE = "<html><p>昨天晚上我們在河邊坐了很久，談論著我們的老房子將來會怎麼樣，大家都覺得很難過。</p>" * 3
JAPANESE = "<html><p>昨日の夜、私たちは川のそばに長いあいだ座って、古い家がこれからどうなるのかを話しました。</p>" * 3
KOREAN = "<html><p>어제 저녁 우리는 강가에 오래 앉아서 우리의 낡은 집이 앞으로 어떻게 될지 이야기했습니다.</p>" * 3


@pytest.mark.parametrize("case", GOLDEN, ids=[case["id"] for case in GOLDEN])
def test_golden_values(case):
    assert case["rule"] == "decode"
    text, encoding = decode_html(base64.b64decode(case["input"]["bytes_base64"]), case["input"]["http_charset"])
    assert {"text": text, "encoding": encoding} == case["expected"]


# --- labels -----------------------------------------------------------------------------------------------------------


def test_the_label_table_is_whole_and_its_codecs_exist():
    # 228 labels in the standard, without the 6 of "replacement" and x-user-defined
    assert len(LABELS) == 221
    for label, encoding in LABELS.items():
        assert label == label.strip().lower()
        for codec in encoding.codecs:
            assert codecs.lookup(codec)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("ISO-8859-1", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("\tlatin1 ", "windows-1252"),
        ("iso-8859-9", "windows-1254"),
        ("TIS-620", "windows-874"),
        ("gb2312", "gbk"),
        ("ks_c_5601-1987", "euc-kr"),
        ("unicode", "utf-16-le"),
        ("utf-7", None),
        ("hz-gb-2312", None),
        ("rot13", None),
        ("unicode_escape", None),
        ("", None),
        (None, None),
    ],
)
def test_labels_mean_what_they_mean_on_the_web(label, name):
    encoding = find_encoding(label)
    assert (encoding and encoding.name) == name


# --- the page's own declaration ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "label"),
    [
        (b'<meta charset="koi8-r">', "koi8-r"),
        (b"<META CHARSET=koi8-r>", "koi8-r"),
        (b"<meta charset = ' koi8-r '/>", "koi8-r"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">', "gb2312"),
        (b"<meta content='text/html;charset=gb2312' http-equiv=content-type>", "gb2312"),
        (b'<?xml version="1.0" encoding="euc-jp"?><html>', "euc-jp"),
        (b'<meta name="description" content="how to write charset=koi8-r">', None),
        (b'<meta name="a>b"><meta charset="big5">', "big5"),
        (b'<!-- <meta charset="koi8-r"> --><meta charset="big5">', "big5"),
        (b'<metadata charset="koi8-r">', None),
        (b"<p charset=koi8-r>", None),
        (b'<meta charset="koi8-r', None),
        (b" " * 4096 + b'<meta charset="koi8-r">', None),
        (b"", None),
    ],
)
def test_declarations_in_the_page(head, label):
    assert declared_charset(head) == label


# --- rungs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "header", "text", "encoding"),
    [
        # 1: the mark beats everything; UTF-32's begins like UTF-16's
        (codecs.BOM_UTF16_BE + "é".encode("utf-16-be"), "utf-8", "é", "utf-16-be"),
        (codecs.BOM_UTF32_LE + "é".encode("utf-32-le"), None, "é", "utf-32-le"),
        (codecs.BOM_UTF8 + b"\xff", "koi8-r", "\ufffd", "utf-8"),
        # 2: UTF-8 beats the header and the page
        (b'<meta charset="koi8-r">\xc3\xa9', "big5", '<meta charset="koi8-r">é', "utf-8"),
        # 3: the header beats the page, also where both could be
        (b'<meta charset="koi8-r">\xe9', "windows-1251", '<meta charset="koi8-r">й', "windows-1251"),
        (b"plain", "koi8-r", "plain", "koi8-r"),
        # 4: a header that does not decode, or that nobody knows, leaves it to the page
        (b'<meta charset="koi8-r">\xe9\xff.', "utf-8", '<meta charset="koi8-r">ИЪ.', "koi8-r"),
        (b'<meta charset="koi8-r">\xe9\xff.', "x-unknown", '<meta charset="koi8-r">ИЪ.', "koi8-r"),
        (b'<meta charset="utf-16">plain', None, '<meta charset="utf-16">plain', "utf-8"),
        # a page of ASCII is not UTF-16
        (b"<p>plain", "utf-16", "<p>plain", "windows-1252"),
        # 6
        (b"plain", None, "plain", "windows-1252"),
        (b"", None, "", "windows-1252"),
        (b"\x81", "iso-8859-1", "\ufffd", "windows-1252"),
        # NUL and the mark go, a mark inside the text is a joiner and stays
        (b"a\0b", None, "ab", "windows-1252"),
        ("\ufeff\ufeffa\ufeffb".encode(), None, "a\ufeffb", "utf-8"),
    ],
)
def test_the_ladder(data, header, text, encoding):
    assert decode_html(data, header) == (text, encoding)


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("gb2312", "镕".encode("gbk"), "镕"),  # not in GB 2312
        ("shift_jis", b"\x87\x40", "①"),  # row 13, only in windows-31j
        ("euc-jp", b"\xad\xa1\xa4\xa2", "①あ"),
        ("big5", "碁着".encode("big5hkscs"), "碁着"),  # not in the first Big5
        ("ks_c_5601-1987", "똠".encode("cp949"), "똠"),  # not in KS X 1001
        ("latin1", b"\x80\x93", "€“"),
    ],
)
def test_supersets_are_used(label, data, text):
    assert decode_html(data, label)[0] == text


# --- cut and damaged pages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "label"),
    [(CHINESE, "utf-8"), (CHINESE, "gbk"), (JAPANESE, "shift_jis"), (JAPANESE, "euc-jp"), (KOREAN, "euc-kr")],
)
def test_a_character_cut_at_the_end_is_dropped(text, label):
    whole = text.encode(label)
    start = len("<html><p>昨".encode(label))
    for length in range(start, len(whole)):
        decoded, encoding = decode_html(whole[:length], label)
        assert encoding == label
        assert text.startswith(decoded) and len(decoded.encode(label)) > length - 4


@pytest.mark.parametrize("header", [None, "utf-8", "x-unknown"])
def test_utf8_with_a_few_bad_bytes_stays_utf8(header):
    # a title cut in mid-character, and a word in windows-1252
    damaged = RUSSIAN.encode()[:-5] + b"\xd0</p><p>caf\xe9</p>" + RUSSIAN.encode()
    text, encoding = decode_html(damaged, header)
    assert encoding == "utf-8"
    assert text == RUSSIAN[:-5] + "\ufffd</p><p>caf\ufffd</p>" + RUSSIAN


def test_a_declared_encoding_with_a_few_bad_bytes_stays_itself():
    damaged = CHINESE.encode("gbk") + b"\xff\xff\xff<p>" + CHINESE.encode("gbk")
    assert decode_html(damaged, "gb2312") == (CHINESE + "\ufffd<p>" + CHINESE, "gbk")


def test_windows_1252_declared_as_utf8_is_no_damaged_utf8():
    text = "<p>Über die Brücke fährt früh ein großer Wagen, später kommen drei müde Männer zurück.</p>"
    assert decode_html(text.encode("cp1252"), "utf-8") == (text, "windows-1252")


# --- detection --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
        (GREEK, "cp1253"),
        (POLISH, "cp1250"),
        (CHINESE, "gb18030"),
        (TAIWANESE, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "euc_kr"),
        (CHINESE, "utf_16_le"),
        (RUSSIAN, "utf_16_be"),
    ],
)
@pytest.mark.parametrize("header", [None, "x-unknown"])
def test_undeclared_encodings_are_found(text, codec, header):
    decoded, _ = decode_html(text.encode(codec), header)
    assert decoded == text


def test_recoded_real_pages_are_read_as_what_they_are(shared_data):
    checked = 0
    for record in WarcSplit(str(shared_data / "sample_medium_b.warc.gz")):
        if isinstance(record, WarcRecord) and "x-recoded" in record.headers:
            body = parse_response(record.block).body
            codec = record.headers["x-recoded"].replace("gb2312", "gb18030")
            assert decode_html(body, None)[0] == body.decode(codec)
            checked += 1
    assert checked > 50


# --- any bytes --------------------------------------------------------------------------------------------------------

ANY_LABEL = st.one_of(st.none(), st.sampled_from(sorted(LABELS)), st.text(max_size=8))
SNIPPETS = [
    b"<meta charset=",
    b"<html><p>",
    b"\x1b$B",
    b"~{",
    b"\0",
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF8,
    b"\xed\xa0\x80",
]
ANY_BYTES = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(SNIPPETS)), max_size=8).map(b"".join),
)


@settings(max_examples=400, deadline=None)
@given(ANY_BYTES, ANY_LABEL)
@example(codecs.BOM_UTF16_LE + b"\x00\xd8", None)
@example(codecs.BOM_UTF32_LE + b"\x00\xd8\x00\x00\xff\xff\xff\xff", None)
@example(b"\x00\xd8<\x00\x00\xd8", "utf-16le")
@example(b"\xed\xa0\x80", "utf-8")
@example(b"\x83\x36\xc7\x38", "gb18030")
def test_any_bytes_give_text_that_can_be_written(data, label):
    text, encoding = decode_html(data, label)
    text.encode("utf-8")
    assert "\0" not in text and not text.startswith("\ufeff")
    assert encoding == encoding.lower()
    assert 0.0 <= replacement_share(text) <= 1.0
    assert (text, encoding) == decode_html(data, label)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=200))
def test_utf8_pages_come_back_unchanged(text):
    assert decode_html(text.encode(), "utf-8") == (text, "utf-8")


def test_share_of_replacements():
    assert replacement_share("") == 0.0
    assert replacement_share("a\ufffdb\ufffd") == 0.5
