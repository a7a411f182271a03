"""datatrove from WARC to the survivors of its MinHash, with the rules of ``refinedweb`` as far as it has them.

    python benchmarks/datatrove_side.py SHARDS FOLDER --workers 2 --model lid.176.ftz

A program of its own, run by ``pipeline_datatrove.py`` in an environment with ``datatrove[processing]`` (which wants an
older trafilatura than gpurefine's): WarcReader, URLFilter, Trafilatura (precision, no deduplication, as gpurefine's
default), LanguageFilter, GopherRepetitionFilter, GopherQualityFilter; then its four MinHash steps as shipped. Prints
seconds of wall time behind all imports, and documents kept, as JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import fasttext
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LanguageFilter, URLFilter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.lid import FT176LID
from loguru import logger
from tldextract import TLDExtract


class OwnModel(FT176LID):
    """Its language identification with a model of this machine instead of a download."""

    path = ""

    @property
    def model(self) -> object:
        """The model, loaded once a process."""
        if self._model is None:
            self._model = fasttext.load_model(self.path)
        return self._model


def language_filter(path: str) -> LanguageFilter:
    """Its filter for English."""
    found = LanguageFilter(["en"])
    found.model = OwnModel(["en"])
    found.model.path = path
    return found


def url_filter() -> URLFilter:
    """Its filter of URLs, with the list of public suffixes that comes with its package instead of a download."""
    found = URLFilter()
    found.tldextractor = TLDExtract(suffix_list_urls=())
    return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", help="folder of WARC files, a task each")
    parser.add_argument("folder", type=Path, help="for all that is written")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", required=True, help="path of lid.176")
    options = parser.parse_args()
    logger.remove()
    tasks, folder = len(list(Path(options.shards).iterdir())), options.folder
    # xxhash is its default; with xxhash 4 that path fails, because it hands it a str
    config = MinhashConfig(
        hash_config=HashConfig(hash_fc="xxhash" if int(version("xxhash").split(".")[0]) < 4 else "sha1")
    )
    filtered, kept = str(folder / "filtered"), str(folder / "kept")
    signatures, buckets, clusters = (str(folder / name) for name in ("signatures", "buckets", "clusters"))
    steps = [
        (
            [
                WarcReader(options.shards), url_filter(), Trafilatura(deduplicate=False, timeout=60),
                language_filter(options.model), GopherRepetitionFilter(), GopherQualityFilter(), JsonlWriter(filtered),
            ],
            tasks,
        ),
        ([JsonlReader(filtered), MinhashDedupSignature(signatures, config)], tasks),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, clusters, config=config)], 1),
        ([JsonlReader(filtered), MinhashDedupFilter(clusters), JsonlWriter(kept)], tasks),
    ]  # fmt: skip
    began = time.perf_counter()
    seconds = []
    for number, (pipeline, count) in enumerate(steps):
        before = time.perf_counter()
        LocalPipelineExecutor(
            pipeline, tasks=count, workers=options.workers, logging_dir=str(folder / f"log{number}")
        ).run()
        seconds.append(round(time.perf_counter() - before, 2))
    documents = sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in Path(kept).glob("*.jsonl.gz"))
    packages = {name: version(name) for name in ("datatrove", "trafilatura", "spacy")}
    json.dump(
        {"seconds": time.perf_counter() - began, "steps": seconds, "kept": documents, "versions": packages}, sys.stdout
    )


if __name__ == "__main__":
    main()
