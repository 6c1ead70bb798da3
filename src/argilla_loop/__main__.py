"""``python -m argilla_loop`` and the ``argilla-loop`` command."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run a command; what imports take seconds comes after the signals of ``run`` are looked after."""
    if sys.argv[1:2] == ["run"]:
        _answer_early_signals()
    from argilla_loop.cli.app import main as command  # noqa: PLC0415  see above

    return command()


def _answer_early_signals() -> None:
    """Until the service has handlers of its own: end well on SIGTERM, as nothing has begun, and let SIGHUP pass.

    A reload has nothing to do then, as the settings are read later. One that is ignored, as under nohup, stays so.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


if __name__ == "__main__":
    sys.exit(main())
