"""All settings of the service.

``model`` and ``tables`` define them, ``load`` reads them from ``environment`` and ``file``, and ``table`` lists them.
``files`` writes private folders and files.
"""

from argilla_loop.settings.environment import CONFIG_ENV, secrets_of_environment, unknown_variables
from argilla_loop.settings.load import load_settings
from argilla_loop.settings.model import ENV_PREFIX, Settings, table_of
from argilla_loop.settings.tables import PoolSettings, WebhookSettings

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
