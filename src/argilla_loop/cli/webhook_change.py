"""``argilla-loop webhook``: removes, disables or enables the webhook that the service registered."""

from __future__ import annotations

from typing import Literal

from rich.console import Console

from argilla_loop.argilla.v2.webhooks import description_of, remove, switch
from argilla_loop.service.wiring import connect_with
from argilla_loop.settings import Settings

DONE = {"remove": "removed", "disable": "disabled", "enable": "enabled"}


def change_webhook(settings: Settings, action: Literal["remove", "disable", "enable"], out: Console) -> None:
    """Remove, disable or enable the webhooks of the working dataset, wherever they lead.

    Args:
        settings: of the dataset; the key must be an owner's.
        action: a service that runs registers a removed webhook anew, and leaves a disabled one disabled.
        out: where the outcome is printed.

    Raises:
        CredentialsError: the key is no owner's.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    connection = connect_with(settings)
    try:
        description = description_of(settings.workspace, settings.dataset)
        if action == "remove":
            count = remove(connection, description)
        else:
            count = switch(connection, description, enabled=action == "enable")
    finally:
        connection.close()
    if count == 0:
        out.print(
            f"nothing to {action}: Argilla has no webhook of dataset {settings.dataset!r}", markup=False
        )
        return
    out.print(
        f"{DONE[action]}: {count} webhook{'s' if count > 1 else ''} of dataset {settings.dataset!r}",
        markup=False,
    )
    if action == "remove" and settings.webhook.public_url is not None:
        out.print(
            "a running service registers it anew: take webhook.public_url out of its settings, or disable it"
        )
