"""Puts a checkpoint's card, and its weights where asked for, on the Hugging Face Hub in one commit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.sharing.card import Card
from tasks.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd

_LEFT_OUT = ("README.md", "sftkey_manifest.json", "metrics.jsonl")
"""The card takes the place of peft's own; the others name folders of the machine that trained."""


def push(card: Card, repo: str, *, weights: bool) -> str:
    """Uploads a card; makes the repository where there is none.

    Args:
        card: What to upload.
        repo: Its place, `user/name`.
        weights: The checkpoint's folder too.

    Returns:
        The address of the commit.

    Raises:
        InputError: No token, no right to write there, no network, or no weights; one line.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if get_token() is None:
        raise InputError(f"--push-to-hub {repo}: no token; log in with 'hf auth login' or set HF_TOKEN")
    operations = [*_card_files(card), *(_weight_files(card) if weights else ())]
    api = HfApi()
    try:
        api.create_repo(repo, exist_ok=True)
        commit = api.create_commit(
            repo, operations, commit_message="Card and weights" if weights else "Card with results"
        )
    except HFValidationError as error:
        raise InputError(f"--push-to-hub {repo}: {_line(error)}; expected user/name") from error
    except OfflineModeIsEnabled as error:
        raise InputError(f"--push-to-hub {repo}: HF_HUB_OFFLINE is set; unset it to upload") from error
    except HfHubHTTPError as error:
        raise InputError(f"--push-to-hub {repo}: {_refusal(error)}") from error
    except Exception as error:  # the client's transport is its own affair, and so are its errors
        raise InputError(
            f"--push-to-hub {repo}: {api.endpoint} cannot be reached ({type(error).__name__}: {_line(error)})"
            "; the card is written, push it when there is a network"
        ) from error
    return str(commit.commit_url)


def _card_files(card: Card) -> list[CommitOperationAdd]:
    from huggingface_hub import CommitOperationAdd

    texts = {"README.md": card.readme}
    texts |= {f".eval_results/{name}": text for name, text in card.evaluations.items()}
    return [CommitOperationAdd(name, text.encode("utf-8")) for name, text in texts.items()]


def _weight_files(card: Card) -> list[CommitOperationAdd]:
    from huggingface_hub import CommitOperationAdd

    folder = Path(card.checkpoint)
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder}: no weights (*.safetensors) here; leave --weights out or put them back")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [(path.relative_to(folder).as_posix(), path) for path in files]
    return [
        CommitOperationAdd(name, path)
        for name, path in named
        if name not in _LEFT_OUT and not any(part.startswith(".") for part in Path(name).parts)
    ]


def _refusal(error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the Hub does not know this token (401); log in with 'hf auth login'"
    if status == 403:
        return "this token may not write there (403); use one with write access, or another name"
    return f"the Hub refused it ({status}): {_line(error)}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
