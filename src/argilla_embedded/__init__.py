"""A real Argilla server in one process: its web UI, SQLite, and no Docker, Elasticsearch or Redis.

For the demo, the tests and one person's laptop; a team runs Argilla proper. Importing this package needs no
extra; only the server's own process imports ``argilla_server``.
"""

from argilla_embedded.credentials import Credentials, UserCredentials, load_credentials
from argilla_embedded.process import EmbeddedServer

__all__ = ["Credentials", "EmbeddedServer", "UserCredentials", "load_credentials"]
