"""Pipelines of the Hugging Face hub by name: owner/name[@revision], pinned to a commit, in the hub's own cache.

No more of a repository is fetched than a pipeline is read from, and what cannot be read is refused before that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError

from generators.files import read_json
from generators.needed_files import needed_files
from generators.network import how_to_fetch, may_fetch
from generators.pipeline_files import FETCH_AGAIN, INDEX_FILE, Listing, kind_of, listing_of

SECONDS_TO_ANSWER = 20  # of the hub, before it counts as out of reach
_ID = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")
_FILES = (".ckpt", ".safetensors", ".pt", ".pth", ".bin")  # what ends so is a file that is not there, no repository


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit, as it lies in the hub's cache."""

    id: str  # owner/name@commit
    folder: Path


@dataclass(frozen=True)
class Remote:
    """What of a repository a pipeline is read from, at one commit; nothing large was fetched."""

    repository: str
    revision: str  # as it was asked for: a branch, a tag or a commit
    commit: str
    files: tuple[str, ...]
    to_fetch: dict[str, int | None]  # those that are not in the cache -> bytes, where the hub tells

    @property
    def id(self) -> str:
        return f"{self.repository}@{self.commit}"


def is_hub_id(checkpoint: str) -> bool:
    """Whether this can name a repository of the hub. What is there as a file or folder is that file or folder."""
    return bool(_ID.fullmatch(checkpoint)) and not checkpoint.endswith(_FILES) and not Path(checkpoint).exists()


def find(checkpoint: str) -> Snapshot:
    """The pipeline that a hub id names: fetched where that is allowed, else from the cache.

    Raises:
        FileNotFoundError: it is not in the cache, the repository is not there or out of reach, or parts are missing.
        ValueError: another kind of pipeline, or one whose weights are pickles.
    """
    return fetch(look_up(checkpoint)) if may_fetch() else in_cache(checkpoint)


# ---------------------------------------------------------------------------------------------------------------------
# offline


def in_cache(checkpoint: str) -> Snapshot:
    """The snapshot of a hub id that the cache holds. Asks nobody.

    Raises:
        FileNotFoundError: there is none, or it lacks files.
        ValueError: as `find`.
    """
    repository, revision = _parts(checkpoint)
    index = try_to_load_from_cache(repository, INDEX_FILE, revision=revision)
    if not isinstance(index, str):
        raise FileNotFoundError(f"generator.checkpoint={checkpoint}: {how_to_get(checkpoint)}")
    folder = Path(index).parent
    snapshot = Snapshot(f"{repository}@{folder.name}", folder)
    way_out = f"the hub's cache does not hold all of it, and {how_to_fetch()}"
    needed_files(kind_of(folder, snapshot.id), listing_of(folder, snapshot.id, way_out))
    return snapshot


def how_to_get(checkpoint: str) -> str:
    """What is said of a hub id that is not in the cache: what to fetch, and where to put it."""
    repository, revision = _parts(checkpoint)
    pinned = "" if revision == constants.DEFAULT_REVISION else f", revision={revision!r}"
    return (
        f"there is no such file or folder, and {how_to_fetch()}, or call huggingface_hub.snapshot_download("
        f"{repository!r}{pinned}, local_dir='FOLDER', allow_patterns=['*.json', "
        "'*diffusion_pytorch_model.safetensors', '*_encoder/model.safetensors', 'tokenizer/*']) and give "
        "generator.checkpoint=FOLDER"
    )


def _parts(checkpoint: str) -> tuple[str, str]:
    found = _ID.fullmatch(checkpoint)
    assert found is not None, checkpoint
    return found["repository"], found["revision"] or constants.DEFAULT_REVISION


# ---------------------------------------------------------------------------------------------------------------------
# online


def look_up(checkpoint: str) -> Remote:
    """What a hub id stands for now. Fetches `model_index.json` and the indices of sharded weights, nothing else.

    Raises:
        FileNotFoundError: the repository is not there or out of reach, or parts of the pipeline are missing in it.
        ValueError: as `find`.
    """
    repository, revision = _parts(checkpoint)
    with _said_in_one_line(checkpoint):
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=SECONDS_TO_ANSWER)
    sizes, commit = {file.rfilename: file.size for file in info.siblings or []}, str(info.sha)
    if INDEX_FILE not in sizes:
        raise ValueError(
            f"generator.checkpoint={checkpoint}: the repository has no {INDEX_FILE}, so it is no diffusers pipeline; "
            "download its files and give generator.checkpoint=FILE or FOLDER"
        )

    def small_file(name: str) -> Path:
        with _said_in_one_line(checkpoint):
            return Path(hf_hub_download(repository, name, revision=commit))

    way_out = "the repository does not hold a whole pipeline, give another one or another revision"
    listing = Listing(
        f"{repository}@{commit}", frozenset(sizes), lambda name: read_json(small_file(name), FETCH_AGAIN), way_out
    )
    files = needed_files(kind_of(small_file(INDEX_FILE).parent, listing.checkpoint), listing)
    here = {name for name in files if isinstance(try_to_load_from_cache(repository, name, revision=commit), str)}
    return Remote(repository, revision, commit, files, {name: sizes[name] for name in files if name not in here})


def fetch(remote: Remote) -> Snapshot:
    """Fetches what is not in the cache yet.

    Raises:
        FileNotFoundError: the hub is out of reach.
    """
    with _said_in_one_line(remote.id):
        files = list(remote.files)
        folder = Path(snapshot_download(remote.repository, revision=remote.commit, allow_patterns=files))
        if remote.revision != remote.commit:  # notes in the cache which commit the name stands for, once it is whole
            hf_hub_download(remote.repository, INDEX_FILE, revision=remote.revision)
    return Snapshot(remote.id, folder)


@contextmanager
def _said_in_one_line(checkpoint: str) -> Iterator[None]:
    """Turns what huggingface_hub and the network raise into errors that name the checkpoint and the way out."""
    repository, revision = _parts(checkpoint)
    page = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except GatedRepoError as error:
        raise FileNotFoundError(
            f"generator.checkpoint={checkpoint}: {repository} is gated: ask for access at {page} and log in with "
            "hf auth login, or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"generator.checkpoint={checkpoint}: there is no such file or folder, and the hub shows no {page}; a "
            "private repository needs hf auth login"
        ) from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"generator.checkpoint={checkpoint}: {repository} has no revision {revision}; give a branch, tag or commit "
            f"of {page}/commits/main"
        ) from error
    except (HTTPError, OSError, ValueError) as error:  # ValueError: an answer that is no JSON, as of a login page
        # a full disk and the like have a number. HTTPError is that of the network's library, whichever it is
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileNotFoundError(_out_of_reach(checkpoint, error)) from error


def _out_of_reach(checkpoint: str, error: Exception) -> str:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"generator.checkpoint={checkpoint} cannot be fetched from {constants.ENDPOINT} ({reason[:160]}): check the "
        "network and run again, or set HF_HUB_OFFLINE=1 to use what is in the hub's cache"
    )
