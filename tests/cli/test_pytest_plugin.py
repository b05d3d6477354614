from __future__ import annotations

import re

import pytest

from tests.documents import DOCS

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["vectorize_core.pytest_plugin"]'


def outcomes(
    pytester: pytest.Pytester, source: str, *options: str, mode: str = "auto"
) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(source)
    settings = [f"asyncio_mode={mode}", "asyncio_default_fixture_loop_scope=function"]
    with pytest.MonkeyPatch.context() as patch:
        # Only what is needed: loading all plugins of an environment takes seconds.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_inprocess(
            *(
                "-p",
                "pytest_asyncio.plugin",
                "-p",
                "no:cacheprovider",
                "--strict-markers",
                "-W",
                "error",
            ),
            *(part for setting in settings for part in ("-o", setting)),
            *options,
        )


def test_the_fixture(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
        from vectorize_core import Vector

        def test_sync(vectorize_local):
            vectorize_local.client.create_index("docs", dimensions=32)
            vectorize_local.client.index("docs").upsert([Vector("a", [1.0] * 32)])
            assert vectorize_local.client.index("docs").info().vector_count == 1

        def test_each_test_has_its_own(vectorize_local):
            assert vectorize_local.client.list_indexes() == ()

        async def test_both_variants_see_the_same(vectorize_local):
            vectorize_local.client.create_index("docs", dimensions=32)
            index = vectorize_local.async_client.index("docs")
            await index.upsert([Vector("a", [1.0] * 32)], wait="visible")
            assert list(vectorize_local.client.index("docs").list_ids()) == ["a"]
        """,
    )
    result.assert_outcomes(passed=3)


def test_the_page_as_it_stands_there(pytester: pytest.Pytester) -> None:
    """In the mode that pytest-asyncio has unless it is told another."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    section = page.split("\n## The pytest plugin\n")[1]
    conftest, *blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert conftest.strip() == CONFTEST
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(blocks)})
    outcomes(pytester, "", mode="strict").assert_outcomes(passed=section.count("def test_"))


def test_long_texts_words_and_the_limits_of_production(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
        import pytest
        from langchain_core.embeddings import DeterministicFakeEmbedding
        from langchain_vectorize import VectorizeVectorStore
        from vectorize_core.pytest_plugin import LocalVectorize

        @pytest.mark.vectorize(limits="cloudflare")
        def test_strict(vectorize_local: LocalVectorize):
            made = {"client": vectorize_local.client, "create_index": True, "text_index": True}
            model = DeterministicFakeEmbedding(size=32)
            store = VectorizeVectorStore(model, index_name="docs", **made)
            store.add_texts(["apple " * 5_000, "pear"], ids=["a", "b"])
            (found,) = store.similarity_search("apple", k=1, retrieval_mode="text")
            assert len(found.page_content) == 30_000
            assert not vectorize_local.client.connection.capabilities.free_requests

        def test_any_number(vectorize_local: LocalVectorize):
            assert vectorize_local.client.connection.capabilities.free_requests

        @pytest.mark.vectorize(limits="cloud")
        def test_misspelt(vectorize_local: LocalVectorize): ...
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*vectorize: limits is 'cloudflare' or None*"])


def test_the_server(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
        import pytest
        from vectorize_core import AuthenticationError, VectorizeClient

        def test_server(vectorize_local, monkeypatch):
            server = vectorize_local.server(token="t")
            assert vectorize_local.server() is server
            with pytest.raises(ValueError, match="lenient would be ignored"):
                vectorize_local.server(lenient=True)
            for name, value in server.environment.items():
                monkeypatch.setenv(name, value)
            with VectorizeClient() as client:
                assert client.list_indexes() == ()
            with (
                VectorizeClient(base_url=server.base_url, api_token="x") as client,
                pytest.raises(AuthenticationError),
            ):
                client.list_indexes()
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_marker(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
        import pytest
        from vectorize_core import Vector, VectorizeClient

        pytestmark = pytest.mark.vectorize(process_delay=9.0, ties="newest")

        @pytest.mark.vectorize(process_delay=30.0)
        def test_nearest_first(vectorize_local):
            assert vectorize_local.behavior.process_delay == 30.0
            assert vectorize_local.behavior.ties == "newest"
            with VectorizeClient(base_url=vectorize_local.server().base_url) as over_http:
                for client in (vectorize_local.client, over_http):
                    client.create_index("docs", dimensions=32, record_layout=False)
                    client.index("docs").upsert([Vector("a", [1.0] * 32)])
                    assert client.index("docs").info().vector_count == 0
        """,
    )
    result.assert_outcomes(passed=1)


def test_markers_that_say_nothing(pytester: pytest.Pytester) -> None:
    result = outcomes(
        pytester,
        """
        import pytest

        @pytest.mark.vectorize(patience=1)
        def test_unknown(vectorize_local):
            pass

        @pytest.mark.vectorize(process_delay=-1)
        def test_negative(vectorize_local):
            pass

        @pytest.mark.vectorize(0.5)
        def test_unnamed(vectorize_local):
            pass
        """,
    )
    result.assert_outcomes(errors=3)
    for said in ("*'patience'*", "*process_delay is a number*", "*got (0.5,)*"):
        result.stdout.fnmatch_lines([f"*@pytest.mark.vectorize{said}"])


def test_the_marker_is_listed(pytester: pytest.Pytester) -> None:
    outcomes(pytester, "", "--markers").stdout.fnmatch_lines(["@pytest.mark.vectorize(*"])


def test_a_server_that_does_not_start_shows_no_token(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "tok-OnlyHere")
    source = """
        import os

        def test_server(vectorize_local):
            vectorize_local.server(token=os.environ["A_TOKEN"], data="\\0")
    """
    result = outcomes(pytester, source, "-l")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no path: it holds a null character*"])
    result.stdout.no_fnmatch_line("*tok-OnlyHere*")
