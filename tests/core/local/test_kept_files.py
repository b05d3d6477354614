"""Files that stay open between writes are those that the directory has, and few."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.core.local.coded import cut_rows
from vectorize_core.errors import StorageError
from vectorize_core.local import Service
from vectorize_core.local.kept_files import MOST_KEPT, KeptFiles
from vectorize_core.models import IndexConfig, Vector
from vectorize_core.sqlite.identity import Directory


@pytest.fixture(params=[True, False], ids=["opened", "by its path"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    return Directory(str(tmp_path), is_open=request.param)


def test_a_file_stays_open_and_is_as_long_as_it_is(directory: Directory) -> None:
    kept = KeptFiles()
    descriptor, size = kept.open(directory, "a")
    assert size == 0
    os.write(descriptor, b"three")
    assert kept.open(directory, "a") == (descriptor, 5)


def test_a_file_that_is_gone_or_replaced_is_opened_anew(
    directory: Directory, tmp_path: Path
) -> None:
    kept = KeptFiles()
    os.write(kept.open(directory, "a")[0], b"old")
    (tmp_path / "b").write_bytes(b"newer")
    (tmp_path / "b").replace(tmp_path / "a")
    descriptor, size = kept.open(directory, "a", create=False)
    assert (os.read(descriptor, 9), size) == (b"newer", 5)
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        kept.open(directory, "a", create=False)
    assert kept.open(directory, "a")[1] == 0
    assert (tmp_path / "a").exists()


def test_those_that_were_used_longest_ago_are_closed(directory: Directory) -> None:
    kept = KeptFiles()
    first, *_ = [kept.open(directory, str(n))[0] for n in range(MOST_KEPT)]
    second = kept.open(directory, "1")[0]
    assert kept.open(directory, "0")[0] == first
    kept.open(directory, "new")
    assert len(kept) == MOST_KEPT
    assert kept.open(directory, "1")[0] == second


def test_all_are_closed_with_what_keeps_them(directory: Directory) -> None:
    kept = KeptFiles()
    descriptors = [kept.open(directory, name)[0] for name in "ab"]
    kept.close("a")
    kept.close("a")
    del kept
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


@pytest.fixture
def cut() -> Iterator[None]:
    with cut_rows():
        yield


def open_in(directory: Path) -> list[str]:
    """The files that this process has open in a directory."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(os.readlink(each))
    return [Path(path).name for path in found if path.startswith(f"{directory}/vectors-")]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="tells what is open")
@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.usefixtures("cut")
def test_no_file_that_is_gone_stays_open(tmp_path: Path, reads: bool) -> None:
    vectors = [Vector(f"id{n}", [1.0, *[float(n)] * 31]) for n in range(3)]
    service, other = Service(tmp_path), Service(tmp_path)
    for name in ("a", "b"):
        service.create_index(name, IndexConfig(32))
        service.upsert(name, vectors)
        service.upsert(name, vectors)
    assert len(open_in(tmp_path)) == MOST_KEPT - 1
    service.delete_index("a")
    assert len(open_in(tmp_path)) == 3
    other.compact("b")
    other.close()
    assert any("deleted" in name for name in open_in(tmp_path))
    if reads:
        assert len(service.query("b", vector=vectors[0].values).matches) == 3
    else:
        service.upsert("b", vectors)
    assert not any("deleted" in name for name in open_in(tmp_path))
    service.close()
    assert open_in(tmp_path) == []


@pytest.mark.parametrize("count", [1, 1_000], ids=["small", "large"])
def test_a_write_is_refused_while_the_values_before_it_are_gone(tmp_path: Path, count: int) -> None:
    written = [Vector(f"new{n}", [1.0, n] * 16) for n in range(count)]
    service = Service(tmp_path)
    service.create_index("docs", IndexConfig(32, "cosine"))
    service.insert("docs", [Vector("old", [3.0, 4.0] * 16)])
    (values,) = tmp_path.glob("*.f32")
    values.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="is missing"):
        service.insert("docs", written)
    assert not values.exists()
    (tmp_path / "elsewhere").rename(values)
    service.insert("docs", written)
    assert service.index_info("docs").vector_count == count + 1
    assert service.check().findings == ()
    service.close()
