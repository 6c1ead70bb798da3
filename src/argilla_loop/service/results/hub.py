"""Push a data set to the Hugging Face hub, with its card."""

from __future__ import annotations

from pathlib import Path

from argilla_loop.errors import CredentialsError, FatalError, RetryableError, collapse_whitespace

DENIED = (401, 403)


def push_to_hub(folder: Path, name: str, card: Path, *, public: bool) -> str:
    """Push the data set in ``folder``; return its address.

    The token is that of the hub's own client (``HF_TOKEN``, or what ``hf auth login`` stored). It is never logged.

    Args:
        folder: what ``datasets.load_from_disk`` reads.
        name: of the repository, such as ``user/name``.
        card: becomes the repository's README.md; the hub's client adds to its front matter where the files are.
        public: whether a new repository is public; one that exists keeps its visibility.

    Raises:
        CredentialsError: the hub refuses the token, or there is none.
        RetryableError: the hub cannot be reached.
        FatalError: the hub refuses the data set.
    """
    import datasets  # noqa: PLC0415  slow to import
    import httpx  # noqa: PLC0415  slow to import
    import requests  # noqa: PLC0415  slow to import
    from huggingface_hub import HfApi  # noqa: PLC0415  slow to import
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415  slow to import

    api = HfApi()
    try:
        url = api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_file(
            path_or_fileobj=card, path_in_repo="README.md", repo_id=name, repo_type="dataset",
            commit_message="Card of the data set",
        )  # fmt: skip
        datasets.load_from_disk(str(folder)).push_to_hub(name, commit_message="Data set by argilla-loop")
    except HFValidationError as error:
        raise FatalError(f"--push-to-hub {name!r}: {collapse_whitespace(error)}") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in DENIED:
            raise CredentialsError(
                f"the hub refuses to write {name!r} ({status}): set HF_TOKEN to a token with write access"
            ) from None
        kind = RetryableError if status >= 500 or status == 429 else FatalError  # noqa: PLR2004  HTTP
        raise kind(f"the hub does not take {name!r} ({status}): {collapse_whitespace(error)[:200]}") from None
    except (requests.RequestException, httpx.HTTPError, ConnectionError) as error:
        raise RetryableError(
            f"the hub cannot be reached: {type(error).__name__}; {folder} is complete"
        ) from None
    return str(url)
