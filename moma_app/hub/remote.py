"""Modules from and to elsewhere: a folder (``file:...``) or a Hugging Face repository.

Only cards and safetensors files travel. What is pulled is checked against its card (size and
SHA-256) before it becomes part of the hub.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import unquote

from moma_app.errors import DataNotFoundError, InputError
from moma_app.hub.hub import Hub, read_module_file
from moma_app.hub.module import Module
from moma_app.progress import Listener, Step, silent

ALLOWED = ["*.json", "*.safetensors"]


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
        source: ``file:FOLDER``, a folder, or ``OWNER/REPOSITORY`` on the Hugging Face Hub.
        names: which modules; all by default.
        overwrite: replace modules of the same name.
        progress: listener.

    Raises:
        DataNotFoundError: the repository cannot be reached or does not exist.
        DamagedFileError: a module does not agree with its card; nothing of it is added.
        UnknownNameError: a name is not at the source.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = _local_folder(source) or _download(source, names, Path(scratch))
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


def push(
    hub: Hub, target: str, names: list[str] | None = None, *, overwrite: bool = False, private: bool = True
) -> str:
    """Copy modules of the hub to ``target`` and return where they are.

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
    if folder is not None:
        destination = Hub(folder)
        for module in modules:
            destination.add(module, overwrite=overwrite)
        return str(folder)
    return _upload(modules, target, private=private)


def export(module: Module, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write one module's card and tensor file into a folder; return both paths."""
    stored = Hub(folder).add(module, overwrite=overwrite)
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


def _download(repository: str, names: list[str] | None, scratch: Path) -> Path:
    from huggingface_hub import snapshot_download

    _check_repository_name(repository)
    patterns = ALLOWED if names is None else [p for n in names for p in (f"{n}.json", f"{n}-*.safetensors")]
    try:
        return Path(snapshot_download(repository, local_dir=scratch / "hub", allow_patterns=patterns))
    except Exception as exc:  # of the HTTP library too, which is another in each huggingface_hub
        raise DataNotFoundError(
            f"The Hugging Face repository {repository} could not be fetched ({type(exc).__name__}): "
            "check the name, the connection, and for a private one run hf auth login."
        ) from exc


def _upload(modules: list[Module], repository: str, *, private: bool) -> str:
    from huggingface_hub import HfApi

    _check_repository_name(repository)
    with tempfile.TemporaryDirectory() as scratch:
        staged = Hub(Path(scratch))
        for module in modules:
            staged.add(module)
        try:
            api = HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=scratch,
                allow_patterns=ALLOWED,
                commit_message=f"Add {len(modules)} MoMa modules",
            )
        except Exception as exc:  # of the HTTP library too, which is another in each huggingface_hub
            raise DataNotFoundError(
                f"The Hugging Face repository {repository} could not be written ({type(exc).__name__}): "
                "check the name, the connection and your token (hf auth login)."
            ) from exc
    return str(commit.commit_url)


def add_file(hub: Hub, path: Path, *, overwrite: bool = False) -> Module:
    """Add an exported module file to the hub, checked first."""
    return hub.add(read_module_file(path), overwrite=overwrite)
