"""The home folder and the content-addressed file store."""

from __future__ import annotations

import errno
import hashlib
import io
import stat
import sys
from pathlib import Path

import pytest

from storage import DiskFullError, FileStore, Home, InvalidInputError, NotFoundError, StorageError


def test_default_home_is_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAM_HOME", str(tmp_path / "here"))
    assert Home.default().path == tmp_path / "here"


@pytest.mark.parametrize(
    ("platform", "tail"),
    [
        ("linux", ".local/share/engram"),
        ("darwin", "Library/Application Support/engram"),
        ("win32", "Local/engram"),
    ],
)
def test_default_home_follows_the_system(
    platform: str, tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENGRAM_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    monkeypatch.setattr(sys, "platform", platform)
    assert Home.default().path == tmp_path / tail


def test_ensure_makes_private_folders(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b").ensure()
    assert all(folder.is_dir() for folder in (home.files, home.states, home.models, home.logs))
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_home_at_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError) as caught:
        Home(tmp_path / "taken").ensure()
    assert "taken" in caught.value.message


def test_same_content_is_stored_once(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    (tmp_path / "one.txt").write_bytes(b"words")
    first = store.add(tmp_path / "one.txt")
    second = store.add(io.BytesIO(b"words"))
    assert first == second
    assert (first.sha256, first.bytes) == (hashlib.sha256(b"words").hexdigest(), 5)
    kept = [path for path in store.root.rglob("*") if path.is_file()]
    assert kept == [store.path(first.sha256)]
    assert kept[0].read_bytes() == b"words"


def test_interrupted_stream_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().read(4)

    store = FileStore(tmp_path / "files")
    with pytest.raises(DiskFullError) as caught:
        store.add(Broken(b"long content"))
    assert caught.value.code == "disk_full"
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"gone\.pdf"):
        FileStore(tmp_path).add(tmp_path / "gone.pdf")


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "ab", ""])
def test_only_a_hash_becomes_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        FileStore(tmp_path).path(name)


def test_delete_and_sweep(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "files")
    one, two, three = (store.add(io.BytesIO(bytes([n]))).sha256 for n in range(3))
    store.delete(one)
    store.delete(one)
    (store.root / "incoming" / "left-over").write_bytes(b"")
    assert store.sweep({three}) == 2
    assert not store.path(two).exists()
    assert store.path(three).read_bytes() == b"\x02"
