"""Paths that users give are made absolute once, and refused in words if they are none."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from vectorize_core import ConfigurationError, InvalidInputError, StorageError, paths


class Named:
    def __init__(self, path: object) -> None:
        self._path = path

    def __fspath__(self) -> object:
        return self._path


@pytest.mark.parametrize("given", ["v", b"v", "./v", Path("v"), Named("v"), Named(b"v")])
def test_any_kind_of_path_is_made_absolute(
    given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.absolute(given) == paths.absolute_or_memory(given) == str(tmp_path / "v")


@pytest.mark.parametrize("given", ["~/v", Path("~/v"), b"~/v"])
def test_home_is_expanded(given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert paths.absolute(given) == str(tmp_path / "v")
    monkeypatch.chdir(tmp_path)
    assert paths.absolute("./~") == str(tmp_path / "~")


@pytest.mark.parametrize("given", [":memory:", b":memory:", Path(":memory:"), Named(":memory:")])
def test_memory_stays_memory(given: object) -> None:
    assert paths.absolute_or_memory(given) == ":memory:"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "path='' is empty"),
        (b"", "path='' is empty"),
        (Named(""), "path='' is empty"),
        ("a\0b", "null character"),
        (5, "path=5 is no path"),
        (None, "path=None is no path"),
        (Named(5), "is no path"),
        (["v"], "is no path"),
        # Windows has names of any 16 bits.
        ("\ud800" if os.name != "nt" else ["v"], "is no path"),
        ("~no-such-user/v", "no such home directory"),
    ],
)
def test_what_is_no_path_is_refused_in_words(given: object, says: str) -> None:
    for kind in (ConfigurationError, InvalidInputError):
        with pytest.raises(kind, match=says):
            paths.absolute(given, error=kind)


@pytest.mark.skipif(os.name == "nt", reason="the current directory cannot be deleted there")
def test_a_current_directory_that_is_gone_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigurationError, match="does not exist any more"):
        paths.absolute("v")
    assert paths.absolute(str(tmp_path)) == str(tmp_path)


def test_links_and_parents_stay_as_they_were_given(tmp_path: Path) -> None:
    given = str(tmp_path / "link" / ".." / "v")
    assert paths.absolute(given) == given


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EROFS, "read-only file system"),
        (errno.EACCES, "permission"),
        (errno.EPERM, "permission"),
        (errno.EMFILE, "too many files are open"),
        (errno.ENFILE, "too many files are open"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.ENOTDIR, "is a file where a directory belongs"),
        (errno.EEXIST, "is a file where a directory belongs"),
        (errno.EISDIR, "is a directory where a file belongs"),
        (errno.ELOOP, "symbolic link"),
        (errno.ENOENT, "does not exist"),
        (errno.EIO, "the disk failed"),
        (errno.ESRCH, "the file system says"),
    ],
)
def test_the_file_systems_errors_are_put_in_words(code: int, says: str, tmp_path: Path) -> None:
    name = str(tmp_path / "v")
    with pytest.raises(StorageError, match=says) as caught, paths.explained("the texts", "/p"):
        raise OSError(code, os.strerror(code), name)
    assert "the texts in /p" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.skipif(sys.platform == "win32", reason="it says ENOENT there")
def test_the_part_of_a_path_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file is a file"), paths.explained("it", "/p"):
        (tmp_path / "file" / "a" / "b").read_text()
