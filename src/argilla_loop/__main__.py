"""``python -m argilla_loop`` and the ``argilla-loop`` command."""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 130  # exit code after Ctrl-C, as in a shell


def main() -> int:
    """Run a command. Signal handlers are installed before the imports, which take seconds."""
    if sys.argv[1:2] == ["run"]:
        _answer_early_signals()
    try:
        from argilla_loop.cli.app import main as command  # noqa: PLC0415  see above
    except KeyboardInterrupt:  # nothing has started yet
        return INTERRUPTED

    return command()


def _answer_early_signals() -> None:
    """Exit with code 0 on SIGTERM and ignore SIGHUP, until the service installs its own handlers.

    At this point nothing has started and the settings are not read yet, so that a reload has nothing to do. If SIGHUP
    is already ignored, as under nohup, it stays ignored.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


if __name__ == "__main__":
    sys.exit(main())
