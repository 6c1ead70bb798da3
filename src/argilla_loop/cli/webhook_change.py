"""``argilla-loop webhook``: removes, disables or enables the webhook that the service registered."""

from __future__ import annotations

from typing import Literal

from rich.console import Console

from argilla_loop.service.wiring import connect_with
from argilla_loop.settings import Settings

DONE = {"remove": "removed", "disable": "disabled", "enable": "enabled"}


def change_webhook(settings: Settings, action: Literal["remove", "disable", "enable"], out: Console) -> None:
    """Remove, disable or enable the webhooks of the working dataset, at whatever address.

    Args:
        settings: of the dataset; the key must be an owner's.
        action: a running service registers a removed webhook again, and leaves a disabled one disabled.
        out: where the outcome is printed.

    Raises:
        CredentialsError: the key is not an owner's.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    backend = connect_with(settings)
    try:
        webhooks = backend.webhooks(settings.workspace, settings.dataset)
        count = webhooks.remove() if action == "remove" else webhooks.switch(enabled=action == "enable")
    finally:
        backend.close()
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
