"""Modules from and to elsewhere: a folder (``file:...``) or a Hugging Face repository.

Only cards and safetensors files travel. What is pulled is checked against its card (size and
SHA-256) before it becomes part of the hub.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from moma_app.errors import DataNotFoundError, InputError
from moma_app.hub.hub import Hub, read_module_file
from moma_app.hub.manifest import FILE, Entry, Manifest, write_manifest
from moma_app.hub.module import Module
from moma_app.hub.places import PACKAGED
from moma_app.progress import Listener, Step, silent

ALLOWED = ["*.json", "*.safetensors"]
TO_LOOK_AT = ["*.json", FILE]
"""What is fetched of a repository whose modules are not to be used: cards and manifest."""


def pull(
    hub: Hub,
    source: str,
    names: list[str] | None = None,
    *,
    overwrite: bool = False,
    progress: Listener = silent,
) -> list[Module]:
    """Copy modules from ``source`` into the hub and return them.

    Args:
        hub: where the modules are added.
        source: ``file:FOLDER``, a folder, or ``OWNER/REPOSITORY[@REVISION]`` on the Hugging Face Hub.
        names: which modules; all by default.
        overwrite: replace modules of the same name.
        progress: listener.

    Raises:
        DataNotFoundError: the repository cannot be reached or does not exist.
        DamagedFileError: a module does not agree with its card; nothing of it is added.
        UnknownNameError: a name is not at the source.
    """
    with tempfile.TemporaryDirectory() as scratch:
        patterns = (
            ALLOWED if names is None else [p for n in names for p in (f"{n}.json", f"{n}-*.safetensors")]
        )
        folder = _local_folder(source) or _download(source, patterns, Path(scratch))
        origin = Hub(folder)
        wanted = list(origin) if names is None else names
        modules = [origin[name] for name in wanted]
        for module in modules:
            module.verify()
        added = []
        for done, module in enumerate(modules, 1):
            added.append(hub.add(module, overwrite=overwrite))
            progress(Step(what="modules pulled", done=done, total=len(modules), fraction=done / len(modules)))
    return added


@contextmanager
def looking_at(source: str) -> Iterator[Hub]:
    """Yield the hub at a source, to read its cards and manifest; of a repository only these are fetched.

    Args:
        source: ``builtin``, ``clean``, a folder, ``file:FOLDER``, or ``OWNER/REPOSITORY[@REVISION]`` on the
            Hugging Face Hub.

    Raises:
        InputError: there is no such folder, or it is no hub: it has neither cards nor a manifest.
        DataNotFoundError: the repository cannot be reached or does not exist.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if source in PACKAGED:
            folder = PACKAGED[source]
        else:
            folder = _local_folder(source) or _download(source, TO_LOOK_AT, Path(scratch))
        hub = Hub(folder)
        if not (folder / FILE).is_file() and not hub.cards():
            raise InputError(
                f"{source} is no hub: it has neither a module's card (NAME.json) that can be read, nor a manifest ({FILE})."
            )
        yield hub


def push(
    hub: Hub, target: str, names: list[str] | None = None, *, overwrite: bool = False, private: bool = True
) -> str:
    """Copy modules of the hub to ``target`` and return where they are.

    The whole of a hub takes its manifest along, to a repository or to a folder that was no hub before.

    Args:
        hub: the hub that has the modules.
        target: ``file:FOLDER``, or ``OWNER/REPOSITORY`` on the Hugging Face Hub (needs a token:
            ``hf auth login``).
        names: which modules; all by default.
        overwrite: replace modules of the same name.
        private: create a private repository if it does not exist yet.

    Raises:
        DataNotFoundError: the repository cannot be reached, or the token is missing.
    """
    wanted = list(hub) if names is None else names
    modules = [hub[name] for name in wanted]
    for module in modules:
        module.verify()
    folder = _local_folder(target, must_exist=False)
    manifest = hub.manifest
    if manifest is not None and manifest.modules != {
        module.name: Entry.of(module.card) for module in modules
    }:
        manifest = None  # it speaks of other modules than those that are pushed
    if folder is not None:
        destination = Hub(folder)
        is_new = not len(destination) and destination.manifest is None
        for module in modules:
            destination.add(module, overwrite=overwrite)
        if manifest is not None and is_new:
            write_manifest(folder, manifest)
        return str(folder)
    return _upload(modules, manifest, target, private=private)


def export(module: Module, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write one module's card and tensor file into a folder; return both paths."""
    stored = Hub(folder).put(module, overwrite=overwrite)
    assert stored.path is not None
    return [folder / f"{stored.name}.json", stored.path]


def _local_folder(source: str, *, must_exist: bool = True) -> Path | None:
    if source.startswith("file:"):
        address = source.removeprefix("file:")
        path = address[2:].removeprefix("localhost") if address.startswith("//") else address
        if not path or (path != address and not path.startswith("/")):
            raise InputError(f"{source!r} names no folder of this machine: write file:FOLDER.")
        folder = Path(unquote(path)).expanduser()
    elif source and Path(source).expanduser().is_dir():
        folder = Path(source).expanduser()
    else:
        return None
    if must_exist and not folder.is_dir():
        raise InputError(f"There is no hub at {folder}: that folder does not exist.")
    return folder


def _check_repository_name(repository: str) -> None:
    if repository.count("/") != 1 or any(not part for part in repository.split("/")):
        raise InputError(
            f"{repository!r} is neither a folder nor OWNER/REPOSITORY: write file:FOLDER for a folder."
        )


def _download(address: str, patterns: list[str], scratch: Path) -> Path:
    from huggingface_hub import snapshot_download

    repository, _, revision = address.partition("@")
    _check_repository_name(repository)
    try:
        return Path(
            snapshot_download(
                repository, revision=revision or None, local_dir=scratch / "hub", allow_patterns=patterns
            )
        )
    except Exception as exc:  # of the HTTP library too, which is another in each huggingface_hub
        raise DataNotFoundError(
            f"The Hugging Face repository {address} could not be fetched ({type(exc).__name__}): "
            "check the name, the connection, and for a private one run hf auth login."
        ) from exc


def _upload(modules: list[Module], manifest: Manifest | None, repository: str, *, private: bool) -> str:
    from huggingface_hub import HfApi

    _check_repository_name(repository)
    with tempfile.TemporaryDirectory() as scratch:
        staged = Hub(Path(scratch))
        for module in modules:
            staged.put(module)
        if manifest is not None:
            write_manifest(Path(scratch), manifest)
        try:
            api = HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=scratch,
                allow_patterns=[*ALLOWED, FILE],
                commit_message=f"Add {len(modules)} MoMa modules",
            )
        except Exception as exc:  # of the HTTP library too, which is another in each huggingface_hub
            raise DataNotFoundError(
                f"The Hugging Face repository {repository} could not be written ({type(exc).__name__}): "
                "check the name, the connection and your token (hf auth login)."
            ) from exc
    return str(commit.commit_url)


def add_file(hub: Hub, path: Path, *, overwrite: bool = False, why: str = "") -> Module:
    """Add an exported module file to the hub, checked first.

    Args:
        hub: that gets the module.
        path: its tensor file or its card, with the other beside it.
        overwrite: supersede a module of the same name.
        why: reason for the new version.

    Raises:
        InputError: the file or its card is missing, or the name is taken.
        DamagedFileError: card and file do not agree.
        IncompatibleError: it started from other weights than the backbone here, or the hub's others.
    """
    from moma_app.hub.starting_point import check_starting_point

    module = read_module_file(path)
    check_starting_point(hub, module.card)
    return hub.add(module, overwrite=overwrite, why=why)
