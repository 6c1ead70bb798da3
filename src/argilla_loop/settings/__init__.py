"""All settings: ``model`` defines them, ``file`` reads them, ``table`` lists them; ``files`` writes what they name."""

from argilla_loop.settings.model import (
    CONFIG_ENV,
    ENV_PREFIX,
    PoolSettings,
    Settings,
    WebhookSettings,
    load_settings,
    secrets_of_environment,
    table_of,
    unknown_variables,
)

__all__ = [
    "CONFIG_ENV",
    "ENV_PREFIX",
    "PoolSettings",
    "Settings",
    "WebhookSettings",
    "load_settings",
    "secrets_of_environment",
    "table_of",
    "unknown_variables",
]
