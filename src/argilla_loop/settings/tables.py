"""The settings that have a TOML table of their own: pool, webhook and HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, Path)) else value


class PoolSettings(BaseModel):
    """Source of the texts."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["hub", "files", "argilla"] = Field(
        "files",
        description="Source of the texts. `hub`: a Hugging Face dataset; `files`: local parquet, CSV, JSON or text "
        "files, or a folder saved by `datasets`; `argilla`: another Argilla dataset, whose submitted records become "
        "the first examples.",
    )
    name: str | None = Field(
        None, description="Name of the hub dataset, such as `argilla/news` (source `hub`)."
    )
    subset: str | None = Field(None, description="Configuration of the hub dataset, if it has several.")
    split: str = Field("train", description="Split of the hub dataset or of the saved folder.")
    revision: str | None = Field(
        None, description="Commit, tag or branch of the hub dataset. Pin a commit for reproducible results."
    )
    path: Annotated[list[Path], BeforeValidator(_as_list)] | None = Field(
        None, description="File, folder or glob pattern, or a list of them (source `files`)."
    )
    dataset: str | None = Field(
        None, description="Argilla dataset to read the texts from (source `argilla`)."
    )
    workspace: str | None = Field(
        None, description="Workspace of `pool.dataset`; default: that of the working dataset."
    )
    text_column: str = Field("text", description="Column (or Argilla field) with the text.")
    label_column: str | None = Field(
        None,
        description="Column with human labels. Rows that have one are examples from the start.",
    )
    id_column: str | None = Field(
        None, description="Column that identifies a row; default: a hash of the text is used."
    )
    relabel: dict[str, str] = Field(
        default_factory=dict,
        description="What labels of the label column are called in the working dataset, if it is not the same. "
        "`argilla-loop migrate` sets it.",
    )
    limit: int | None = Field(None, gt=0, description="Maximum number of rows to read; default: all.")

    @model_validator(mode="after")
    def _complete(self) -> PoolSettings:
        needed = {"hub": "name", "files": "path", "argilla": "dataset"}[self.source]
        if not getattr(self, needed):
            raise ValueError(f"pool.source = {self.source!r} needs pool.{needed}")
        others = {"name", "path", "dataset"} - {needed}
        if extra := sorted(key for key in others if getattr(self, key)):
            raise ValueError(
                f"pool.{extra[0]} cannot be used with pool.source = {self.source!r}: remove one of them"
            )
        return self


class WebhookSettings(BaseModel):
    """Webhook through which Argilla notifies the service of an answer. Without it, the service only polls."""

    model_config = ConfigDict(extra="forbid")

    public_url: AnyHttpUrl | None = Field(
        None,
        description="Address at which Argilla's server can reach this service. If set, the service registers a "
        "webhook, "
        "which needs an owner's API key. Default: no webhook, polling only.",
    )
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on for webhooks; use `0.0.0.0` in a container.",
    )
    port: int = Field(9091, ge=1, le=65535, description="Port to listen on for webhooks.")
    check_interval: float = Field(
        60.0,
        ge=1,
        le=86400,
        description="Seconds between two checks that the webhook and its secret in Argilla are still correct.",
    )

    @field_validator("public_url")
    @classmethod
    def _holds_no_secret(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        if url is not None and (url.query or url.fragment or url.username or url.password):
            raise ValueError(
                "holds a login, ? or #, which every owner can read in Argilla: give scheme, host, port and path only"
            )
        return url


class HttpSettings(BaseModel):
    """HTTP server for `/healthz`, `/readyz` and `/metrics`."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on for health checks and metrics; use `0.0.0.0` in a container.",
    )
    port: int = Field(
        9090,
        ge=0,
        le=65535,
        description="Port to listen on for the page (`/`), `/healthz`, `/readyz` and `/metrics`. Each service on a "
        "machine needs its own port; 0 turns the server off.",
    )
