"""Who may log in to the embedded server: generated once, kept in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from argilla_loop.errors import FatalError

FILE_NAME = "credentials.json"
WORKSPACE = "argilla"


@dataclass(frozen=True, slots=True)
class UserCredentials:
    """One user's name and secrets; the secrets stay out of ``repr``."""

    username: str
    password: str = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The users of an embedded server, and the key that signs their logins.

    Attributes:
        owner: may do everything (role ``owner``).
        annotator: answers in the UI (role ``annotator``).
        loop: the daemon's own user (role ``admin``: it creates data sets and logs records in its workspace).
        workspace: the workspace all three belong to.
        auth_secret_key: signs the UI's login tokens; fixed, so that they outlive a restart.
    """

    owner: UserCredentials
    annotator: UserCredentials
    loop: UserCredentials
    workspace: str
    auth_secret_key: str = field(repr=False)


def generate_credentials() -> Credentials:
    """Make fresh random secrets for the three users."""

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
        FatalError: there are none, or the file cannot be understood.
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
        raise FatalError(f"No {path}: start the server on this folder once to create it.") from None
    except OSError as error:
        raise FatalError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FatalError(f"{path} is damaged: delete it, and the next start makes new secrets.") from error


def save_credentials(home: Path, credentials: Credentials) -> None:
    """Write the credentials whole or not at all, readable by their owner only."""
    path = home / FILE_NAME
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(credentials), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
