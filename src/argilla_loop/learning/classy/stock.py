"""The stock ``ClassyClassifier``, without the seconds and megabytes (torch, spaCy) that it does not need for us."""

from __future__ import annotations

import importlib
import logging
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# classy_classification imports these at its top and needs them late: to load a torch model, to know a spaCy document.
_PUT_OFF = ("spacy", "spacy.language", "spacy.tokens", "sentence_transformers")


class _LoadedWhenCalled:
    """Stands in for ``SentenceTransformer``: making one imports the real one."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("sentence_transformers").SentenceTransformer(*arguments, **options)


class _KnownWhenLoaded(type):
    """A class whose instances are those of spaCy's class of that name; none while spaCy is not imported."""

    def __instancecheck__(cls, instance: object) -> bool:
        tokens = sys.modules.get("spacy.tokens")
        return tokens is not None and isinstance(instance, getattr(tokens, cls.__name__))


class _Language:
    """Only registers the package's spaCy component, which nobody here uses."""

    @staticmethod
    def factory(*_: Any, **__: Any) -> Any:
        return lambda function: function


@contextmanager
def _put_off() -> Iterator[None]:
    if any(name in sys.modules for name in (*_PUT_OFF, "classy_classification")):
        yield  # somebody has paid already
        return
    stand_ins = {name: types.ModuleType(name) for name in _PUT_OFF}
    vars(stand_ins["spacy"]).update(__version__="", util=None)
    vars(stand_ins["spacy.language"]).update(Language=_Language)
    vars(stand_ins["spacy.tokens"]).update(
        Doc=_KnownWhenLoaded("Doc", (), {}), Span=_KnownWhenLoaded("Span", (), {})
    )
    vars(stand_ins["sentence_transformers"]).update(SentenceTransformer=_LoadedWhenCalled)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in _PUT_OFF:
            sys.modules.pop(name, None)


_show_warning = warnings.showwarning
with _put_off():
    from classy_classification import ClassyClassifier
if warnings.showwarning is not _show_warning:
    # The package sends every warning of the process to logging when imported; that is not its business.
    logging.captureWarnings(capture=False)

__all__ = ["ClassyClassifier"]
