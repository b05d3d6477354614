"""What is public: all that users name is exported, and the docs name nothing else."""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import pickle
import re
import typing
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType

import httpx
import pytest

import llama_index_vectorize
import vectorize_core

ROOT = Path(__file__).parent.parent
STORES = ("langchain_vectorize", "llama_index_vectorize")
PACKAGES = (
    "vectorize_core",
    "vectorize_core.local",
    "vectorize_core.local.server",
    "vectorize_core.lynse",
    "vectorize_core.moving",
    "vectorize_core.page",
    *STORES,
)
OTHERS = {
    "vectorize_core.pytest_plugin",
    "vectorize_core.server",  # a logger
    "llama_index.vector_stores.cloudflare_vectorize",
}
OURS = re.compile(r"\b(?:vectorize_core|langchain_vectorize|llama_index_vectorize)(?:\.\w+)+")
PASSED_ON = {"Connection", "Io", "Service", "TextIndex"}
"""Users name these to pass them on; the rest of their methods is for this library."""
PAGES = sorted(
    {ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*.ipynb")}
    - {ROOT / "docs/design.md"}
)

Place = tuple[str, str]
"""A module, and a name that is defined in it."""


def exports(package: str) -> dict[str, object]:
    module = importlib.import_module(package)
    return {name: getattr(module, name) for name in module.__all__}


EXPORTS = [(package, name) for package in PACKAGES for name in exports(package)]


@pytest.mark.parametrize(("package", "name"), EXPORTS)
def test_an_export_is_described_and_names_its_package(package: str, name: str) -> None:
    export = exports(package)[name]
    if isinstance(export, (type, FunctionType)):
        home = "vectorize_core" if getattr(vectorize_core, name, None) is export else package
        # pydantic resolves the annotations of its fields where they are written.
        in_module = export is llama_index_vectorize.VectorizeVectorStore
        assert export.__module__ == (f"{home}.vector_store" if in_module else home)
        assert pickle.loads(pickle.dumps(export)) is export
    if isinstance(export, type):
        doc = vars(export).get("__doc__")
        assert doc
        assert not doc.startswith(f"{name}("), "what dataclass writes is no description"
        # As pydantic and others read annotations: by the names of ``__module__``.
        typing.get_type_hints(export, localns={"httpx": httpx, "Sequence": Sequence})


@pytest.mark.parametrize("package", PACKAGES)
def test_the_exports_are_sorted_and_each_stands_once(package: str) -> None:
    names = list(exports(package))
    assert names == sorted(set(names))


def test_the_version_is_that_of_the_distribution() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", vectorize_core.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vectorize_core.nothing


class Module:
    """A module's source: what it defines, and what it imports of ours."""

    def __init__(self, name: str) -> None:
        path = ROOT.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        text = file.read_text(encoding="utf-8")
        self.imported = {known: (module, name) for module, name, known in imports(text)}
        self.defined: dict[str, ast.AST] = {}
        for node in ast.parse(text).body:
            match node:
                case (
                    ast.ClassDef(name=defined)
                    | ast.FunctionDef(name=defined)
                    | ast.AsyncFunctionDef(name=defined)
                ):
                    self.defined[defined] = node
                case ast.Assign([ast.Name(defined)]) | ast.AnnAssign(ast.Name(defined)):
                    if "TypeVar(" not in ast.unparse(node):
                        self.defined[defined] = node


def imports(code: str) -> list[tuple[str, str, str]]:
    """What is imported of ours: a module, a name in it, and the name it is given."""
    return [
        (str(node.module), alias.name, alias.asname or alias.name)
        for node in ast.walk(ast.parse(re.sub(r"(?m)^[%!].*", "", code)))
        if isinstance(node, ast.ImportFrom) and OURS.match(f"{node.module}.x")
        for alias in node.names
    ]


module = cache(Module)


def defined_at(place: Place) -> Place | None:
    """Where a name that a module uses is defined, if that is in one of ours."""
    used = module(place[0])
    if place[1] in used.defined:
        return place
    return defined_at(used.imported[place[1]]) if place[1] in used.imported else None


PUBLIC = {defined_at(place): place[1] for place in EXPORTS if place[1] != "__version__"}


def members(place: Place) -> Iterator[tuple[str, ast.AST]]:
    """The public methods and fields of a class, those it inherits from ours too."""
    where, name = place
    node = module(where).defined[name]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield where, node
    if not isinstance(node, ast.ClassDef):
        return
    for base in node.bases:
        inherited = defined_at((where, ast.unparse(base).split("[")[0]))
        if inherited is not None:
            yield from members(inherited)
    yield where, ast.Expr(ast.Constant(ast.get_docstring(node)))
    for member in node.body if name not in PASSED_ON else ():
        match member:
            case ast.FunctionDef(name=named) | ast.AsyncFunctionDef(name=named):
                if named == "__init__" or not named.startswith("_"):
                    yield where, member
            case ast.AnnAssign(target=ast.Name(named)) if not named.startswith("_"):
                yield where, member


def named_in(member: ast.AST) -> Iterator[str]:
    """Every name in the annotations, and every error that the docstring tells of."""
    annotations: list[ast.expr | None] = []
    said = ""
    match member:
        case ast.AnnAssign(annotation=annotation):
            annotations = [annotation]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            a = member.args
            given = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
            annotations = [member.returns, *(arg.annotation for arg in given if arg)]
            said = ast.get_docstring(member) or ""
        case ast.Expr(ast.Constant(str(said))):
            pass
    for annotation in filter(None, annotations):
        yield from re.findall(r"(?<![\w.])[A-Za-z_]\w*", ast.unparse(annotation))
    yield from re.findall(r"\b[A-Z]\w+(?:Error|Warning)\b", said)


@pytest.mark.parametrize("name", sorted(set(PUBLIC.values())))
def test_all_that_an_export_takes_returns_or_raises_is_exported(name: str) -> None:
    missing = set()
    for place in [place for place, known in PUBLIC.items() if known == name]:
        for where, member in members(place):
            for used in named_in(member):
                found = defined_at((where, used))
                is_error = used.endswith(("Error", "Warning")) and not hasattr(builtins, used)
                if found not in PUBLIC if found else is_error and used not in PUBLIC.values():
                    missing.add(used)
    assert not missing


def code_of(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".md":
        return re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_what_is_exported(page: Path) -> None:
    named = set(OURS.findall(page.read_text(encoding="utf-8")))
    named |= {f"{module}.{name}" for code in code_of(page) for module, name, _ in imports(code)}
    assert not {path for path in named if not is_public(path)}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:\w+/)+[\w.]*)`", page.read_text(encoding="utf-8"))
    roots = (ROOT, ROOT / "vectorize_core")
    ours = [path for path in named if any((root / path.split("/")[0]).is_dir() for root in roots)]
    assert not [path for path in ours if not any((root / path).exists() for root in roots)]


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_imports_only_what_is_exported(example: Path) -> None:
    named = imports(example.read_text(encoding="utf-8"))
    assert not [(module, name) for module, name, _ in named if not is_public(f"{module}.{name}")]


def is_public(path: str) -> bool:
    if path in PACKAGES or path in OTHERS:
        return True
    package, _, name = path.rpartition(".")
    if package not in PACKAGES:
        return bool(package) and is_public(package)  # a method of an export
    return name in exports(package)
