"""What a pipeline may say of its inputs: the section ``input`` of a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gpurefine.read.parts import parse_part

#: Parts of names of options that are secrets. A config is copied into the manifest of each run, where all can read it.
_SECRETS = ("secret", "token", "password", "credential", "authorization", "cookie", "account_key", "connection_string")


class InputOptions(BaseModel):
    """What is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mime: tuple[str, ...] = Field(("text/html", "application/xhtml+xml"), description="media types that are pages")
    dump: str | None = Field(None, description="name of the crawl where the path names none (CC-MAIN-2023-06)")
    max_body: int = Field(
        20 << 20, gt=0, description="largest body of a page in bytes, before and after decoding; longest JSON line"
    )
    text_column: str = Field(
        "text", description="column of a table (Parquet), or key of JSON lines, that holds the texts"
    )
    id_column: str = Field(
        "id", description="column that holds ids; a row without one is called FILE:ROW, a line FILE:OFFSET"
    )
    part: str | None = Field(
        None, description="`K/N`: refine only the K-th of N parts, which is cut by keyed hashes of the ids"
    )
    url_column: str = Field("url", description="column that holds URLs")
    prefix: str | None = Field(
        None,
        description="what stands before the relative paths of a list (`warc.paths.gz`): a folder, or a URL such as "
        "`https://data.commoncrawl.org/`; default the folder of the list",
    )
    skip_missing: bool = Field(
        False, description="go on without inputs that are not there; `summary.json` names them as `missing_inputs`"
    )
    storage: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="options of file systems by protocol, as `{s3: {anon: true}}`; no secrets, which stand in the "
        "environment",
    )

    @field_validator("part")
    @classmethod
    def _part_is_one(cls, value: str | None) -> str | None:
        return None if value is None else "{}/{}".format(*parse_part(value))

    @field_validator("storage")
    @classmethod
    def _storage_has_no_secrets(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        secret = next(_secret_names(value), None)
        if secret is not None:
            raise ValueError(
                f"'{secret}' is a secret, which would stand in the manifest of each run: set it in the environment, "
                "for s3 as AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for https as FSSPEC_HTTPS="
                '\'{"headers": {"Authorization": "..."}}\''
            )
        return value

    def storage_of(self, url: str) -> dict[str, Any]:
        """Options of the file system of a URL."""
        return self.storage.get(url.partition("://")[0], {})


def _secret_names(options: Mapping[str, Any]) -> Iterator[str]:
    """Names of secrets among options, however deep."""
    for name, value in options.items():
        if name == "key" or any(part in name.lower() for part in _SECRETS):
            yield name
        if isinstance(value, Mapping):
            yield from _secret_names(value)
