"""Files are wholly there or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
import threading

import pytest
from filelock import Timeout

from moma_app.files import atomic_path, atomic_write_text, lock_for, publish, sha256_of_file, temporary_file


def test_text_is_written_whole(tmp_path):
    path = tmp_path / "deep" / "er" / "x.json"
    atomic_write_text(path, "Å\n")
    assert path.read_bytes() == "Å\n".encode()
    atomic_write_text(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_after_an_exception_the_old_file_stays_and_nothing_else(tmp_path, error):
    path = tmp_path / "x"
    path.write_text("old")

    def write():
        with atomic_path(path) as temporary:
            temporary.write_text("half of the n")
            assert path.read_text() == "old", "readers see the old file meanwhile"
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_target_that_cannot_be_replaced_leaves_nothing_behind(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="x"), atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_temporary_file_is_hidden_beside_the_target(tmp_path):
    with temporary_file(tmp_path, "x.json") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".x.json.")
        assert temporary.suffix == ".part", "no pattern of ours, *.json, finds it"
        with temporary_file(tmp_path, "x.json") as another:
            assert another != temporary
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_published_files_have_the_usual_permissions(tmp_path, umask):
    """``mkstemp`` makes files for their owner only; a shared hub would be unreadable."""
    before = os.umask(umask)
    try:
        atomic_write_text(tmp_path / "x", "")
        assert os.umask(umask) == umask, "the process's umask is as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~umask


def test_publish_replaces_the_target(tmp_path):
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    publish(tmp_path / "a", tmp_path / "b")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("b", "new")]


def test_readers_never_see_a_part(tmp_path):
    path = tmp_path / "x"
    texts = {letter * 200_000 for letter in "ab"}
    atomic_write_text(path, "a" * 200_000)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for text in texts:
                atomic_write_text(path, text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [path.read_text() for _ in range(300)]
    finally:
        stop.set()
        writer.join()
    assert set(seen) <= texts


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_sha256(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "x").write_bytes(content)
    assert sha256_of_file(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_a_lock_keeps_others_out(tmp_path):
    target = tmp_path / "new" / "x.json"
    with lock_for(target), pytest.raises(Timeout):
        lock_for(target).acquire(timeout=0.05)
    with lock_for(target).acquire(timeout=0.05), lock_for(target.with_name("y.json")).acquire(timeout=0.05):
        assert not target.exists()
    assert not list(target.parent.glob("[!.]*")), "lock files are hidden"
