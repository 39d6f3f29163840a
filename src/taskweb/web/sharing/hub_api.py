"""The Hugging Face Hub's API, as shared webs need it. Every fault is one line, and no line contains a token.

The token is what huggingface_hub finds: `HF_TOKEN`, or that of a login on this machine. It is in no file, message or result
of taskweb.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskweb.errors import InputError, MissingDependencyError, TaskWebError, first_line
from taskweb.tasks.atomic import STORAGE_ERRORS, cannot_write
from taskweb.web.sharing.reference import HubWeb

_REPOSITORY_TYPE = "dataset"
_YES = ("1", "ON", "YES", "TRUE")
_SERVER_FAULT, _TOO_MANY = 500, 429
_INVALID = "Invalid credentials"  # as the Hub says of a token that it does not know


class UnreachableError(InputError):
    """The Hub does not answer, or only with faults of its own: what is cached may still do."""


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """A repository at one commit. sizes: bytes of each file; None where the Hub does not say."""

    commit: str
    sizes: Mapping[str, int | None]


def is_offline() -> bool:
    """Whether the user forbids to ask the Hub (`HF_HUB_OFFLINE`)."""
    return any(os.environ.get(name, "").upper() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def state_of(web: HubWeb) -> RepositoryState:
    """The commit that a revision is now, and its files. Raises InputError; UnreachableError where the Hub does not answer."""
    with _asking(web, "read"):
        found = _api(web).repo_info(web.id, repo_type=_REPOSITORY_TYPE, revision=web.wanted_revision, files_metadata=True)
        return RepositoryState(str(found.sha), {file.rfilename: file.size for file in found.siblings or ()})


def download(web: HubWeb, path: str, folder: Path) -> Path:
    """Fetch one file of a pinned web into `folder`, under the same path. Raises as `state_of`."""
    with _asking(web, "read"):
        found = _api(web).hf_hub_download(
            web.id, path, repo_type=_REPOSITORY_TYPE, revision=web.wanted_revision, local_dir=str(folder)
        )
        return Path(found)


def require_token(web: HubWeb) -> None:
    """Raise InputError where there is no token to write with."""
    import_hub(web)
    if not _token():
        raise InputError(f"Pushing to {web} needs a token that may write. Set it in the variable HF_TOKEN.")


def create(web: HubWeb, *, private: bool | None) -> None:
    """Make the repository, where there is none. private: None is what the owner's account has set. Raises as `state_of`."""
    with _asking(web, "made"):
        _api(web).create_repo(web.id, repo_type=_REPOSITORY_TYPE, private=private, exist_ok=True)


def commit(web: HubWeb, folder: Path, add: Sequence[str], remove: Sequence[str], message: str, parent: str) -> str:
    """Write files of `folder` to the repository in one commit on top of `parent`; return the new commit.

    Raises as `state_of`, also where somebody else has written meanwhile.
    """
    with _asking(web, "written"):
        hub = import_hub(web)
        operations = [hub.CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(folder / path)) for path in add]
        operations += [hub.CommitOperationDelete(path_in_repo=path) for path in remove]
        made = _api(web).create_commit(
            web.id, operations, commit_message=message, repo_type=_REPOSITORY_TYPE, revision=web.revision, parent_commit=parent
        )
        return str(made.oid)


def address_of(web: HubWeb) -> str:
    """The page of a repository for people."""
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return f"{endpoint.rstrip('/')}/datasets/{web.id}"


def import_hub(web: HubWeb) -> Any:
    """The package huggingface_hub. Raises MissingDependencyError."""
    try:
        import huggingface_hub
    except ImportError:
        raise MissingDependencyError("huggingface_hub", "data", f"Reaching {web}") from None
    return huggingface_hub


def _api(web: HubWeb) -> Any:
    return import_hub(web).HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="taskweb")


def _token() -> str | None:
    import huggingface_hub

    return huggingface_hub.get_token() or None


@contextmanager
def _asking(web: HubWeb, done: str) -> Iterator[None]:
    """Turn every fault into one line, without bars and lines of huggingface_hub. done: what should be done, as a participle."""
    import_hub(web)
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars, logging

    verbosity, had_bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity_error()
    disable_progress_bars()
    try:
        yield
    except (TaskWebError, MemoryError):
        raise
    except Exception as fault:  # noqa: BLE001 - the library raises many kinds: HTTP, network, disk, formats
        raise _one_line(web, done, fault) from None
    finally:
        logging.set_verbosity(verbosity)
        if had_bars:
            enable_progress_bars()


def _chain(fault: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    now: BaseException | None = fault
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


def _one_line(web: HubWeb, done: str, fault: Exception) -> InputError:
    kinds = {type(own).__name__ for own in _chain(fault)}
    status = next((code for own in _chain(fault) if (code := _status(own)) is not None), None)
    disk = next((own for own in _chain(fault) if isinstance(own, OSError) and own.errno in STORAGE_ERRORS), None)
    if disk is not None and status is None:
        return cannot_write(Path(disk.filename or "the file"), disk)
    if "RevisionNotFoundError" in kinds:
        return InputError(f"{web} has no revision '{web.wanted_revision}'. Leave it out for the newest one.")
    if status == 401 and _token() and (done != "read" or _INVALID in _said(fault)):
        return InputError(f"{web} cannot be {done}: the token in HF_TOKEN is not valid. Set another one, or unset it to read.")
    if status in (401, 404) or "RepositoryNotFoundError" in kinds:
        return InputError(
            f"{web} cannot be {done}: it does not exist, or it is private. Check the name, and set HF_TOKEN to a token "
            "that has access to it."
        )
    if status == 403:
        return InputError(f"{web} cannot be {done}: the token in HF_TOKEN is not allowed to do that. Use one with more rights.")
    if status in (409, 412):
        return InputError(f"{web} cannot be {done}: somebody else wrote to it meanwhile. Look at it, then run this again.")
    if status == _TOO_MANY or (status is not None and status >= _SERVER_FAULT):
        return UnreachableError(f"{web} cannot be {done} now: the Hub answers with status {status}. Try again later.")
    if status is not None:
        return InputError(f"{web} cannot be {done}: the Hub answers with status {status}, {_without_token(fault)}.")
    return UnreachableError(
        f"{web} cannot be {done}: the Hub does not answer as it should ({_without_token(fault)}). Try again."
    )


def _status(fault: BaseException) -> int | None:
    status = getattr(getattr(fault, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _said(fault: Exception) -> str:
    """What the Hub says about a refusal, in a header of its answer."""
    headers = (getattr(getattr(own, "response", None), "headers", None) for own in _chain(fault))
    return " ".join(str(found.get("X-Error-Message", "")) for found in headers if found is not None)


def _without_token(fault: Exception) -> str:
    *_, first = _chain(fault)  # what began it: the library's own line often only says what it was doing
    line, token = first_line(first), _token()
    return line.replace(token, "***") if token else line
