"""``python -m argilla_embedded --home DIR [--host HOST] [--port PORT]``: run the server in this process."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from argilla_embedded.server import WEBHOOK_RETRIES, serve, stop_when_input_closes
from argilla_loop.errors import FatalError


def main() -> int:
    """Run the server until it is told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m argilla_embedded", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of the database and the secrets")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6900, help="0 lets the system choose")
    parser.add_argument("--quiet", action="store_true", help="do not print new secrets")
    parser.add_argument("--until-input-closes", action="store_true", help="stop when the standard input ends")
    parser.add_argument(
        "--webhook-retries",
        type=lambda text: tuple(float(seconds) for seconds in text.split(",") if seconds),
        default=WEBHOOK_RETRIES,
        help="seconds before each further attempt at a webhook, comma-separated",
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
    except FatalError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the message for the person at the terminal
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
