"""A model in ONNX form from a folder on this machine (the extra ``onnx``).

The folder is what a model is published as: ``tokenizer.json``, and ``model.onnx`` there or below ``onnx/``. What the
network gives is either one vector for a text, or one for a token, which are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antiphon.knowledge.arrays import numpy

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: What the makers of a model say goes before a document and before a question, by words of the model's name.
PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("nomic-embed", "search_document: ", "search_query: "),
    ("e5-", "passage: ", "query: "),
    ("bge-", "", "Represent this sentence for searching relevant passages: "),
    ("arctic-embed", "", "Represent this sentence for searching relevant passages: "),
)

_FILES = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/model_int8.onnx", "model_quantized.onnx")
#: Texts that are computed together.
_TOGETHER = 8


class CannotLoad(Exception):
    """The model cannot be used; the message says what is missing and where to get it."""


class OnnxModel:
    """A loaded network. Raises ``CannotLoad``."""

    def __init__(self, folder: Path, *, max_tokens: int, dimensions: int = 0, threads: int = 1) -> None:
        """``dimensions``: so many of the first numbers are kept, for models that are made for it; 0 is all."""
        try:
            import onnxruntime  # type: ignore[import-untyped]
            from tokenizers import Tokenizer
        except ImportError as missing:
            raise CannotLoad(f"'{missing.name}' is not installed: pip install 'antiphon[onnx]'") from missing
        network = next((folder / name for name in _FILES if (folder / name).is_file()), None)
        words = folder / "tokenizer.json"
        if network is None or not words.is_file():
            missing_file = "tokenizer.json" if network is not None else "model.onnx"
            raise CannotLoad(f"there is no {missing_file} in {folder}")
        try:
            self._tokenizer = Tokenizer.from_file(str(words))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
        except Exception as wrong:
            # Both libraries raise plain exceptions of their own for a file that they cannot read.
            raise CannotLoad(f"{network} or {words} cannot be read: {wrong}") from wrong
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.enable_padding()
        self._inputs = {one.name for one in self._session.get_inputs()}
        self._dimensions = dimensions

    def embed(self, texts: Sequence[str]) -> Array:
        """A row of length 1 for each text."""
        np = numpy()
        # Texts of one length together: what pads the others is computed for nothing.
        order = sorted(range(len(texts)), key=lambda n: len(texts[n]))
        rows: list[Any] = [None] * len(texts)
        for at in range(0, len(order), _TOGETHER):
            now = order[at : at + _TOGETHER]
            for n, row in zip(now, self._run([texts[n] for n in now]), strict=True):
                rows[n] = row
        return np.stack(rows)  # type: ignore[no-any-return]

    def _run(self, texts: list[str]) -> Array:
        np = numpy()
        encoded = self._tokenizer.encode_batch(texts)
        given = {
            "input_ids": np.asarray([one.ids for one in encoded], np.int64),
            "attention_mask": np.asarray([one.attention_mask for one in encoded], np.int64),
            "token_type_ids": np.asarray([one.type_ids for one in encoded], np.int64),
        }
        outputs = self._session.run(None, {name: value for name, value in given.items() if name in self._inputs})
        vectors = next((out for out in outputs if out.ndim == 2), None)
        if vectors is None:
            mask = given["attention_mask"][:, :, None].astype(np.float32)
            vectors = (outputs[0] * mask).sum(axis=1) / mask.sum(axis=1)
        vectors = np.asarray(vectors, np.float32)
        if self._dimensions:
            vectors = vectors[:, : self._dimensions]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)  # type: ignore[no-any-return]


def prefixes_of(model: str) -> tuple[str, str]:
    """What goes before a document and before a question."""
    name = model.lower()
    return next(((document, query) for word, document, query in PREFIXES if word in name), ("", ""))
