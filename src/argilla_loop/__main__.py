"""``python -m argilla_loop`` and the ``argilla-loop`` command."""

from __future__ import annotations

import sys

from argilla_loop.cli import main

if __name__ == "__main__":
    sys.exit(main())
