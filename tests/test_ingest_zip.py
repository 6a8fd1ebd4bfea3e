"""ZIP archives: members become files under neutral names, each bad member carries its own error."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import pytest

from storage.ingest import Member, ParseFailure, ParseLimits, is_archive, parse, unpack_zip


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def unpack(tmp_path: Path):
    def unpack_bytes(data: bytes, **limits: int) -> list[Member]:
        path = tmp_path / "aa11"
        path.write_bytes(data)
        return unpack_zip(path, tmp_path / "out", ParseLimits(**limits), name="archive.zip")

    return unpack_bytes


def test_members_become_files_with_neutral_names(unpack, tmp_path: Path):
    members = unpack(zipped({"inner/name.txt": b"one", "b.txt": b"two", "dir/": b""}))
    assert [(member.name, member.error) for member in members] == [
        ("archive.zip/inner/name.txt", None),
        ("archive.zip/b.txt", None),
    ]
    assert [member.path.read_bytes() for member in members if member.path] == [b"one", b"two"]
    assert all(member.path and member.path.parent == tmp_path / "out" for member in members)
    assert parse(members[0].path, members[0].name).title == "name.txt"


def test_system_files_are_left_out(unpack):
    members = unpack(zipped({"__MACOSX/a.txt": b"x", ".DS_Store": b"x", "a/.git/b": b"x", "c.txt": b"x"}))
    assert [member.name for member in members] == ["archive.zip/c.txt"]


@pytest.mark.parametrize(
    "name", ["../../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "C:/evil.txt", "..\\evil.txt"]
)
def test_names_that_point_outside_are_refused(unpack, tmp_path: Path, name: str):
    members = unpack(zipped({name: b"evil", "good.txt": b"good"}))
    assert [bool(member.error) for member in members] == [True, False]
    assert "outside the archive" in (members[0].error or "")
    assert ".." not in members[0].name
    assert not list(tmp_path.rglob("*evil*"))


def test_a_bomb_is_refused_and_the_rest_unpacked(unpack):
    members = unpack(zipped({"bomb.txt": b"\0" * 30_000_000, "good.txt": b"good"}))
    assert "as ZIP bombs do" in (members[0].error or "")
    assert members[1].error is None


def test_a_bomb_that_lies_about_its_size_is_stopped(unpack):
    data = bytearray(zipped({"bomb.txt": b"\0" * 30_000_000, "good.txt": b"good"}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    members = unpack(bytes(data))
    assert members[0].error
    assert members[1].error is None


def test_a_nested_bomb_is_refused(unpack):
    inner = zipped({"bomb.txt": b"\0" * 30_000_000})
    members = unpack(zipped({"inner.zip": inner}))
    assert [(member.name, member.path) for member in members] == [("archive.zip/inner.zip/bomb.txt", None)]
    assert "as ZIP bombs do" in (members[0].error or "")


def test_archives_inside_archives_are_unpacked_three_deep(unpack):
    data = zipped({"deep.txt": b"x"})
    for level in (4, 3, 2):
        data = zipped({f"level{level}.zip": data, f"note{level - 1}.txt": b"y"})
    members = unpack(data)
    names = [member.name for member in members if not member.error]
    assert names == [
        "archive.zip/level2.zip/level3.zip/note3.txt",
        "archive.zip/level2.zip/note2.txt",
        "archive.zip/note1.txt",
    ]
    refused = [member for member in members if member.error]
    assert [member.name for member in refused] == ["archive.zip/level2.zip/level3.zip/level4.zip"]
    assert "deeper than 3" in (refused[0].error or "")


def test_too_many_members_are_cut_off_with_an_error(unpack):
    members = unpack(zipped({f"{number}.txt": b"x" for number in range(20)}), members=5)
    assert len(members) == 6
    assert "more than 5 files" in (members[-1].error or "")


def test_too_much_in_all_is_cut_off_with_an_error(unpack):
    members = unpack(zipped({f"{n}.bin": os.urandom(600_000) for n in range(4)}), expanded_mb=1)
    assert [bool(member.error) for member in members] == [False, True]
    assert "over 1 MB" in (members[1].error or "")


def test_an_encrypted_member_is_told(unpack):
    data = bytearray(zipped({"secret.txt": b"x" * 50, "good.txt": b"good"}))
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    data[local + 6] |= 1
    data[central + 8] |= 1
    members = unpack(bytes(data))
    assert members[0].error == "It is protected with a password"
    assert members[1].error is None


def test_a_damaged_member_is_told(unpack):
    data = bytearray(zipped({"bad.txt": os.urandom(2000), "good.txt": b"good"}))
    data[500:510] = bytes(10)
    members = unpack(bytes(data))
    assert "damaged" in (members[0].error or "")
    assert members[1].error is None


def test_a_link_is_refused(unpack):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "link" in (unpack(out.getvalue())[0].error or "")


def test_markup_and_control_characters_in_names_stay_harmless(unpack):
    members = unpack(zipped({"<b>x\x1b[31m\n.txt": b"x"}))
    assert members[0].name == "archive.zip/<b>x[31m .txt"


def test_names_in_utf8_without_the_mark_are_read(unpack):
    data = zipped({"Vertrag_Muenchen_.txt": b"x"}).replace(
        b"Vertrag_Muenchen_", "Vertrag_München__".encode()[:17]
    )
    assert unpack(data)[0].name.startswith("archive.zip/Vertrag_München")


def test_damaged_and_empty_archives_fail_clearly(unpack):
    whole = zipped({"a.txt": b"x" * 100})
    with pytest.raises(ParseFailure, match="damaged or incomplete"):
        unpack(whole[:60])
    with pytest.raises(ParseFailure, match="empty"):
        unpack(zipped({}))


def test_an_oversized_table_of_contents_is_refused(unpack):
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 65535, 65535, 10_000_000, 0, 0)
    with pytest.raises(ParseFailure, match="table of contents is too large"):
        unpack(b"PK\x03\x04" + bytes(10_000_000) + end)


def test_archives_are_told_from_documents_that_are_zips(tmp_path: Path):
    path = tmp_path / "x"
    path.write_bytes(zipped({"a.txt": b"x"}))
    assert is_archive(path)
    path.write_bytes(zipped({"word/document.xml": b"<x/>"}))
    assert not is_archive(path)
    path.write_bytes(b"text")
    assert not is_archive(path)
