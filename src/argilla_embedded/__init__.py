"""A real Argilla server in one process, with its web UI and SQLite, without Docker, Elasticsearch or Redis.

Use it for demos, for tests and on your own machine; a team should run a full Argilla deployment. You can import this
package without any extra: only the server's own process imports ``argilla_server``.
"""

from argilla_embedded.credentials import Credentials, UserCredentials, load_credentials
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.process import EmbeddedServer

__all__ = ["Credentials", "EmbeddedServer", "EmbeddedServerError", "UserCredentials", "load_credentials"]
