"""What the gateway of examples/worker does without workerd, in node: it is plain JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.workers.dev import NODE_FIRST
from tests.workers.workerd import GATEWAY

# The binding of an index of three dimensions.
BINDINGS = "DOCS: { describe: async () => ({ dimensions: 3 }) }"


def in_node(code: str) -> Any:
    """What ``code`` prints, as JSON."""
    if (node := shutil.which("node", path=NODE_FIRST)) is None:
        pytest.skip("node is not installed")
    command = [node, "--input-type=module", "-e", code]
    ran = subprocess.run(command, cwd=GATEWAY, capture_output=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout)


def answers(variables: dict[str, Any], *paths: str) -> list[Any]:
    """The result, or the text of the error, of each path; the error's status is 400."""
    said = in_node(f"""
        import {{ failure }} from "./answers.js";
        import {{ onDatabase }} from "./d1.js";
        import {{ onIndexes }} from "./vectorize.js";
        const env = {{ ...{json.dumps(variables)}, {BINDINGS} }}, said = [];
        for (const path of {json.dumps(paths)}) {{
          const [area, ...names] = path.split("/");
          const on = area === "d1" ? onDatabase : onIndexes;
          const request = {{ method: area === "d1" ? "POST" : "GET" }};
          const answer = await on(request, env, names, new Map()).catch(failure);
          said.push([answer.status, await answer.json()]);
        }}
        console.log(JSON.stringify(said));
    """)
    assert {status for status, _ in said} <= {200, 400}
    return [told["result"] or told["errors"][0]["message"] for _, told in said]


@pytest.mark.parametrize("wrong", ['{"docs": {"binding": "DOCS"}}', ["docs"], 1])
def test_variables_that_are_no_objects_are_named(wrong: Any) -> None:
    said = answers(
        {"INDEXES": wrong, "DATABASES": wrong}, "indexes", "indexes/docs", "d1/words/raw"
    )
    for name, one in zip(("INDEXES", "INDEXES", "DATABASES"), said, strict=True):
        assert one.startswith(f"gateway: the variable {name} is no JSON object, but a ")


def test_a_token_may_have_spaces_and_those_at_its_ends_do_not_count() -> None:
    said = in_node("""
        import { timingSafeEqual } from "node:crypto";
        import { isAllowed } from "./auth.js";
        crypto.subtle.timingSafeEqual = (a, b) => timingSafeEqual(new DataView(a), new DataView(b));
        const said = [];
        for (const set of ["a  token", " a  token\\n", "a token", "a", " ", undefined]) {
          const headers = new Headers({ Authorization: "Bearer a  token" });
          said.push(await isAllowed({ headers }, set));
        }
        console.log(JSON.stringify(said));
    """)
    assert said == [True, True, False, False, False, False]


def test_an_index_of_which_the_variables_are_wrong_spoils_no_list() -> None:
    right = {"binding": "DOCS", "config": {"metric": "cosine"}}
    indexes = {
        "docs": right,
        "bare": {"binding": "DOCS"},
        "unbound": {**right, "binding": "NONE"},
        "another": {**right, "config": {"metric": "cosine", "dimensions": 4}},
    }
    paths = ("indexes", *(f"indexes/{name}" for name in indexes))
    listed, alone, *told = answers({"INDEXES": indexes}, *paths)
    assert listed == [alone]
    for word, one in zip(("config.metric", "binding NONE", "3 dimensions"), told, strict=True):
        assert word in one


def test_a_body_of_which_nothing_comes_counts_for_a_minute() -> None:
    """The runtime may have ended its request without a word."""
    said = in_node("""
        import { withBody } from "./body.js";
        const start = Date.now(), part = new Uint8Array(12 * 2 ** 20), said = [];
        const write = (body) => withBody({ body }, () => 200).catch(({ status }) => status);
        let go, never = new Promise(() => {}), gone = new Promise((resolve) => { go = resolve; });
        async function* slowly() { yield part; await gone; yield new Uint8Array(9); await never; }
        write(slowly());
        await new Promise(setImmediate);
        for (const seconds of [0, 50, 70]) {
          Date.now = () => start + 1_000 * seconds;
          said.push(await write([part]));
        }
        go();
        await new Promise(setImmediate);
        said.push(await write([part]));
        console.log(JSON.stringify(said));
    """)
    assert said == [503, 503, 200, 503]
