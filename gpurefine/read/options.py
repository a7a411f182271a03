"""What a pipeline may say of its inputs: the section ``input`` of a config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gpurefine.read.parts import parse_part


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

    @field_validator("part")
    @classmethod
    def _part_is_one(cls, value: str | None) -> str | None:
        return None if value is None else "{}/{}".format(*parse_part(value))
