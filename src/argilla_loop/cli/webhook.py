"""``argilla-loop webhook``: change the webhook that the service registered."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from argilla_loop.cli.common import Config, out, read_settings


class WebhookAction(str, Enum):
    """What to do with the webhook."""

    REMOVE = "remove"
    DISABLE = "disable"
    ENABLE = "enable"


def webhook(
    action: Annotated[
        WebhookAction,
        typer.Argument(help="A running service does not enable a disabled webhook again."),
    ],
    config: Config = None,
) -> None:
    """Remove, disable or enable the webhook that the service registered in Argilla. This needs an owner's API key."""
    from argilla_loop.cli.webhook_change import change_webhook  # noqa: PLC0415  slow to import

    change_webhook(read_settings(config, quiet=True), action.value, out)
