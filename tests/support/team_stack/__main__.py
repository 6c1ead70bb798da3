"""Start and stop a stack: ``python -m team_stack run``, which ``make stack`` does."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from team_stack import Kit, Ports, StackError, TeamStack
from team_stack.parts import ORDER

BASE_PORT = 28000


def main() -> int:
    """Parse and do; an exit code."""
    parser = argparse.ArgumentParser(prog="team_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    described = {
        "run": "start it, and stop it at Ctrl-C",
        "up": "start it, and leave it running",
        "down": "stop what runs of it",
        "start": "start one part",
        "stop": "stop one part",
        "kill": "kill one part (-9)",
        "argilla": "a command of Argilla's server, such as: argilla search-engine reindex",
    }
    for name, what in described.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("--home", type=Path, default=Path(".stack/team"), help="its data (%(default)s)")
        command.add_argument(
            "--kit", type=Path, default=Path(".stack/kit"), help="its software (%(default)s)"
        )
        command.add_argument(
            "--base-port",
            type=int,
            help=f"Argilla's port; the three after it are the databases' (the last one, or {BASE_PORT})",
        )
        if name in {"start", "stop", "kill"}:
            command.add_argument("part", choices=ORDER)
        elif name == "argilla":
            command.add_argument("arguments", nargs=argparse.REMAINDER)
    try:
        return _do(parser.parse_args())
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  for people
        return 1


def _do(options: argparse.Namespace) -> int:
    ports = Ports.from_base(options.base_port) if options.base_port else None
    if ports is None and not (options.home / "ports.json").exists():
        ports = Ports.from_base(BASE_PORT)
    stack = TeamStack(options.home, Kit(options.kit.resolve()), ports=ports, say=_say)
    if options.command in {"start", "stop", "kill"}:
        getattr(stack.part(options.part), options.command)()
    elif options.command == "argilla":
        print(stack.argilla(*options.arguments), end="")  # noqa: T201  for people
    elif options.command == "down":
        stack.down()
    else:
        stack.up()
        print(_sheet(stack), flush=True)  # noqa: T201  for people
        if options.command == "run":
            with contextlib.suppress(KeyboardInterrupt):
                stack.wait()
                _say("a part has ended, so the others are stopped")
            stack.down()
    return 0


def _say(line: str) -> None:
    print(f"==> {line}", flush=True)  # noqa: T201  for people


def _sheet(stack: TeamStack) -> str:
    known = stack.credentials
    users = {"owner": known.owner, "admin": known.loop, "annotator": known.annotator}
    lines = [f"Argilla  {stack.url}  (workspace {known.workspace})", ""]
    lines += [f"  {'user':<14}{'role':<11}{'password':<26}API key"]
    lines += [f"  {u.username:<14}{role:<11}{u.password:<26}{u.api_key}" for role, u in users.items()]
    lines += ["", f"Elasticsearch's core {stack.elasticsearch_url}, PostgreSQL :{stack.ports.postgres}, "]
    lines[-1] += f"Redis :{stack.ports.redis}; logs in {stack.home.folder / 'logs'}"
    lines += ["Stop it with Ctrl-C, or `make stack-down`."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
