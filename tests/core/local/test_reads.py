from datetime import UTC, datetime
from threading import Thread

import numpy as np
import pytest

from vectorize_core.local import cursors, exact_search, vectors
from vectorize_core.models import IndexConfig, Vector

ONES = np.ones(32)


@pytest.fixture
def docs(service):
    service.create_index("docs", IndexConfig(32))
    return service


def angle(name: str, degrees: float, namespace=None, metadata=None) -> Vector:
    radians = np.radians(degrees)
    return Vector(name, [np.cos(radians), np.sin(radians), *[0.0] * 30], namespace, metadata)


def names(result):
    return [match.id for match in result.matches]


def test_an_empty_index_has_no_matches(docs):
    result = docs.query("docs", vector=ONES)
    assert (result.count, result.matches) == (0, ())


def test_five_bare_matches_by_default(docs):
    docs.upsert("docs", [angle(str(i), 10 * i, "space", {"n": i}) for i in range(7)])
    result = docs.query("docs", vector=angle("", 0).values)
    assert result.count == 5
    assert names(result) == ["0", "1", "2", "3", "4"]
    for match in result.matches:
        assert (match.values, match.metadata, match.namespace) == (None, None, "space")
    assert result.matches[3].score == pytest.approx(np.cos(np.radians(30)))


def test_scores_are_float32(docs):
    docs.upsert("docs", [angle("a", 33)])
    score = docs.query("docs", vector=angle("", 0).values).matches[0].score
    assert type(score) is float
    # As JSON prints it; the float32 is the same.
    assert score == float(str(np.float32(score))) != float(np.float32(score))


def test_values_and_metadata_when_asked_for(docs):
    vectors = [angle("a", 0, None, {"n": 1, "t": {"u": "x"}}), angle("b", 10)]
    docs.upsert("docs", vectors)
    result = docs.query("docs", vector=vectors[0].values, return_values=True, return_metadata="all")
    for match, vector in zip(result.matches, vectors, strict=True):
        assert (match.values == vector.values).all()
        assert match.metadata == vector.metadata


def test_no_namespace_means_the_whole_index(docs):
    docs.upsert("docs", [angle("a", 0), angle("b", 1, "one"), angle("c", 2, "two")])
    ask = angle("", 0).values
    assert names(docs.query("docs", vector=ask)) == ["a", "b", "c"]
    assert names(docs.query("docs", vector=ask, namespace="one")) == ["b"]
    assert names(docs.query("docs", vector=ask, namespace="unknown")) == []
    with_empty_name = docs.query("docs", vector=ask, namespace="")
    assert names(with_empty_name) == []


def test_a_query_by_id_finds_its_own_vector_first(docs):
    docs.upsert("docs", [angle("a", 0, "one"), angle("b", 40, "two"), angle("c", 50, "two")])
    assert names(docs.query("docs", vector_id="b")) == ["b", "c", "a"]
    assert names(docs.query("docs", vector_id="a", namespace="two")) == ["b", "c"]


@pytest.mark.parametrize("switch", ["empty", "error"])
def test_a_query_by_an_unknown_id(make, refused, switch):
    service = make(unknown_vector_id=switch)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [angle("a", 0)])
    if switch == "error":
        with refused(None, 'no vector has the id "none such"'):
            service.query("docs", vector_id="none such")
    else:
        assert service.query("docs", vector_id="none such").count == 0


def test_either_a_vector_or_an_id(docs, refused):
    with refused(49999, "either vector or vectorId"):
        docs.query("docs")
    with refused(49999, "either vector or vectorId"):
        docs.query("docs", vector=ONES, vector_id="a")


def test_the_query_vector_has_the_dimensions_of_the_index(docs, refused):
    with refused(40006, "invalid query vector, expected 32 dimensions, and got 33 dimensions"):
        docs.query("docs", vector=np.ones(33))


@pytest.mark.parametrize(
    "wrong",
    [[float("nan")] * 32, [float("inf")] * 32, [1e39] * 32, [[1.0] * 32], "abc", ["x"] * 32],
)
def test_the_query_vector_is_a_list_of_finite_numbers(docs, refused, wrong):
    with refused(49999, "vector"):
        docs.query("docs", vector=wrong)


def test_other_arguments_of_a_wrong_kind_are_refused(docs, refused):
    for flag in (True, False):
        with refused(40026, "returnMetadata: expected value"):
            docs.query("docs", vector=ONES, return_metadata=flag)
    with refused(49999, "returnMetadata"):
        docs.query("docs", vector=ONES, return_metadata="some")
    with refused(49999, "returnValues"):
        docs.query("docs", vector=ONES, return_values="yes")
    with refused(49999, "namespace"):
        docs.query("docs", vector=ONES, namespace=7)
    with refused(49999, "vectorId"):
        docs.query("docs", vector_id=7)
    with refused(40008):
        docs.query("docs", vector_id="x" * 65)
    with refused(None, "namespace too long"):
        docs.query("docs", vector=ONES, namespace="x" * 65)
    docs.query("docs", vector_id="x" * 64, namespace="x" * 64)


def test_top_k_goes_to_100_and_to_50_with_values_or_whole_metadata(docs, refused):
    docs.upsert("docs", [Vector(str(i), ONES) for i in range(120)])

    def count(top_k, **more):
        return docs.query("docs", vector=ONES, top_k=top_k, **more).count

    assert count(1) == 1
    assert count(100) == count(100, return_metadata="indexed") == 100
    assert count(50, return_values=True) == count(50, return_metadata="all") == 50
    text = (
        "with returnValues=true or returnMetadata=all, max top K is 50, but got 51; "
        "for a top K up to 100, retry with returnValues=false and returnMetadata=indexed"
    )
    with refused(40025, text):
        count(51, return_values=True)
    with refused(40025, text):
        count(51, return_metadata="all")
    with refused(None, "max top K is 100, but got 101"):
        count(101)
    for wrong in (0, -1, 2.0, True, None, "5"):
        with refused(None, "top K"):
            count(wrong)


def test_equal_scores_come_in_order_of_insertion(make):
    for switch, order in (("oldest", "abcd"), ("newest", "dcba")):
        service = make(ties=switch)
        service.create_index("docs", IndexConfig(32))
        service.insert("docs", [Vector(name, ONES) for name in "abcd"])
        service.upsert("docs", [Vector("b", ONES * 2)])
        assert "".join(names(service.query("docs", vector=ONES))) == order
        assert "".join(names(service.query("docs", vector=ONES, top_k=2))) == order[:2]


@pytest.mark.parametrize("ties", ["oldest", "newest"])
def test_of_many_equal_vectors_those_that_are_returned_are_read(make, monkeypatch, ties):
    service = make(ties=ties)
    service.create_index("docs", IndexConfig(32))
    alike = [angle(f"v{n}", 0) for n in range(600)]
    service.upsert("docs", [*alike, angle("nearest", 30)])
    service.upsert("docs", [alike[0], alike[599]])
    in_slots, read = vectors.in_slots, []

    def counted(tx, index, slots):
        read.append(len(slots))
        return in_slots(tx, index, slots)

    monkeypatch.setattr(vectors, "in_slots", counted)
    asked = angle("asked", 30).values
    first = [0, 1, 2, 3] if ties == "oldest" else [599, 598, 597, 596]
    expected = ["nearest", *(f"v{n}" for n in first)]
    assert names(service.query("docs", vector=asked)) == expected
    together = service.query_many("docs", [asked, asked])
    assert [names(each) for each in together] == [expected, expected]
    assert max(read) < 60


def test_a_listing_pages_through_all_ids(docs):
    wanted = [f"id{i}" for i in range(250)]
    docs.upsert("docs", [Vector(name, ONES) for name in wanted])
    first = docs.list_vectors("docs")
    assert (len(first.ids), first.total_count) == (100, 250)
    second = docs.list_vectors("docs", cursor=first.next_cursor)
    third = docs.list_vectors("docs", count=50, cursor=second.next_cursor)
    assert [*first.ids, *second.ids, *third.ids] == wanted
    assert (third.next_cursor, third.cursor_expires) == (None, None)
    assert docs.list_vectors("docs", cursor=first.next_cursor) == second


def test_a_listing_shows_the_index_as_it_was_when_it_began(docs):
    docs.upsert("docs", [Vector(name, ONES) for name in "abcd"])
    page = docs.list_vectors("docs", count=2)
    docs.insert("docs", [Vector("e", ONES)])
    docs.delete_by_ids("docs", ["c"])
    rest = docs.list_vectors("docs", count=2, cursor=page.next_cursor)
    assert (rest.ids, rest.total_count) == (("c", "d"), 4)
    assert docs.list_vectors("docs").ids == ("a", "b", "d", "e")


def test_a_page_has_1_to_1000_ids(docs, refused):
    docs.upsert("docs", [Vector(str(i), ONES) for i in range(1001)])
    assert len(docs.list_vectors("docs", count=1).ids) == 1
    assert len(docs.list_vectors("docs", count=1000).ids) == 1000
    for wrong in (0, 1001, -1, True, 1.5, "7"):
        with refused(None, "count must be in range: [1, 1000]"):
            docs.list_vectors("docs", count=wrong)


def test_cursors_expire(make, clock, refused):
    service = make(cursor_lifetime=60)
    service.create_index("docs", IndexConfig(32))
    service.upsert("docs", [Vector(name, ONES) for name in "abc"])
    page = service.list_vectors("docs", count=1)
    assert page.cursor_expires == datetime.fromtimestamp(clock.now + 60, UTC)
    clock.now += 59
    assert service.list_vectors("docs", count=1, cursor=page.next_cursor).ids == ("b",)
    clock.now += 1
    with refused(49999, "the cursor has expired"):
        service.list_vectors("docs", count=1, cursor=page.next_cursor)


def test_cursors_of_nobody_or_of_another_index_are_refused(docs, refused):
    docs.create_index("other", IndexConfig(32))
    docs.upsert("docs", [Vector(name, ONES) for name in "abc"])
    cursor = docs.list_vectors("docs", count=1).next_cursor
    for wrong in ("", "nobody", cursor.split("-")[0], cursor[:-1] + "x"):
        with refused(40052, "cursor appears to be corrupted"):
            docs.list_vectors("docs", cursor=wrong)
    with refused(40052, "cursor appears to be corrupted"):
        docs.list_vectors("other", cursor=cursor)
    docs.delete_index("docs")
    docs.create_index("docs", IndexConfig(32))
    with refused(40052, "cursor appears to be corrupted"):
        docs.list_vectors("docs", cursor=cursor)


def test_listings_under_way_are_bounded_in_number(docs, refused):
    docs.upsert("docs", [Vector(name, ONES) for name in "ab"])
    pages = [docs.list_vectors("docs", count=1) for _ in range(cursors.MAX_LISTINGS + 1)]
    with refused(40052, "cursor appears to be corrupted"):
        docs.list_vectors("docs", cursor=pages[0].next_cursor)
    for page in pages[1:]:
        assert docs.list_vectors("docs", cursor=page.next_cursor).ids == ("b",)


@pytest.mark.parametrize("changes", [0, 1, 9])
def test_many_queries_at_once_keep_no_other_call_waiting(docs, monkeypatch, changes):
    docs.upsert("docs", [angle(str(i), 7 * i) for i in range(30)])
    nearest, left, seen = exact_search.nearest_to_each, [changes], []

    def meanwhile(*given, **more):
        for at, (number, found) in enumerate(nearest(*given, **more)):
            if at == 1 and left[0]:
                left[0] -= 1
                beside = Thread(target=change)
                beside.start()
                # Only the third search is within a transaction, which the other call waits for.
                beside.join(30 if len(seen) < 2 else 0.1)
                assert len(seen) == 2 or not beside.is_alive()
                seen.append(beside)
            yield number, found

    def change():
        assert docs.get_by_ids("docs", ["0"])
        docs.upsert("docs", [angle(str(i), 7 * i + 1) for i in range(30)])

    monkeypatch.setattr(exact_search, "nearest_to_each", meanwhile)
    asked = [angle("", degrees).values for degrees in (0, 50, 123)]
    together = docs.query_many("docs", asked)
    for beside in seen:
        beside.join()
    assert [len(result.matches) for result in together] == [5, 5, 5]
    assert len(seen) == min(changes, 3)


def test_many_queries_at_once_answer_as_each_does(docs, refused):
    docs.create_metadata_index("docs", "n", "number")
    docs.upsert("docs", [angle(str(i), 7 * i, "space", {"n": i % 3}) for i in range(30)])
    docs.upsert("docs", [angle("3", 100, "space", {"n": 0})])
    asked = [angle("", degrees).values for degrees in (0, 50, 123)]
    for more in ({}, {"filter": {"n": {"$lt": 2}}}, {"namespace": "none"}, {"top_k": 20}):
        together = docs.query_many("docs", asked, return_metadata="indexed", **more)
        assert len(together) == 3
        for vector, result in zip(asked, together, strict=True):
            alone = docs.query("docs", vector=vector, return_metadata="indexed", **more)
            assert [(m.id, m.score, m.metadata) for m in result.matches] == [
                (m.id, m.score, m.metadata) for m in alone.matches
            ]
    assert docs.query_many("docs", []) == ()
    with refused(40006, "expected 32 dimensions"):
        docs.query_many("docs", [np.ones(32), np.ones(33)])
