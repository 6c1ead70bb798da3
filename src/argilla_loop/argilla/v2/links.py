"""Addresses that open one record in Argilla's UI."""

from __future__ import annotations

import re
from urllib.parse import quote

from argilla_loop.domain import LoggedRecord

# Words of the text that the link searches for, and the longest one: enough to tell texts apart, short enough for any
# browser and mail program. Chosen, not measured.
WORDS, WORD_LENGTH = 8, 30


def record_url(api_url: str, dataset_id: str, record: LoggedRecord) -> str:
    """Return the address that shows whoever answered ``record`` that record among his own submitted answers.

    Argilla 2.8's UI has no address of a record. It reads page, status, search and filters from the address, so the link
    searches for words of the text and filters by the certainty, or by the batch if there is no certainty.

    Args:
        api_url: of the server, which serves the UI at the same address.
        dataset_id: id of the working dataset.
        record: of that dataset.
    """
    words = [word for word in re.findall(r"[^\W_]+", record.text) if len(word) <= WORD_LENGTH]
    parts = ["page=1", "status=submitted"]
    if words:  # the UI writes spaces as underscores, and searches in all fields
        parts.append(f"search={quote('_'.join(list(dict.fromkeys(words))[:WORDS]))}~all")
    if record.certainty is not None:
        parts.append(f"metadata=certainty.ge{record.certainty:.12g}.le{record.certainty:.12g}")
    elif record.batch is not None:
        parts.append(f"metadata=idx.ge{record.batch}.le{record.batch}")
    return f"{dataset_url(api_url, dataset_id)}?{'&'.join(parts)}"


def dataset_url(api_url: str, dataset_id: str) -> str:
    """Return the address that shows an annotator the records of a dataset that wait."""
    return f"{api_url.rstrip('/')}/dataset/{dataset_id}/annotation-mode"
