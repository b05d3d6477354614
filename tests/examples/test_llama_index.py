"""The examples for LlamaIndex run, and show what they are there to show."""

from __future__ import annotations

import pytest

from examples import (
    llama_index_auto_retrieval,
    llama_index_memory,
    llama_index_rag,
    llama_index_upserts,
)


def test_ingestion_with_upserts_writes_what_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    llama_index_upserts.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-3] for line in lines[:3]] == ["3", "0", "2"]
    assert [line.split(":")[0] for line in lines[3:]] == ["1790.txt", "1862.txt", "1941.txt"]
    assert lines[4].endswith("the last best hope of earth.")


def test_a_query_engine_with_filters_answers(capsys: pytest.CaptureFixture[str]) -> None:
    llama_index_rag.main()
    said = capsys.readouterr().out
    assert f"Q: {llama_index_rag.QUESTION}" in said
    assert "ships" in said.split("A: ")[1]


async def test_a_chat_memory_keeps_people_apart(capsys: pytest.CaptureFixture[str]) -> None:
    await llama_index_memory.main()
    said = capsys.readouterr().out.splitlines()
    assert ["Plato" in said[1], "Hegel" in said[3]] == [True, True]
    assert "Hegel" not in said[1]


def test_filters_come_out_of_questions(capsys: pytest.CaptureFixture[str]) -> None:
    llama_index_auto_retrieval.main()
    years = [line.split(":")[0].strip() for line in capsys.readouterr().out.splitlines()[1::2]]
    assert years == ["1941", "1790", "1941"]
