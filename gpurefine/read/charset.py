"""Bytes of a page -> text: which encoding, by a ladder of six rungs.

1. a byte order mark (UTF-8, UTF-16, UTF-32)
2. the bytes are UTF-8 and not only ASCII
3. the charset of the HTTP header
4. the charset that the page declares itself, in its first 4,096 bytes
5. detection
6. windows-1252

On rungs 3 to 5 an encoding is taken only if it decodes every byte; on rungs 1 and 6 U+FFFD stands for what cannot be
decoded. A character that the end of the bytes cuts off is dropped, since crawlers cut pages anywhere. Detection asks
first whether the page is damaged: servers cut titles in mid-character and join files of two encodings, so UTF-8 or a
declared encoding that fits but for a few bytes is taken, with one U+FFFD for each run of these.

Bytes that windows-1252 leaves undefined (81, 8D, 8F, 90, 9D) are errors here, where browsers make C1 controls of them:
they are the best sign that a page is not what it says, and no text needs them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

import chardet

from gpurefine.read.labels import LABELS, Encoding, find_encoding

#: Bytes in which a page may declare its encoding, and bytes that detection looks at.
DECLARATION_BYTES = 4096
DETECTION_BYTES = 64 << 10

#: A page is damaged, not in another encoding, while at most one in this many characters beyond ASCII is U+FFFD.
DAMAGE = 10

# The UTF-32 marks come first, because one of them begins like that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf_8", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf_32_le", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf_32_be", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf_16_le", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf_16_be", "utf-16-be"),
)
_UTF8 = LABELS["utf-8"]
_FALLBACK = LABELS["windows-1252"]

# What detection may answer: chardet's codec names -> encodings. Not offered are those that hardly a page uses and that
# fit many pages by chance: iso-8859-3, -4, -6, -8, -10, -13 to -16, macintosh, and all that the web does not know.
_DETECTABLE = {
    "utf-8": _UTF8,
    "utf-16-le": LABELS["utf-16le"],
    "utf-16-be": LABELS["utf-16be"],
    "big5hkscs": LABELS["big5"],
    "cp866": LABELS["ibm866"],
    "cp874": LABELS["windows-874"],
    "cp932": LABELS["shift_jis"],
    "shift_jis_2004": LABELS["shift_jis"],
    "cp949": LABELS["euc-kr"],
    "euc_kr": LABELS["euc-kr"],
    "cp1250": LABELS["windows-1250"],
    "cp1251": LABELS["windows-1251"],
    "cp1252": LABELS["windows-1252"],
    "cp1253": LABELS["windows-1253"],
    "cp1254": LABELS["windows-1254"],
    "cp1255": LABELS["windows-1255"],
    "cp1256": LABELS["windows-1256"],
    "cp1257": LABELS["windows-1257"],
    "cp1258": LABELS["windows-1258"],
    "euc_jis_2004": LABELS["euc-jp"],
    "gb18030": LABELS["gb18030"],
    "iso2022_jp_2": LABELS["iso-2022-jp"],
    "iso2022_jp_2004": LABELS["iso-2022-jp"],
    "iso2022_jp_ext": LABELS["iso-2022-jp"],
    "iso8859-2": LABELS["iso-8859-2"],
    "iso8859-5": LABELS["iso-8859-5"],
    "iso8859-7": LABELS["iso-8859-7"],
    "koi8-r": LABELS["koi8-r"],
    "koi8-u": LABELS["koi8-u"],
    "tis-620": LABELS["tis-620"],
}

_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_META = re.compile(rb"<meta(?=[\s/])((?:\"[^\"]*\"|'[^']*'|[^>\"'])*+)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"(?<![^\s\"'/])([^\s=\"'/>]++)\s*+=\s*+(\"[^\"]*\"|'[^']*'|[^\s\"'>]++)")
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?+\s*+([^\s\"';,]++)", re.IGNORECASE)
_REPLACEMENTS = re.compile("\ufffd{2,}")
_XML_DECLARATION = re.compile(rb"\s*+<\?xml\s[^>]*?\bencoding\s*+=\s*+[\"']([^\"']++)", re.IGNORECASE)


def decode_html(data: bytes, http_charset: str | None) -> tuple[str, str]:
    """Decode a page.

    Parameters
    ----------
    data : the page's bytes, after transfer and content coding were undone
    http_charset : the charset of the HTTP header as it stands there, or None

    Returns
    -------
    The text and the name of the encoding in lower case (``utf-8``, ``windows-1252``, ``shift_jis``, ``utf-16-le``).
    The text holds no NUL, no byte order mark at its beginning and no lone surrogate, so that it can be written as
    UTF-8. It may hold U+FFFD (``replacement_share``).
    """
    text, name = _climb(data, http_charset)
    if "\0" in text:
        text = text.replace("\0", "")
    return text.lstrip("\ufeff"), name


def replacement_share(text: str) -> float:
    """Share of U+FFFD among the characters of ``text``; 0 for an empty one."""
    return text.count("\ufffd") / len(text) if text else 0.0


def declared_charset(data: bytes) -> str | None:
    """The charset label in a page's XML declaration or first ``<meta>`` that has one, within 4,096 bytes, or None."""
    head = data[:DECLARATION_BYTES]
    declaration = _XML_DECLARATION.match(head)
    if declaration:
        return declaration[1].decode("latin-1")
    for meta in _META.finditer(_COMMENT.sub(b"", head)):
        attributes = {name.lower(): value for name, value in _ATTRIBUTE.findall(meta[1])}
        if b"charset" in attributes:
            return attributes[b"charset"].strip(b"\"' \t\n\f\r").decode("latin-1")
        if b"content-type" in attributes.get(b"http-equiv", b"").lower():
            found = _CHARSET.search(attributes.get(b"content", b""))
            if found:
                return found[1].decode("latin-1")
    return None


def _climb(data: bytes, http_charset: str | None) -> tuple[str, str]:
    for mark, codec, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode(data, codec, "replace"), name
    if not _is_wide(data):
        text = _decode_strictly(data, _UTF8)
        if text is not None and not text.isascii():
            return text, _UTF8.name
    declared = list(_declared(data, http_charset))
    for encoding in declared:
        text = _decode_strictly(data, encoding)
        if text is not None:
            return text, encoding.name
    # only UTF-16 (NUL) and ISO-2022-JP (escape) can be in plain ASCII; all other answers would be the same text
    if not data.isascii() or b"\0" in data or b"\x1b" in data:
        found = _detect(data, declared)
        if found:
            return found
    return _decode(data, _FALLBACK.codecs[0], "replace"), _FALLBACK.name


def _declared(data: bytes, http_charset: str | None) -> Iterator[Encoding]:
    encoding = find_encoding(http_charset)
    # a page of ASCII would decode as UTF-16 too, into Chinese
    if encoding and (not encoding.name.startswith("utf-16") or _is_wide(data)):
        yield encoding
    encoding = find_encoding(declared_charset(data))
    if encoding:
        # a declaration that can be read byte by byte is not in UTF-16, whatever it says (HTML Standard, 13.2.3.2)
        yield _UTF8 if encoding.name.startswith("utf-16") else encoding


def _is_wide(data: bytes) -> bool:
    """Whether the bytes look like UTF-16 or UTF-32: markup is ASCII, so every other byte of it is NUL."""
    head = data[:1024]
    return 8 * head.count(0) > len(head)


def _detect(data: bytes, declared: list[Encoding]) -> tuple[str, str] | None:
    """Rung 5: a damaged page in UTF-8 or a declared encoding, else what statistics of the bytes say, or None."""
    for encoding in [_UTF8, *declared]:
        text = _decode_damaged(data, encoding)
        if text is not None:
            return text, encoding.name
    head = data[:DETECTION_BYTES]
    answer = chardet.detect(head, max_bytes=DETECTION_BYTES, include_encodings=_DETECTABLE, compat_names=False)
    encoding = _DETECTABLE.get(answer["encoding"] or "")
    if encoding is None:
        return None
    text = _decode_strictly(data, encoding)
    if text is None:
        text = _decode_damaged(data, encoding)
    return None if text is None else (text, encoding.name)


def _decode_strictly(data: bytes, encoding: Encoding) -> str | None:
    for codec in encoding.codecs:
        try:
            return _decode(data, codec, "strict")
        except UnicodeDecodeError:
            continue
    return None


def _decode_damaged(data: bytes, encoding: Encoding) -> str | None:
    """Decode with U+FFFD for what is damaged; None if nothing is, or so much that the encoding must be another one."""
    text = _decode(data, encoding.codecs[0], "replace")
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if 0 < text.count("\ufffd") * DAMAGE <= beyond_ascii:
        return _REPLACEMENTS.sub("\ufffd", text)
    return None


def _decode(data: bytes, codec: str, errors: str) -> str:
    """Decode without the character that the end of ``data`` may cut off."""
    return codecs.getincrementaldecoder(codec)(errors).decode(data)
