"""Modules from and to elsewhere: folders, and a Hugging Face repository served by this test."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
import torch
from huggingface_hub import constants
from module_factory import make_module, small_state

from moma_app.backbones.registry import get_backbone
from moma_app.errors import DamagedFileError, DataNotFoundError, InputError, UnknownNameError
from moma_app.hub import Hub
from moma_app.hub.card import read_card
from moma_app.hub.diff import diff
from moma_app.hub.manifest import read_manifest
from moma_app.hub.remote import add_file, export, looking_at, pull, push
from moma_app.progress import Step

NAMES = ["mp_bandgap", "mp_gvrh", "mp_kvrh"]


@pytest.fixture
def source(tmp_path):
    hub = Hub(tmp_path / "the source, 100% (ä) #1?")
    for seed, name in enumerate(NAMES):
        hub.add(make_module(name, small_state(seed)))
    return hub


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path / "mine")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def address(hub, how):
    folder = hub.folders[0]
    return {
        "file:": "file:" + str(folder).replace("%", "%25"),
        "file://": folder.resolve().as_uri(),
        "localhost": folder.resolve().as_uri().replace("file://", "file://localhost"),
        "folder": str(folder),
    }[how]


def assert_has(hub, names):
    assert list(hub) == sorted(names)
    assert hub.check()[1] == []
    for name in names:
        assert torch.equal(hub[name].tensor("backbone.bias"), small_state(NAMES.index(name))["backbone.bias"])


class TestFolders:
    @pytest.mark.parametrize("how", ["file:", "file://", "localhost", "folder"])
    def test_pull_everything(self, source, hub, how):
        events = []
        modules = pull(hub, address(source, how), progress=events.append)
        assert [module.name for module in modules] == NAMES
        assert_has(hub, NAMES)
        assert [card.sha256 for card in hub.cards()] == [card.sha256 for card in source.cards()]
        assert [(event.done, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
        assert all(isinstance(event, Step) for event in events)

    @pytest.mark.parametrize("how", ["file:", "file://", "folder"])
    def test_push_some(self, source, hub, how):
        if how == "folder":  # a plain path is a folder only if it is there; else it may be a repository
            hub.folders[0].mkdir()
        assert push(source, address(hub, how), ["mp_kvrh", "mp_bandgap"]) == str(hub.folders[0])
        assert_has(hub, ["mp_bandgap", "mp_kvrh"])

    def test_pull_some(self, source, hub):
        pull(hub, address(source, "file:"), ["mp_gvrh"])
        assert_has(hub, ["mp_gvrh"])

    def test_a_name_that_is_not_there(self, source, hub):
        for act, origin, other in ((pull, hub, source), (push, source, hub)):
            with pytest.raises(UnknownNameError, match="no module called 'mp_gvr': did you mean mp_gvrh"):
                act(origin, address(other, "file:"), ["mp_gvrh", "mp_gvr"])
        assert not hub.folders[0].exists()

    def test_a_name_that_is_taken(self, source, hub):
        hub.add(make_module("mp_gvrh", small_state(9)))
        with pytest.raises(InputError, match="already has a module 'mp_gvrh'"):
            pull(hub, address(source, "file:"), ["mp_gvrh"])
        with pytest.raises(InputError, match="already has a module 'mp_gvrh'"):
            push(source, address(hub, "file:"), ["mp_gvrh"])
        pull(hub, address(source, "file:"), ["mp_gvrh"], overwrite=True)
        assert_has(hub, ["mp_gvrh"])
        hub.add(make_module("mp_gvrh", small_state(9)), overwrite=True)
        push(source, address(hub, "file:"), ["mp_gvrh"], overwrite=True)
        assert_has(hub, ["mp_gvrh"])

    @pytest.mark.parametrize("names", [None, NAMES])
    def test_of_a_damaged_source_nothing_is_added(self, source, hub, names):
        flip(source["mp_gvrh"].path)
        for act in (
            lambda: pull(hub, address(source, "file:"), names),
            lambda: push(source, address(hub, "file:"), names),
        ):
            with pytest.raises(DamagedFileError, match=r"'mp_gvrh'.*SHA-256"):
                act()
        assert list(hub) == []
        pull(hub, address(source, "file:"), ["mp_kvrh"])
        assert_has(hub, ["mp_kvrh"])

    def test_a_card_that_points_elsewhere_is_refused(self, source, hub, tmp_path):
        secret = tmp_path / "secret.safetensors"
        secret.write_bytes(source["mp_gvrh"].path.read_bytes())
        card = source.folders[0] / "mp_gvrh.json"
        card.write_text(json.dumps({**json.loads(card.read_text()), "file": "../secret.safetensors"}))
        with pytest.raises(DamagedFileError, match="must lie beside the card"):
            pull(hub, address(source, "file:"))
        assert list(hub) == []

    @pytest.mark.parametrize("target", ["file:", "file://", "file://server/share", "file:///nowhere/hub"])
    def test_addresses_of_no_folder_here(self, hub, target):
        with pytest.raises(InputError, match=r"names no folder of this machine|no hub at /nowhere/hub"):
            pull(hub, target)

    def test_a_target_that_cannot_be_written_to(self, source, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="cannot be written to"):
            push(source, f"file:{tmp_path}/file")

    def test_the_home_folder(self, source, hub, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        push(source, "file:~/shared hub")
        assert_has(Hub(tmp_path / "shared hub"), NAMES)
        pull(hub, "~/shared hub")
        assert_has(hub, NAMES)


class TestManifests:
    """The whole of a hub takes its manifest along, where there was none; nothing else does."""

    def test_to_a_new_folder(self, source, hub):
        source.release(name="mine")
        push(source, address(hub, "file:"))
        assert hub.manifest == source.manifest
        assert diff(source, hub).is_empty

    def test_not_with_a_part_of_the_modules(self, source, hub):
        source.release()
        push(source, address(hub, "file:"), ["mp_kvrh"])
        assert hub.manifest is None

    def test_not_over_another(self, source, hub):
        hub.add(make_module("own"))
        hub.release(name="theirs")
        source.release(name="mine")
        push(source, address(hub, "file:"))
        assert hub.manifest.name == "theirs"
        assert set(hub.manifest.modules) == {"own", *NAMES}

    def test_not_by_pulling(self, source, hub):
        source.release()
        pull(hub, address(source, "file:"))
        assert hub.manifest is None

    def test_an_exported_module_is_an_exact_copy(self, source, tmp_path):
        for seed in (5, 6):
            card, _ = export(source["mp_kvrh"], tmp_path / "out", overwrite=True)
            assert read_card(card) == source["mp_kvrh"].card
            source.add(make_module("mp_kvrh", small_state(seed), seed=seed), overwrite=True)
        assert source["mp_kvrh"].card.version == "1.2.0"


class TestFiles:
    def test_export_and_add(self, source, hub, tmp_path):
        """A module that is added must have started from the weights that are installed."""
        welcome = make_module("mp_kvrh", small_state(2), fingerprint=get_backbone("chgnet").fingerprint)
        source.put(welcome, overwrite=True)
        card, tensors = export(source["mp_kvrh"], tmp_path / "out")
        assert sorted((tmp_path / "out").glob("[!.]*")) == sorted([card, tensors])
        add_file(hub, tensors)
        assert_has(hub, ["mp_kvrh"])
        with pytest.raises(InputError, match="already has"):
            add_file(hub, card)
        with pytest.raises(InputError, match="already has"):
            export(source["mp_kvrh"], tmp_path / "out")
        export(source["mp_kvrh"], tmp_path / "out", overwrite=True)

    def test_a_damaged_module_is_not_exported_as_sound(self, source, tmp_path):
        flip(source["mp_kvrh"].path)
        with pytest.raises(DamagedFileError, match="SHA-256"):
            export(source["mp_kvrh"], tmp_path / "out")
        assert list(Hub(tmp_path / "out")) == []

    def test_a_damaged_file_is_not_added(self, source, hub, tmp_path):
        _, tensors = export(source["mp_kvrh"], tmp_path / "out")
        flip(tensors)
        with pytest.raises(DamagedFileError, match="SHA-256"):
            add_file(hub, tensors)
        assert list(hub) == []


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch):
    """Port 9 of this machine is closed: nothing here goes further than that."""
    use_endpoint(monkeypatch, "http://127.0.0.1:9")


def use_endpoint(monkeypatch, url):
    """Set what ``HF_ENDPOINT`` would have set before huggingface_hub was imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )


class TestNoConnection:
    def test_pull(self, hub):
        with pytest.raises(
            DataNotFoundError, match=r"^The Hugging Face repository a/b could not be fetched \(.*\): check"
        ) as caught:
            pull(hub, "a/b")
        assert "\n" not in str(caught.value)
        assert list(hub) == []

    def test_push(self, source):
        with pytest.raises(
            DataNotFoundError, match=r"^The Hugging Face repository a/b could not be written \(.*\): check"
        ) as caught:
            push(source, "a/b")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "/a", "a/", "", "https://huggingface.co/a/b"])
def test_what_is_neither_folder_nor_repository(source, name):
    for act in (pull, push):
        with pytest.raises(InputError, match=r"neither a folder nor OWNER/REPOSITORY: write file:FOLDER"):
            act(source, name)


@pytest.mark.parametrize("name", ["some one/repo", "a/b!"])
def test_a_repository_name_that_cannot_be(source, name):
    for act in (pull, push):
        with pytest.raises(DataNotFoundError, match="check the name"):
            act(source, name)


class Repository(BaseHTTPRequestHandler):
    """As much of the Hugging Face Hub as a download needs, for the repository ``lab/hub``."""

    commit = "a" * 40

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        files = {file.name: file for file in self.server.folder.iterdir() if not file.name.startswith(".")}
        found = re.fullmatch(r"/lab/hub/resolve/[^/]+/(.+)", path)
        if found and found[1] in files:
            self.reply(200, files[found[1]].read_bytes(), "application/octet-stream")
        elif re.fullmatch(r"/api/models/lab/hub(/revision/[^/]+)?", path):
            siblings = [{"rfilename": name} for name in files]
            self.reply(200, {"id": "lab/hub", "sha": self.commit, "siblings": siblings, "private": False})
        elif re.fullmatch(r"/api/models/lab/hub/tree/[^/]+", path):
            rows = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": blob_id(file.read_bytes())}
                for name, file in files.items()
            ]
            self.reply(200, rows)
        else:
            self.reply(404, {"error": "Repository not found"}, error="RepoNotFound")

    def reply(self, status, content, kind="application/json", error=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", self.commit)
        self.send_header("ETag", f'"{blob_id(body)}"')
        if error:
            self.send_header("X-Error-Code", error)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def blob_id(content):
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def server(source, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Repository)
    server.folder, server.asked = source.folders[0], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    use_endpoint(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class TestRepository:
    def test_pull_everything(self, server, hub):
        (server.folder / "README.md").write_text("# A hub")
        (server.folder / "evil.py").write_text("raise SystemExit")
        assert [module.name for module in pull(hub, "lab/hub")] == NAMES
        assert_has(hub, NAMES)
        assert not [path for path in server.asked if path.endswith((".md", ".py"))], "only cards and tensors"

    def test_pull_one(self, server, hub):
        pull(hub, "lab/hub", ["mp_gvrh"])
        assert_has(hub, ["mp_gvrh"])
        assert not [path for path in server.asked if "mp_kvrh" in path]

    def test_a_name_that_is_not_there(self, server, hub):
        with pytest.raises(UnknownNameError):
            pull(hub, "lab/hub", ["mp_eform"])

    def test_look_at_it(self, server, source, hub):
        """Of a repository that is compared only cards and manifest are fetched."""
        source.release("1.4.0")
        for address_ in ("lab/hub", "lab/hub@main"):
            server.asked.clear()
            with looking_at(address_) as there:
                assert there.version == "1.4.0"
                assert diff(source, there).is_empty
            assert [path for path in server.asked if path.endswith(".toml")]
            assert not [path for path in server.asked if path.endswith(".safetensors")]

    def test_pull_a_revision(self, server, hub):
        pull(hub, "lab/hub@main", ["mp_gvrh"])
        assert_has(hub, ["mp_gvrh"])
        assert read_manifest(hub.folders[0]) is None

    def test_a_damaged_module_is_not_added(self, server, source, hub):
        flip(source["mp_gvrh"].path)
        with pytest.raises(DamagedFileError, match=r"'mp_gvrh'.*SHA-256"):
            pull(hub, "lab/hub")
        assert list(hub) == []

    def test_a_repository_that_is_not_there(self, server, hub):
        with pytest.raises(
            DataNotFoundError,
            match=r"repository lab/nothing could not be fetched \(RepositoryNotFoundError\)",
        ):
            pull(hub, "lab/nothing")
