"""The stores' own tests, over LynseDB in place of an embedded Vectorize in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from tests.lynse.servers import ROOT, Lynse
from tests.nightly import NIGHTLY

PLACES: Final = (
    *("tests/langchain", "tests/llama_index"),
    *(f"tests/test_{name}.py" for name in ("adding", "bad_records", "changed_elsewhere")),
    *(f"tests/test_{name}.py" for name in ("deletes_after_lost_writes", "deleting")),
    *(f"tests/test_{name}.py" for name in ("event_loops", "exact_filtering", "filtering")),
    *(f"tests/test_{name}.py" for name in ("filter_examples", "first_writes", "ids")),
    *(f"tests/test_{name}.py" for name in ("interop", "many_deletes", "nested_metadata")),
    *(f"tests/test_{name}.py" for name in ("plain_strings", "request_limits", "resuming")),
    *(f"tests/test_{name}.py" for name in ("stores", "tenants", "tenants_apart")),
    *(f"tests/test_{name}.py" for name in ("text_search", "upkeep", "variants")),
)
EXCLUDED: Final = {
    "a metadata index is made when there are vectors already": (
        "test_changed_elsewhere.py::test_a_metadata_index_that_was_made_again_makes_nothing_empty",
        "test_changed_elsewhere.py::test_a_search_that_may_read_all_leaves_nothing_out",
        "test_changed_elsewhere.py::test_a_search_warns_once_and_never_after_reindexing",
        "test_changed_elsewhere.py::test_older_records_are_not_left_out_in_silence",
        "test_changed_elsewhere.py::test_reindexing_adds_what_the_layout_lacks",
        "test_filtering.py::test_a_record_older_than_its_index_is_found_rewritten",
        "test_nested_metadata.py::test_a_record_that_only_hides_its_value_is_noticed",
        "test_nested_metadata.py::test_records_that_are_older_are_covered_when_they_are_indexed_again",
        "test_nested_metadata.py::test_what_cannot_be_looked_up_is_refused_when_it_is_declared[wanted7",
        "test_stores.py::test_an_index_that_is_not_as_promised_is_an_error",
        "test_tenants.py::test_advice_is_not_about_what_a_view_has_not",
        *(
            f"test_variants.py::test_every_method_works_with_what_it_must_be_given[{kind}-{name}]"
            for kind in ("langchain", "llama_index")
            for name in ("create_metadata_index", "acreate_metadata_index")
        ),
        "test_tenants_apart.py::test_a_tenant_sees_the_same_whatever_others_have",
        "test_upkeep.py::test_a_property_is_made_filterable_later",
        "test_upkeep.py::test_a_reset_empties_a_store_that_is_used_on",
        "langchain/test_notebook.py::test_the_notebook_runs_cell_by_cell_and_shows_what_it_holds",
        "langchain/test_pages.py::test_upkeep",
        "llama_index/test_advice.py",
        "llama_index/test_async.py::test_no_async_method_blocks_the_loops_thread",
        "llama_index/test_notebook.py::test_the_notebook_shows_what_it_says",
        "llama_index/test_pages.py::test_upkeep",
    ),
    "words are found without a text index": (
        "test_text_search.py::test_an_older_index_is_searched_once_its_texts_are_read",
        "test_text_search.py::test_without_a_text_index_an_error_says_what_to_do",
        "langchain/test_retrieval_modes.py::test_without_a_text_index_there_is_one_mode",
        "llama_index/test_arguments.py::test_a_wrong_argument_is_named",
        "llama_index/test_calls.py::test_a_mode_that_needs_words_says_so_of_a_store_without_them",
    ),
    "long texts have a place of their own": (
        "test_bad_records.py::test_a_long_text_elsewhere_leaves_advice_about_the_rest",
    ),
    "BM25 is that of SQLite": (
        "test_text_search.py::test_ids_and_scores_are_the_same_everywhere",
        "llama_index/test_by_words.py::test_scores_are_larger_for_better_whatever_the_metric",
    ),
    "vectors are in memory": (
        "llama_index/test_calls.py::test_persisting_a_storage_context_persists_the_store",
        "llama_index/test_nodes.py::test_persisting_says_that_vectors_in_memory_are_not_kept",
        "llama_index/test_serializing.py::test_parameters_have_a_constructor_of_the_usual_name",
    ),
}
"""What these tests are about that is otherwise on LynseDB."""


SOME: Final = ("tests/test_text_search.py::test_words_are_found_wherever_they_are",)
"""They write, read and search both ways, so they need of a connection what most others do."""


def pass_underneath(places: tuple[str, ...], processes: int) -> None:
    left_out = [f"--deselect=tests/{name}" for names in EXCLUDED.values() for name in names]
    runs = [sys.executable, "-m", "pytest", "-p", "tests.lynse.underneath", "-n", f"{processes}"]
    done = subprocess.run(
        [*runs, *left_out, *places],
        cwd=ROOT,
        env=os.environ | {"VECTORIZE_NIGHTLY": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:]


@pytest.mark.timeout(300)
def test_some_tests_of_the_stores_pass_on_lynsedb(new_lynse: Lynse) -> None:
    pass_underneath(SOME, 0)


@pytest.mark.skipif(not NIGHTLY, reason="three thousand tests, so only at night")
@pytest.mark.timeout(7_200)
def test_the_tests_of_the_stores_pass_on_lynsedb(new_lynse: Lynse) -> None:
    pass_underneath(PLACES, 2)
