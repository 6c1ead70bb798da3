"""Secrets of the embedded server."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from argilla_embedded.credentials import (
    FILE_NAME,
    generate_credentials,
    load_credentials,
    save_credentials,
)
from argilla_embedded.errors import EmbeddedServerError


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Credentials survive the file, which only its owner can read; nothing else is left in the folder."""
    credentials = generate_credentials()
    save_credentials(tmp_path, credentials)
    assert load_credentials(tmp_path) == credentials
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_secrets_are_fresh_and_stay_out_of_logs() -> None:
    """No two servers share a secret, and printing credentials shows none."""
    one, other = generate_credentials(), generate_credentials()
    secrets = {one.auth_secret_key, other.auth_secret_key}
    for each in (one, other):
        for user in (each.owner, each.annotator, each.loop):
            secrets |= {user.password, user.api_key}
    assert len(secrets) == 14
    assert not any(secret in repr(one) for secret in secrets)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"owner": 1}', '{"owner": {"username": "x"}}'])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    """A file that holds no credentials is named, with the remedy."""
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(EmbeddedServerError, match="damaged: delete it"):
        load_credentials(tmp_path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """Without a file, the message says to start the server."""
    with pytest.raises(EmbeddedServerError, match="start the server"):
        load_credentials(tmp_path)
