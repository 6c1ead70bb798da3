"""A real Argilla for a team on this machine, without Docker: what ``docker-compose.yml`` runs, as plain processes.

PostgreSQL, Redis, Argilla's server and its worker are the real ones. The search engine is Elasticsearch's own core
(7.0.0), which comes inside a package of the Python package index; it has no vectors and answers as OpenSearch, see
``java/SearchCore.java``. ``python -m team_stack`` (``make stack``) starts it, ``tests/stack/`` tests on it.
"""

from team_stack.errors import StackError
from team_stack.kit import Kit
from team_stack.layout import Ports
from team_stack.stack import TeamStack

__all__ = ["Kit", "Ports", "StackError", "TeamStack"]
