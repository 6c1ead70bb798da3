"""The stock ``ClassyClassifier``, imported without torch and spaCy, which take seconds and are not needed here."""

from __future__ import annotations

import importlib
import logging
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# classy_classification imports these at once, and uses them only to load a torch model or to recognise spaCy documents.
_DEFERRED = ("spacy", "spacy.language", "spacy.tokens", "sentence_transformers")


class _LazySentenceTransformer:
    """A substitute for ``SentenceTransformer``: making an instance imports the real class."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("sentence_transformers").SentenceTransformer(*arguments, **options)


class _LazySpacyClass(type):
    """A class with the instances of spaCy's class of the same name; none while spaCy is not imported."""

    def __instancecheck__(cls, instance: object) -> bool:
        tokens = sys.modules.get("spacy.tokens")
        return tokens is not None and isinstance(instance, getattr(tokens, cls.__name__))


class _Language:
    """A substitute for spaCy's ``Language``, with which the package registers a component that is not used here."""

    @staticmethod
    def factory(*_: Any, **__: Any) -> Any:
        return lambda function: function


@contextmanager
def _deferred_imports() -> Iterator[None]:
    if any(name in sys.modules for name in (*_DEFERRED, "classy_classification")):
        yield  # already imported
        return
    stand_ins = {name: types.ModuleType(name) for name in _DEFERRED}
    vars(stand_ins["spacy"]).update(__version__="", util=None)
    vars(stand_ins["spacy.language"]).update(Language=_Language)
    vars(stand_ins["spacy.tokens"]).update(
        Doc=_LazySpacyClass("Doc", (), {}), Span=_LazySpacyClass("Span", (), {})
    )
    vars(stand_ins["sentence_transformers"]).update(SentenceTransformer=_LazySentenceTransformer)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in _DEFERRED:
            sys.modules.pop(name, None)


_show_warning = warnings.showwarning
with _deferred_imports():
    from classy_classification import ClassyClassifier
if warnings.showwarning is not _show_warning:
    # The package redirects every warning of the process to logging when it is imported: undo that.
    logging.captureWarnings(capture=False)

__all__ = ["ClassyClassifier"]
