"""Prepare a folder for the server: environment, database, index and users. Every step is idempotent."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

import structlog

from argilla_embedded.credentials import (
    FILE_NAME,
    Credentials,
    UserCredentials,
    generate_credentials,
    load_credentials,
    save_credentials,
)
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.home import INDEX_FAULTS_VARIABLE, Home
from argilla_embedded.index import ensure_index

log = structlog.get_logger(__name__)


def ensure_credentials(home: Home) -> tuple[Credentials, bool]:
    """Return the folder's credentials, and whether this call created them."""
    if (home.path / FILE_NAME).exists():
        return load_credentials(home.path), False
    credentials = generate_credentials()
    save_credentials(home.path, credentials)
    return credentials, True


def configure_environment(home: Home, credentials: Credentials) -> None:
    """Set the environment variables of argilla_server, which reads its settings when it is first imported.

    Raises:
        EmbeddedServerError: ``INDEX_FAULTS_VARIABLE`` does not name a folder.
    """
    faults = os.environ.get(INDEX_FAULTS_VARIABLE)
    if faults is not None and not Path(faults).is_dir():
        raise EmbeddedServerError(
            f"{INDEX_FAULTS_VARIABLE} is for tests only and must name an existing folder: unset it."
        )
    os.environ.update(
        {
            "ARGILLA_HOME_PATH": str(home.path),
            "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{home.database}?check_same_thread=False",
            "ARGILLA_SEARCH_ENGINE": "embedded" if faults is None else "embedded-with-faults",
            "ARGILLA_AUTH_SECRET_KEY": credentials.auth_secret_key,
            "ARGILLA_AUTH_OAUTH_CFG": str(home.path / "oauth.yaml"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            # The server copies its web UI to a temporary folder at every start and never removes it.
            "TMPDIR": str(home.scratch),
        }
    )
    tempfile.tempdir = None


def prepare_database(database: Path) -> None:
    """Create or migrate the database and its index. Call ``configure_environment`` first."""
    from alembic import command  # noqa: PLC0415 - installed with argilla_server
    from alembic.config import Config  # noqa: PLC0415 - as above

    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    database.chmod(0o600)

    import argilla_server  # noqa: PLC0415 - reads the environment when imported

    # The server's own alembic.ini would reconfigure logging.
    config = Config()
    config.set_main_option("script_location", str(Path(argilla_server.__file__).parent / "alembic"))
    command.upgrade(config, "head")

    connection = sqlite3.connect(database, isolation_level=None)
    try:
        if ensure_index(connection):
            log.info("search_index_built")
    finally:
        connection.close()


async def ensure_users(credentials: Credentials) -> None:
    """Create the workspace and users that are missing, and update secrets that differ."""
    from argilla_server.contexts import accounts  # noqa: PLC0415 - reads the environment when imported
    from argilla_server.database import AsyncSessionLocal, async_engine  # noqa: PLC0415 - as above
    from argilla_server.enums import UserRole  # noqa: PLC0415 - as above
    from argilla_server.models import User, Workspace, WorkspaceUser  # noqa: PLC0415 - as above

    roles: list[tuple[UserCredentials, UserRole]] = [
        (credentials.owner, UserRole.owner),
        (credentials.annotator, UserRole.annotator),
        (credentials.loop, UserRole.admin),
    ]
    async with AsyncSessionLocal() as db:
        workspace = await Workspace.get_by(db, name=credentials.workspace)
        if workspace is None:
            workspace = await Workspace.create(db, name=credentials.workspace)
        for user, role in roles:
            row = await User.get_by(db, username=user.username)
            if row is None:
                row = User(first_name=user.username, username=user.username, role=role)
            if row.api_key != user.api_key:
                row.api_key = user.api_key
                row.password_hash = accounts.hash_password(user.password)
                await row.save(db)
            if await WorkspaceUser.get_by(db, workspace_id=workspace.id, user_id=row.id) is None:
                await WorkspaceUser.create(db, workspace_id=workspace.id, user_id=row.id)
    await async_engine.dispose()
