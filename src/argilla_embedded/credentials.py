"""The users of the embedded server and their secrets, generated once and stored in a private file."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from argilla_embedded.errors import EmbeddedServerError

FILE_NAME = "credentials.json"
WORKSPACE = "argilla"


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """One user's name and secrets. ``repr`` does not show the secrets."""

    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The users of an embedded server, and the key that signs their logins.

    Attributes:
        owner: a user with all permissions (role ``owner``).
        annotator: a user who answers in the UI (role ``annotator``).
        loop: a user for a service (role ``admin``: it can create datasets and log records in its workspace).
        workspace: the workspace that all three users belong to.
        auth_secret_key: key that signs the UI's login tokens. It is stored, so that logins survive a restart.
    """

    owner: UserCredentials
    annotator: UserCredentials
    loop: UserCredentials
    workspace: str
    auth_secret_key: str = field(repr=False)


def generate_credentials() -> Credentials:
    """Return new random secrets for the three users."""

    def user(username: str) -> UserCredentials:
        return UserCredentials(username, secrets.token_urlsafe(12), secrets.token_urlsafe(48))

    return Credentials(
        owner=user("owner"),
        annotator=user("annotator"),
        loop=user("argilla-loop"),
        workspace=WORKSPACE,
        auth_secret_key=secrets.token_hex(32),
    )


def load_credentials(home: Path) -> Credentials:
    """Read the credentials of the server whose folder is ``home``.

    Raises:
        EmbeddedServerError: the file does not exist, cannot be read, or is damaged.
    """
    path = home / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(
            owner=UserCredentials(**content.pop("owner")),
            annotator=UserCredentials(**content.pop("annotator")),
            loop=UserCredentials(**content.pop("loop")),
            **content,
        )
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{path} does not exist: start the server on this folder once to create it."
        ) from None
    except OSError as error:
        raise EmbeddedServerError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EmbeddedServerError(
            f"{path} is damaged: delete it, and the next start creates new secrets."
        ) from error


def save_credentials(home: Path, credentials: Credentials) -> None:
    """Write the credentials atomically, to a file that only its owner can read."""
    path = home / FILE_NAME
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
