"""`vectorize-stores wrangler`: a local Vectorize for wrangler dev, and nothing for a deployment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.nightly import NIGHTLY
from tests.server.helpers import Peer
from tests.workers.dev import LOCAL, NODE_FIRST, installed, wrangler_dev
from vectorize_core.cli.app import app
from vectorize_core.local.server import BackgroundServer, Settings

WRITTEN = {LOCAL, ".vectorize-local"}
JSONC = """\ufeff{
  // "vectorize": [{"binding": "NOT", "index_name": "this"}]
  "name": "of-a-test", /* and
  so on */ "main": "src/index.js", "compatibility_date": "2026-01-01",
  "vars": {"URL": "http://a/*b*/", "QUOTED": "\\"//\\",}",},
  "vectorize": [
    {"binding": "DOCS", "index_name": "docs"}, // the first
    {"binding": "NOTES", "index_name": "notes", "remote": true},
  ],
  "unsafe": {"bindings": [{"name": "OTHER", "type": "text"}], "metadata": {"a": 1}},
  "env": {"staging": {"vectorize": [{"binding": "DOCS", "index_name": "staged"}]}, "none": {}},
}
"""
TOML = """name = "a-test" # vectorize
main = "src/index.js"
compatibility_date = 2026-01-01
[[vectorize]]
binding = "DOCS"
index_name = "docs"
[[env.staging.vectorize]]
binding = "DOCS"
index_name = "staged"
"""
# What it is given by Miniflare 5, and by Miniflare 4.
GIVEN = {"index": "docs", "address": "127.0.0.1:8989"}
GIVEN_BY: list[Any] = [
    {
        "config": {
            "env": {
                "DOCS": {
                    "type": "unsafe:x",
                    "dev": {"plugin": {"name": "vectorize-local"}, "options": GIVEN},
                },
                "OTHER": {"type": "kv"},
                "ELSE": {"dev": {"plugin": {"name": "another"}}},
            }
        }
    },
    [{"name": "DOCS", "type": "x", "options": GIVEN}],
]
# What a Worker does with each of its bindings; which one is told by the path.
WORKER = """
export default { async fetch(request, env) {
  const said = {};
  for (const name of ["DOCS", "NOTES"]) {
    const at = (n) => Array.from({ length: 32 }, (_, i) => (i === n ? 1 : 0));
    const binding = env[name], vector = { id: name, values: at(0), metadata: { in: name } };
    const inserted = await binding.insert([vector, { id: "other", values: at(1) }]);
    await binding.upsert([{ id: "other", values: at(2), namespace: "space" }]);
    said[name] = {
      mutation: inserted.mutationId,
      query: await binding.query(at(0), { topK: 1, returnMetadata: "all" }),
      byId: (await binding.queryById(name, { topK: 1 })).matches[0].id,
      ids: (await binding.getByIds([name, "other", "none"])).map((found) => found.id).sort(),
      refused: await binding.query([1]).catch((error) => error.message),
    };
    await binding.deleteByIds(["other"]);
    said[name].count = (await binding.describe()).vectorCount;
  }
  return Response.json(said);
} };
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["wrangler", *map(str, arguments)], catch_exceptions=False)


def refused(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr


def make(folder: Path, version: str = "4.164.0", **files: str) -> Path:
    """A project with a wrangler of this version, as far as can be seen."""
    about = folder / "node_modules" / "wrangler" / "package.json"
    about.parent.mkdir(parents=True)
    about.write_text(json.dumps({"version": version}))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


def contents(folder: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def local(project: Path) -> Any:
    head, _, text = (project / LOCAL).read_text(encoding="utf-8").partition("\n")
    assert head.startswith("// Made by")
    return json.loads(text)


def test_a_configuration_beside_the_own_one(tmp_path: Path) -> None:
    project = make(tmp_path, wrangler_jsonc=JSONC)
    before = contents(project)
    result = run(project, "--url", "http://[::1]:9000/client/v4")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"env.{name} is the index {index} at [::1]:9000"
        for name, index in [
            ("DOCS", "docs"),
            ("NOTES", "notes"),
            ("DOCS of --env staging", "staged"),
        ]
    ]
    assert f"npx wrangler dev --config {LOCAL}" in result.stderr
    made = local(project)
    plugin = {"package": str(project / ".vectorize-local"), "name": "vectorize-local"}
    for scope, found in (
        (made, [("DOCS", "docs"), ("NOTES", "notes")]),
        (
            made["env"]["staging"],
            [("DOCS", "staged")],
        ),
    ):
        assert [b for b in scope["unsafe"]["bindings"] if b["name"] != "OTHER"] == [
            {
                "name": name,
                "type": "vectorize",
                "index_name": index,
                "dev": {"plugin": plugin, "options": {"index": index, "address": "[::1]:9000"}},
            }
            for name, index in found
        ]
        assert "vectorize" not in scope
    # All the rest is as it was.
    assert made["unsafe"]["bindings"][0] == {"name": "OTHER", "type": "text"}
    assert made["unsafe"]["metadata"] == {"a": 1}
    assert made["vars"] == {"URL": "http://a/*b*/", "QUOTED": '"//",}'}
    assert (made["name"], made["env"]["none"]) == ("of-a-test", {})
    # Again, it is the same; and then it is gone.
    written = contents(project)
    assert {path.relative_to(project).parts[0] for path in written.keys() - before} == WRITTEN
    assert run(project, "--url", "http://[::1]:9000").exit_code == 0
    assert contents(project) == written
    assert run(project, "--remove").exit_code == 0
    assert contents(project) == before
    assert not (project / ".vectorize-local").exists()
    again = run(project, "--remove")
    assert (again.exit_code, "nothing to remove" in again.stderr) == (0, True)


def test_a_configuration_in_toml(tmp_path: Path) -> None:
    project = make(tmp_path, wrangler_toml=TOML)
    assert run(project).exit_code == 0
    made = local(project)
    assert made["compatibility_date"] == "2026-01-01"
    assert [b["index_name"] for b in made["unsafe"]["bindings"]] == ["docs"]
    assert [b["index_name"] for b in made["env"]["staging"]["unsafe"]["bindings"]] == ["staged"]


def test_what_cannot_be_is_refused_with_the_reason_and_writes_nothing(tmp_path: Path) -> None:
    assert "no directory" in refused(tmp_path / "none")
    assert "wrangler.jsonc" in refused(tmp_path)
    (tmp_path / "wrangler.jsonc").write_text('{"name": "x",\n oh}')
    assert "line 2" in refused(tmp_path)
    (tmp_path / "wrangler.jsonc").write_text("[]")
    assert "no object" in refused(tmp_path)
    (tmp_path / "wrangler.jsonc").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refused(tmp_path)
    (tmp_path / "wrangler.jsonc").write_text("{}")
    assert "no Vectorize binding" in refused(tmp_path)
    for wrong in ([1], [{"binding": "A"}], [{"binding": "A", "index_name": 1}]):
        (tmp_path / "wrangler.jsonc").write_text(json.dumps({"vectorize": wrong}))
        assert "a binding and an index_name" in refused(tmp_path)
    (tmp_path / "wrangler.jsonc").write_text(JSONC, encoding="utf-8")
    assert "npm install" in refused(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "wrangler.jsonc"]
    old = make(tmp_path / "old", "4.85.1", wrangler_jsonc=JSONC)
    assert "older than 4.86" in refused(old)


def test_an_address_is_one_without_tls_and_password(tmp_path: Path) -> None:
    project = make(tmp_path, wrangler_jsonc=JSONC)
    for address in ("https://127.0.0.1", "http://me:pa55word@host", "http://h:x", "http://"):
        said = refused(project, "--url", address)
        assert "--url" in said
        assert "pa55word" not in said
    assert not (project / LOCAL).exists()


def test_nothing_of_the_users_is_overwritten_or_removed(tmp_path: Path) -> None:
    project = make(tmp_path, wrangler_jsonc=JSONC)
    (project / LOCAL).write_text("{}")
    for more in ((), ("--remove",)):
        assert "not made by this command" in refused(project, *more)
    (project / LOCAL).unlink()
    run(project)
    (project / ".vectorize-local" / "mine.txt").touch()
    for more in ((), ("--remove",)):
        assert "mine.txt" in refused(project, *more)
    assert (project / LOCAL).exists()


def linked(path: Path) -> None:
    """``path`` under another name, and a symbolic link in its place."""
    path.symlink_to(path.rename(path.with_name("elsewhere")), target_is_directory=path.is_dir())


def made(path: Path) -> None:
    """A folder in the place of ``path``."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (".vectorize-local", linked),
        (LOCAL, linked),
        (LOCAL, made),
        (".vectorize-local", lambda path: (shutil.rmtree(path), path.write_text("mine"))),
        *[
            (f".vectorize-local/{name}", lambda path: path.write_text("{}"))
            for name in (".gitignore", "index.js", "made-from.json", "package.json")
        ],
        (".vectorize-local/index.js", made),
        (".vectorize-local/index.js", linked),
    ],
)
def test_what_the_user_has_put_in_our_places_stays(
    place: str, change: Callable[[Path], Any], tmp_path: Path
) -> None:
    project = make(tmp_path, wrangler_jsonc=JSONC)
    run(project)
    change(project / place)
    before = contents(tmp_path)
    for more in ((), ("--remove",)):
        said = refused(project, *more)
        assert "was not made by this command: move it away" in said
        assert ".vectorize-local" in said
    assert contents(tmp_path) == before


BOUND = '"vectorize": [{"binding": "DOCS", "index_name": "docs"}]'


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("[" * 100_000, "cannot be read"),
        (f'{{{BOUND}, "vars": {{"a": NaN}}}}', "has what JSON has not"),
        ('{"vectorize": {"a": 1}}', "vectorize is a list; got"),
        ('{"vectorize": ""}', "vectorize is a list; got"),
        (f'{{{BOUND}, "env": []}}', "env is an object; got"),
        (f'{{{BOUND}, "env": {{"staging": 1}}}}', "staging is an object; got"),
        (f'{{{BOUND}, "unsafe": []}}', "unsafe is an object; got"),
        (f'{{{BOUND}, "unsafe": {{"bindings": {{"a": 1}}}}}}', "bindings is a list; got"),
        (f'{{"env": {{"a": {{{BOUND}, "unsafe": {{"bindings": "b"}}}}}}}}', "bindings is a list"),
        ('{"vectorize": [{"binding": "A", "index_name": "a\\nb: c"}]}', "an index name is made of"),
    ],
)
def test_a_configuration_that_is_none_is_refused_before_anything_is_written(
    config: str, reason: str, tmp_path: Path
) -> None:
    project = make(tmp_path, wrangler_jsonc=config)
    before = contents(project)
    assert reason in refused(project)
    assert contents(project) == before


def test_what_is_null_is_not_there(tmp_path: Path) -> None:
    config = f'{{{BOUND}, "unsafe": {{"bindings": null}}, "env": null, "vars": {{"a": "\\ud800"}}}}'
    project = make(tmp_path, wrangler_jsonc=config)
    assert run(project).exit_code == 0
    assert [b["name"] for b in local(project)["unsafe"]["bindings"]] == ["DOCS"]
    assert local(project)["vars"] == {"a": "\ud800"}


def test_times_of_toml_are_those_that_wrangler_reads(tmp_path: Path) -> None:
    moments = {
        "2026-01-02": "2026-01-02",
        "2026-01-02T03:04:05Z": "2026-01-02T03:04:05.000Z",
        "2026-01-02 03:04:05.678901": "2026-01-02T03:04:05.678",
        "2026-01-02T03:04:05+06:00": "2026-01-02T03:04:05.000+06:00",
        "03:04:05": "03:04:05.000",
    }
    given = "".join(f"v{n} = {moment}\n" for n, moment in enumerate(moments))
    project = make(tmp_path, wrangler_toml=f"{TOML}[vars]\n{given}")
    assert run(project).exit_code == 0
    assert [*local(project)["vars"].values()] == [*moments.values()]
    with (project / "wrangler.toml").open("a") as config:
        config.write("far = inf")
    assert "has what JSON has not" in refused(project)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("given", GIVEN_BY, ids=["Miniflare 5", "Miniflare 4"])
def test_the_plugin(given: Any, tmp_path: Path) -> None:
    project = make(tmp_path, wrangler_jsonc=JSONC)
    run(project)
    asked = f"""
        import {{ plugins }} from "./.vectorize-local/index.js";
        const plugin = plugins["vectorize-local"], given = {json.dumps(given)};
        const bindings = plugin.getBindings(given);
        const services = plugin.getServices({{ options: given }});
        console.log(JSON.stringify([bindings, services, plugin.getNodeBindings(given)]));
    """
    (tmp_path / "asked.mjs").write_text(asked, encoding="utf-8")
    ran = subprocess.run(
        ["node", "asked.mjs"], cwd=tmp_path, capture_output=True, check=True, timeout=30
    )
    (binding,), (service,), nothing = json.loads(ran.stdout)
    inner = {item["name"]: item for item in binding["wrapped"]["innerBindings"]}
    assert (binding["name"], inner["indexId"]["text"]) == ("DOCS", "docs")
    assert inner["fetcher"]["service"]["name"] == service["name"]
    assert service["external"]["address"] == "127.0.0.1:8989"
    sent = {h["name"]: h["value"] for h in service["external"]["http"]["injectRequestHeaders"]}
    assert sent["x-vectorize-index"] == "docs"
    assert nothing == {}
    assert service["name"] == "vectorize:docs:127.0.0.1:8989"  # Of no name that a Worker gives it.


def test_the_plugin_tells_of_a_configuration_that_has_changed_since(tmp_path: Path) -> None:
    if (node := shutil.which("node", path=NODE_FIRST)) is None:
        pytest.skip("node is needed for the plugin")
    project = make(tmp_path, wrangler_jsonc=JSONC)
    run(project)
    plugin = [node, "-e", 'import("./.vectorize-local/index.js")']
    said = subprocess.run(plugin, cwd=project, capture_output=True, text=True, check=True)
    assert said.stderr == ""
    with (project / "wrangler.jsonc").open("a") as config:
        config.write("// and more")
    said = subprocess.run(plugin, cwd=project, capture_output=True, text=True, check=True)
    assert said.stderr.startswith("wrangler.jsonc has changed: run `vectorize-stores wrangler`")


def check_bindings(tmp_path: Path, modules: Path, path: str) -> None:
    """A Worker with two bindings, in wrangler dev."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.js").write_text(WORKER)
    (tmp_path / "wrangler.jsonc").write_text(JSONC, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(modules, target_is_directory=True)
    token = "a-token-of-the-server"
    with (
        BackgroundServer(Settings(token=token)) as server,
        closing(Peer(server.base_url, token=token)) as peer,
    ):
        peer.create("docs")
        peer.create("notes")
        assert run(tmp_path, "--url", server.base_url).exit_code == 0
        more = {"VECTORIZE_SERVER_TOKEN": token}
        with wrangler_dev(tmp_path, modules, path, **more) as url:
            said = httpx.get(url, timeout=60).json()
        assert [peer.count(name) for name in ("docs", "notes")] == [1, 1]
    for name in ("DOCS", "NOTES"):
        told = said[name]
        assert told.pop("mutation")
        (match,) = told.pop("query")["matches"]
        assert (match["id"], match["metadata"]) == (name, {"in": name})
        assert told.pop("refused").startswith("VECTOR_QUERY_ERROR (code = 40006): invalid query")
        assert told == {"byId": name, "ids": sorted([name, "other"]), "count": 1}
    assert "has changed" not in (tmp_path / "said.txt").read_text()


# It writes through its binding, and has the other Worker do so too.
WRITER = """
export default { async fetch(request, env) {
  await env.DOCS.upsert([{ id: "NAME", values: Array(32).fill(1) }]);
  await env.OTHER?.fetch(request.url);
  return Response.json((await env.SAME.getByIds(["NAME"])).length);
} };
"""


class TestDev:
    def test_a_binding_of_one_name_in_two_workers_is_of_the_index_of_each(
        self, tmp_path: Path
    ) -> None:
        if not NIGHTLY:
            pytest.skip("starts wrangler dev once more, so only at night")
        modules, names = installed(), ("first", "second")
        (tmp_path / "node_modules").symlink_to(modules, target_is_directory=True)
        with BackgroundServer() as server, closing(Peer(server.base_url)) as peer:
            for name in names:
                project = tmp_path / name
                project.mkdir()
                (project / "index.js").write_text(WRITER.replace("NAME", name))
                other = [{"binding": "OTHER", "service": "second"}] if name == "first" else []
                config = {
                    "name": name,
                    "main": "index.js",
                    "compatibility_date": "2026-01-01",
                    "vectorize": [{"binding": b, "index_name": name} for b in ("DOCS", "SAME")],
                    "services": other,
                }
                (project / "wrangler.jsonc").write_text(json.dumps(config))
                assert run(project, "--url", server.base_url).exit_code == 0
                peer.create(name)
            configs = [f"{name}/{LOCAL}" for name in names]
            with wrangler_dev(tmp_path, modules, NODE_FIRST, configs) as url:
                assert httpx.get(url, timeout=60).json() == 1
            assert [peer.found(name) for name in names] == ["first", "second"]

    def test_the_newest_wrangler(self, tmp_path: Path) -> None:
        check_bindings(tmp_path, installed(), NODE_FIRST)

    def test_the_oldest_wrangler(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        if not NIGHTLY:
            pytest.skip("installs an old wrangler, so only at night")
        if shutil.which("npm") is None or shutil.which("node") is None:
            pytest.skip("npm and node are needed for wrangler")
        folder = tmp_path_factory.mktemp("oldest")
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "wrangler@4.86"]
        if subprocess.run(install, cwd=folder, capture_output=True, check=False).returncode != 0:
            pytest.skip("wrangler cannot be installed")
        check_bindings(
            tmp_path_factory.mktemp("project"), folder / "node_modules", os.environ["PATH"]
        )
