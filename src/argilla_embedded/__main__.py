"""``python -m argilla_embedded --home DIR [--host HOST] [--port PORT]``: run the server in this process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.server import WEBHOOK_RETRIES, serve, stop_when_input_closes


def main() -> int:
    """Run the server until a signal stops it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m argilla_embedded", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for the database and the secrets")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=6900, help="port to listen on; 0 picks a free one")
    parser.add_argument("--quiet", action="store_true", help="do not print new secrets")
    parser.add_argument(
        "--until-input-closes", action="store_true", help="stop when standard input is closed"
    )
    parser.add_argument(
        "--webhook-retries",
        type=lambda text: tuple(float(seconds) for seconds in text.split(",") if seconds),
        default=WEBHOOK_RETRIES,
        help="seconds to wait before each retry of a webhook, separated by commas",
    )
    arguments = parser.parse_args()
    try:
        if arguments.until_input_closes:
            stop_when_input_closes()
        serve(
            arguments.home,
            arguments.host,
            arguments.port,
            webhook_retries=arguments.webhook_retries,
            show_secrets=not arguments.quiet,
        )
    except EmbeddedServerError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is a command-line program
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
