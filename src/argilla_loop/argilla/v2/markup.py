"""Escaping of texts that look like HTML, so that people can read all of it and no browser runs it.

Argilla's UI (2.8) passes texts to the browser as HTML. Of "John <john@example.org>" people see "John"; an image with an
``onerror`` runs it; and a text with a closing tag is put into a frame of the UI's own origin, where scripts run with
the annotator's session. A word joiner, which is invisible, after each ``<`` that could begin a tag prevents all this.
"""

from __future__ import annotations

import re

from argilla_loop.policy.text_keys import GUARD, unescape_markup

__all__ = ["escape_markup", "unescape_markup"]

_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # the beginning of a tag, for a browser (HTML standard, 13.2.5.6)


def escape_markup(text: str) -> str:
    """Return ``text`` as it is logged."""
    return _TAG.sub(GUARD, text)
