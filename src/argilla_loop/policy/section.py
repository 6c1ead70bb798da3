"""A section of the service in a text that belongs to people: pure edits that never remove their words.

The section lies between two HTML comments, which Argilla's UI does not show. The first comment carries a digest of the
section: if it matches, the section is the service's and may be replaced; if somebody edited it, it is theirs.
"""

from __future__ import annotations

import hashlib
import re

from argilla_loop.errors import collapse_whitespace

# no marker within: of two beginnings before one end, the second is the section's
_SECTION = re.compile(
    r"<!-- argilla-loop ([0-9a-f]{8}) -->((?:(?!<!-- /?argilla-loop).)*)<!-- /argilla-loop -->", re.DOTALL
)
GAP = "\n\n"  # ends whatever block of Markdown comes before


def put(text: str, body: str, *, gap: str = GAP) -> str:
    """``text`` with ``body`` as our section: in its place wherever the section is, else at the end.

    ``gap`` parts the section from what comes before it, and the markers from ``body``.

    A section that is there several times is replaced everywhere. What only looks like one (a marker is missing, or
    somebody wrote between them) stays as it is.
    """
    section = _section(body, gap)
    if not any(_is_ours(found) for found in _SECTION.finditer(text)):
        return f"{text}{gap}{section}" if text else section
    return _SECTION.sub(lambda found: section if _is_ours(found) else found[0], text)


def without(text: str, *, gap: str = GAP) -> str:
    """``text`` as people wrote it: without our section, and without the ``gap`` that ``put`` made before it."""
    kept, end = [], 0
    for found in _SECTION.finditer(text):
        if _is_ours(found):
            kept.append(text[end : found.start()].removesuffix(gap))
            end = found.end()
    return "".join([*kept, text[end:]])


def _section(body: str, gap: str) -> str:
    return f"<!-- argilla-loop {_digest(body)} -->{gap}{body}{gap}<!-- /argilla-loop -->"


def _is_ours(found: re.Match[str]) -> bool:
    return found[1] == _digest(found[2])


def _digest(body: str) -> str:
    """Of the words alone: an editor that changes line ends or blank lines makes nothing its own."""
    words = collapse_whitespace(body).encode("utf-8", "replace")
    return hashlib.sha256(words).hexdigest()[:8]
