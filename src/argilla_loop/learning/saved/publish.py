"""Upload a saved model to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from argilla_loop.errors import FatalError, RetryableError, collapse_whitespace

# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 200


def push(folder: Path, name: str, *, private: bool = True) -> str:
    """Upload all files in ``folder`` as the model ``name``; return its address.

    Args:
        folder: of a saved model.
        name: ``owner/name``; made if missing.
        private: whether only its owner sees a repository that is made.

    Raises:
        FatalError: the hub refuses the name or the token.
        RetryableError: it cannot be reached.
    """
    # The import takes half a second, which only this spends.
    from huggingface_hub import HfApi  # noqa: PLC0415 - see above
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError  # noqa: PLC0415

    api = HfApi()
    try:
        address = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=address.repo_id, folder_path=folder, commit_message="Save the model")
    except (HFValidationError, LocalTokenNotFoundError) as error:
        raise FatalError(_said(name, error)) from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status >= 500 or status == 429:  # noqa: PLR2004 - HTTP
            raise RetryableError(_said(name, error)) from error
        raise FatalError(f"{_said(name, error)}; run `hf auth login`, or check the name") from error
    except OSError as error:  # requests' errors are OSErrors
        raise RetryableError(
            f"the hub cannot be reached to push {name!r} ({type(error).__name__})"
        ) from error
    return str(address)


def _said(name: str, error: Exception) -> str:
    return f"the hub does not take {name!r} ({collapse_whitespace(error)[:MAX_REASON]})"
