"""Texts that hold what looks like HTML, so that people read all of it and no browser runs it.

Argilla's UI (2.8) hands texts to the browser as HTML. Of "John <john@example.org>" people read "John"; an image with
an ``onerror`` runs it, and a text in which an element is closed goes into a frame of the UI's own origin, where scripts
run too, with the session of whoever labels. A word joiner, which nobody sees, after each ``<`` that could begin a tag
keeps it from all that.
"""

from __future__ import annotations

import re

from argilla_loop.policy.text_keys import GUARD, unescape_markup

__all__ = ["escape_markup", "unescape_markup"]

_TAG = re.compile(
    r"<(?=[A-Za-z/!?])"
)  # what a browser takes for the beginning of one (HTML standard, 13.2.5.6)


def escape_markup(text: str) -> str:
    """``text`` as it is logged."""
    return _TAG.sub(GUARD, text)
