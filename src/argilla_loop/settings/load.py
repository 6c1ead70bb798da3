"""Load the settings of one dataset.

A setting is taken from the first of these sources that has it: command line, environment (``ARGILLA_LOOP_…``, nested
keys with a double underscore), secrets directory, TOML file, default.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from argilla_loop.errors import SettingsError, collapse_whitespace
from argilla_loop.settings.environment import known_variables
from argilla_loop.settings.file import HINT, FileValues
from argilla_loop.settings.model import ENV_PREFIX, Settings, table_of

_SHORT = Repr()  # shows an invalid value on one line, however large or nested it is
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings from ``config``, the environment and the secrets directories.

    Args:
        config: TOML file; ``None`` to use the environment only.
        overrides: values that take precedence over every other source.

    Raises:
        SettingsError: settings are missing or invalid. The message is one line that names each key and the remedy.
    """
    file = FileValues(config)

    class FromFile(Settings):
        model_config = SettingsConfigDict(
            secrets_dir=_secrets_dirs(), env_prefix=ENV_PREFIX, title="Settings"
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  .env is read by Docker Compose only
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            if isinstance(env_settings, EnvSettingsSource):
                env_settings.env_vars = known_variables(env_settings.env_vars)
            toml = InitSettingsSource(settings_cls, file.values)
            return (init_settings, env_settings, file_secret_settings, toml)

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        if config is None and any(
            item["loc"] == ("pool",) and item["type"] == "missing" for item in error.errors()
        ):
            reason = f"a settings file is needed to locate the texts: -c FILE ({HINT})"
        else:
            reason = "; ".join(_explain(item) for item in error.errors(include_input=True))
    except RecursionError:
        reason = f"settings cannot be read ({config or 'environment'}): nested too deeply"
    except (
        ValueError,
        OSError,
        MemoryError,
    ) as error:  # an unreadable secret file, or invalid JSON in an environment variable
        cause = collapse_whitespace(error) or type(error).__name__
        reason = f"settings cannot be read ({config or 'environment'}): {cause}"
    # raised outside the handlers, so that the caught exception, which holds values, is not chained
    raise SettingsError(file.hide(reason))


def _secrets_dirs() -> list[Path]:
    """Return the directories of systemd credentials and Docker secrets (files like ``argilla_loop_api_key``)."""
    candidates = [os.environ.get("CREDENTIALS_DIRECTORY"), "/run/secrets"]
    return [Path(folder) for folder in candidates if folder and Path(folder).is_dir()]


def _did_you_mean(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f": did you mean {close[0]}?" if close else ": see config/example.toml for all settings"


def _explain(item: Any) -> str:
    """Return one line for one of pydantic's errors, without the value of a secret."""
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        variable = ENV_PREFIX + key.upper().replace(".", "__")
        return f"{key} is missing: set it in the settings file or as {variable}"
    if item["type"] == "extra_forbidden":
        known = list((table_of(key.partition(".")[0]) or Settings).model_fields)
        return f"{key} is unknown{_did_you_mean(key.rpartition('.')[2], known)}"
    if not key or message.startswith(f"{key}."):  # the message names the key itself
        return message
    # an address may contain a password
    secret = key.partition(".")[0] in ("api_key", "headers", "api_url") or key == "webhook.public_url"
    shown = "" if secret or item["type"] == "value_error" else f" = {_SHORT.repr(item.get('input'))}"
    if not message[1:2].isupper():  # "Input should …", but not "URL scheme …"
        message = message[0].lower() + message[1:]
    return f"{key}{shown}: {message}"
