"""Writes the same documents in every format that a run reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import zstandard

from gpurefine.read.warc import WarcRecord, WarcSplit


def frame(data: bytes, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True, dict_data=dictionary).compress(data)


def raw_records(path) -> list[bytes]:
    """The records of the crawl as bytes; of damaged regions, which are not in it, none."""
    data = path.read_bytes()
    items = [item for item in WarcSplit(str(path)) if isinstance(item, WarcRecord)]
    return [gzip.decompress(data[item.offset : item.offset + item.length]) for item in items]


def warc_frames(records: list[bytes]) -> bytes:
    return b"".join(frame(data) for data in records)


def warc_frames_with_dictionary(records: list[bytes]) -> bytes:
    dictionary = zstandard.train_dictionary(16_384, records)
    content = frame(dictionary.as_bytes())
    head = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
    return head + b"".join(frame(data, dictionary) for data in records)


def warc_single_frame(records: list[bytes]) -> bytes:
    return frame(b"".join(records))


def wet(rows: list[dict]) -> list[bytes]:
    """Records as Common Crawl writes them, a warcinfo before them."""
    records = [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"]
    for row in rows:
        text = row["text"].encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: {row['url']}\r\nWARC-Record-ID: {row['id']}\r\n"
            f"WARC-Date: {row['date']:%Y-%m-%dT%H:%M:%SZ}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\n"
        )
        records.append(head.encode() + b"\r\n" + text + b"\r\n\r\n")
    return records


def json_line(row: dict) -> bytes:
    """A document as a line of JSON, its date as a WARC has it."""
    return json.dumps({**row, "date": f"{row['date']:%Y-%m-%dT%H:%M:%SZ}"}, ensure_ascii=False).encode() + b"\n"


def write_texts(path: Path, rows: list[dict]) -> None:
    """Documents in the format that the file's name says: each record compressed for itself, lines all together."""
    wrap = {".gz": gzip.compress, ".zst": frame}.get(path.suffix, bytes)
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path, row_group_size=40)
    elif ".jsonl" in path.suffixes:
        path.write_bytes(wrap(b"".join(map(json_line, rows))))
    else:
        path.write_bytes(b"".join(map(wrap, wet(rows))))


def write_mixed(folder, crawl, rows: list[dict]) -> dict[str, int]:
    """One file of each format with other documents in it; returns how many records each holds."""
    records = raw_records(crawl)
    (folder / "a.warc.gz").write_bytes(b"".join(gzip.compress(data, mtime=0) for data in records[:120]))
    (folder / "b.warc.zst").write_bytes(warc_frames(records[120:240]))
    write_texts(folder / "c.warc.wet.gz", rows[:70])
    write_texts(folder / "d.parquet", [{**row, "n": number} for number, row in enumerate(rows[60:120])])
    write_texts(folder / "e.jsonl", [{**row, "n": -number, "tags": ["x"]} for number, row in enumerate(rows[100:150])])
    write_texts(folder / "f.jsonl.zst", rows[140:170])
    pages = [sum(b"WARC-Type: response" in data for data in part) for part in (records[:120], records[120:240])]
    texts = {"c.warc.wet.gz": 70, "d.parquet": 60, "e.jsonl": 50, "f.jsonl.zst": 30}
    return {"a.warc.gz": pages[0], "b.warc.zst": pages[1]} | texts
