"""The annotators that ``start`` creates on its embedded server, with passwords that the same command shows again."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence

from argilla_embedded import EmbeddedServer
from argilla_loop.errors import SettingsError
from argilla_loop.service.wiring import backend_at
from argilla_loop.settings.files import atomic_write

FILE_NAME = "annotators.json"  # beside the server's own credentials.json, and as private
USERNAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}"
)  # what people can type, and no file or path can misread


def usernames_of(given: str | None) -> list[str]:
    """Return the names in ``given``, which commas separate, each once.

    Raises:
        SettingsError: one of them cannot be a username.
    """
    names = list(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))
    for name in names:
        if not USERNAME.fullmatch(name):
            raise SettingsError(
                f"{name!r} cannot be a username: use letters, digits, and . _ - @ within, as in --annotators anna,ben"
            )
    return names


def ensure_annotators(server: EmbeddedServer, names: Sequence[str]) -> Mapping[str, str | None]:
    """Create the users that are missing; return the password of each annotator of this folder, old ones first.

    A password is ``None`` if the user was there before, so that nobody here knows it.

    Args:
        server: a running server.
        names: of the annotators who are wanted now.
    """
    file = server.home / FILE_NAME
    known: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if not names and not known:
        return {}
    who = server.credentials
    backend = backend_at(server.url, who.owner.api_key)
    try:
        there = set(backend.usernames(who.workspace).values())
        foreign = [name for name in names if name in there and name not in known]
        new = {name: secrets.token_urlsafe(9) for name in names if name not in known and name not in foreign}
        if new:  # stored first, so that no user ever has a password that nobody knows
            known |= new
            with atomic_write(file) as unfinished:
                unfinished.touch(mode=0o600)
                unfinished.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
        for name in [*known, *foreign]:
            backend.ensure_annotator(who.workspace, name, known.get(name, ""))
    finally:
        backend.close()
    return {**known, **dict.fromkeys(foreign)}
