from datetime import UTC, datetime

import numpy as np
import pytest

from vectorize_core.models import METRICS, PRESETS, IndexConfig, IndexDetails, Vector

CONFIG = IndexConfig(32, "euclidean")


def test_a_created_index_is_what_was_asked_for(service, clock):
    created = service.create_index("docs", CONFIG, "mine")
    at = datetime.fromtimestamp(clock.now, UTC)
    assert created == IndexDetails("docs", CONFIG, "mine", at, at)
    assert service.get_index("docs") == created
    assert service.list_indexes() == (created,)


def test_the_description_is_empty_where_none_was_given(service):
    assert service.create_index("docs", CONFIG).description == ""


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_a_configuration(service, preset):
    assert service.create_index("docs", preset).config == IndexConfig(*PRESETS[preset])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [32, 1536])
def test_every_metric_and_the_smallest_and_largest_dimensions(service, metric, dimensions):
    config = IndexConfig(dimensions, metric)
    assert service.create_index("docs", config).config == config


@pytest.mark.parametrize("dimensions", [-1, 0, 31, 1537, 2**70])
def test_other_dimensions_are_refused(service, refused, dimensions):
    text = "vectorize.index.invalid_config - Dimensions must be in range: [32, 1536]"
    with refused(3003, text):
        service.create_index("docs", IndexConfig(dimensions))
    assert service.list_indexes() == ()


@pytest.mark.parametrize("dimensions", [64.0, True, None, "64"])
def test_dimensions_are_an_integer(service, refused, dimensions):
    with refused(49999, "embedded Vectorize: dimensions: expected an integer"):
        service.create_index("docs", IndexConfig(dimensions))


def test_other_configurations_are_refused(service, refused):
    with refused(3003, "vectorize.index.invalid_config - Config must be provided"):
        service.create_index("docs", None)
    with refused(None, "unknown preset 'nope'"):
        service.create_index("docs", "nope")
    with refused(None, "unknown metric 'nope'"):
        service.create_index("docs", IndexConfig(32, "nope"))


@pytest.mark.parametrize("name", ["a", "test_temp_index", "a-b-1", "Docs", "x" * 64])
def test_names_that_are_accepted(service, name):
    assert service.create_index(name, CONFIG).name == name


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a\n", "x" * 65, 7])
def test_names_that_are_refused(service, refused, name):
    with refused(None, "index name"):
        service.create_index(name, CONFIG)


def test_a_description_must_be_text(service, refused):
    for wrong in (7, "\ud835"):
        with refused(49999, "description"):
            service.create_index("docs", CONFIG, wrong)


def test_a_name_in_use_is_a_duplicate(service, refused):
    service.create_index("docs", CONFIG)
    with refused(3002, 'vectorize.index.duplicate_name - Index name "docs"', 400):
        service.create_index("docs", CONFIG)


def calls(service, name):
    vector = Vector("a", np.ones(32))
    return [
        lambda: service.get_index(name),
        lambda: service.delete_index(name),
        lambda: service.index_info(name),
        lambda: service.insert(name, [vector]),
        lambda: service.upsert(name, [vector]),
        lambda: service.query(name, vector=np.ones(32)),
        lambda: service.query(name, vector_id="a"),
        lambda: service.get_by_ids(name, ["a"]),
        lambda: service.delete_by_ids(name, ["a"]),
        lambda: service.list_vectors(name),
        lambda: service.create_metadata_index(name, "n", "number"),
        lambda: service.list_metadata_indexes(name),
        lambda: service.delete_metadata_index(name, "n"),
    ]


def test_every_call_on_a_name_never_used_is_404(service, refused):
    for call in calls(service, "docs"):
        with refused(3000, 'vectorize.index.not_found - Index name "docs"', 404):
            call()


def test_a_missing_index_is_named_before_a_bad_vector(service, refused):
    with refused(3000, status=404):
        service.insert("docs", [Vector("x" * 65, np.ones(7))])


def test_every_call_on_a_deleted_name_is_410(service, refused):
    service.create_index("docs", CONFIG)
    service.delete_index("docs")
    for call in calls(service, "docs"):
        with refused(3005, 'vectorize.index.deleted - Index name "docs"', 410):
            call()
    assert service.list_indexes() == ()


def test_a_deleted_name_is_free_and_its_new_index_is_empty(service, refused):
    service.create_index("docs", CONFIG)
    service.create_metadata_index("docs", "n", "number")
    service.upsert("docs", [Vector("a", np.ones(32))])
    assert service.query("docs", vector=np.ones(32)).count == 1
    service.delete_index("docs")
    service.create_index("docs", IndexConfig(64))
    assert service.get_index("docs").config.dimensions == 64
    assert service.query("docs", vector=np.ones(64)).matches == ()
    assert service.list_vectors("docs").ids == ()
    assert service.list_metadata_indexes("docs") == ()
    info = service.index_info("docs")
    assert (info.dimensions, info.vector_count, info.processed_up_to_mutation) == (64, 0, None)
    with refused(3002):
        service.create_index("docs", CONFIG)
    service.delete_index("docs")
    with refused(3005, status=410):
        service.get_index("docs")


def test_indexes_are_independent(service):
    for name in ("one", "two"):
        service.create_index(name, CONFIG)
    service.upsert("one", [Vector("a", np.ones(32))])
    service.upsert("two", [Vector("a", np.zeros(32)), Vector("b", np.zeros(32))])
    service.delete_by_ids("two", ["a"])
    assert service.get_by_ids("one", ["a", "b"]) == (Vector("a", np.ones(32)),)
    assert [match.id for match in service.query("two", vector=np.ones(32)).matches] == ["b"]
    service.delete_index("two")
    assert service.index_info("one").vector_count == 1
    assert [details.name for details in service.list_indexes()] == ["one"]
