"""all-MiniLM-L6-v2 in plain numpy: a BERT of six layers, its last one averaged and brought to length 1.

Texts of all lengths are computed together: what is done to each token alone runs over the tokens of all of them, and
only attention goes text by text. A text longer than the model reads is cut into even windows, and has the direction of
their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from antiphon.knowledge.embedding.minilm.wordpiece import WordPieces

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

DIMENSIONS = 384
#: Word pieces of one window, [CLS] and [SEP] included: the length the model was trained with. It can read more, but
#: finds less that way, and takes longer.
WINDOW = 128

_LAYERS = 6
_HEADS = 12
_EPSILON = 1e-12
#: Tokens that are computed together: few enough that they stay in the cache of a core.
_TOGETHER = 1024
_CLS, _SEP = 101, 102


class MiniLM:
    """The model, loaded. Not for two threads at once."""

    def __init__(self, arrays: Mapping[str, Array], vocabulary: Sequence[str]) -> None:
        """``arrays`` as ``weights.load`` gives them."""
        self._pieces = WordPieces(vocabulary)
        self._words, self._word_scale = arrays["words"], arrays["words.scale"]
        self._positions = arrays["positions"]
        self._norm = arrays["norm.weight"], arrays["norm.bias"]
        self._layers = [
            {key.removeprefix(f"{n}."): array for key, array in arrays.items() if key.startswith(f"{n}.")}
            for n in range(_LAYERS)
        ]

    def embed(self, texts: Sequence[str]) -> Array:
        """One vector of length 1 for each text."""
        import numpy as np

        windows, owners = [], []
        for n, text in enumerate(texts):
            for window in _windows(self._pieces(text)):
                windows.append(window)
                owners.append(n)
        found = np.zeros((len(texts), DIMENSIONS), np.float32)
        order = sorted(range(len(windows)), key=lambda n: len(windows[n]))
        batch: list[int] = []
        size = 0
        for n in order:
            if batch and size + len(windows[n]) > _TOGETHER:
                self._add(found, windows, owners, batch)
                batch, size = [], 0
            batch.append(n)
            size += len(windows[n])
        if batch:
            self._add(found, windows, owners, batch)
        return _unit(found)

    def _add(self, found: Array, windows: Sequence[list[int]], owners: Sequence[int], batch: Sequence[int]) -> None:
        vectors = self._forward([windows[n] for n in batch])
        for n, vector in zip(batch, vectors, strict=True):
            found[owners[n]] += vector * len(windows[n])

    def _forward(self, windows: Sequence[list[int]]) -> Array:
        import numpy as np

        lengths = [len(window) for window in windows]
        starts = np.cumsum([0, *lengths[:-1]])
        ids = np.concatenate([np.asarray(window) for window in windows])
        places = np.concatenate([np.arange(length) for length in lengths])
        state = self._words[ids].astype(np.float32) * self._word_scale[ids] + self._positions[places]
        state = _normal(state, *self._norm)
        for layer in self._layers:
            mixed = self._attend(state @ layer["qkv"] + layer["qkv.bias"], lengths)
            state = _normal(
                mixed @ layer["out"] + layer["out.bias"] + state, layer["norm1.weight"], layer["norm1.bias"]
            )
            wide = _gelu(state @ layer["up"] + layer["up.bias"])
            state = _normal(
                wide @ layer["down"] + layer["down.bias"] + state, layer["norm2.weight"], layer["norm2.bias"]
            )
        means = np.add.reduceat(state, starts, axis=0) / np.asarray(lengths, np.float32)[:, None]
        return _unit(means)

    def _attend(self, mixed: Array, lengths: Sequence[int]) -> Array:
        import numpy as np

        result = np.empty((len(mixed), DIMENSIONS), np.float32)
        at = 0
        size = DIMENSIONS // _HEADS
        for count, length in _runs(lengths):
            end = at + count * length
            # (3, texts, heads, tokens, size)
            parts = mixed[at:end].reshape(count, length, 3, _HEADS, size).transpose(2, 0, 3, 1, 4)
            query, key, value = (np.ascontiguousarray(part) for part in parts)
            scores = query @ key.transpose(0, 1, 3, 2)
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            result[at:end] = (scores @ value).transpose(0, 2, 1, 3).reshape(count * length, DIMENSIONS)
            at = end
        return result


def _windows(pieces: list[int]) -> list[list[int]]:
    """Even windows, as few as can be."""
    most = WINDOW - 2
    count = max(1, -(-len(pieces) // most))
    cuts = [round(len(pieces) * n / count) for n in range(count + 1)]
    return [[_CLS, *pieces[a:b], _SEP] for a, b in pairwise(cuts)]


def _runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """How often each length comes in a row."""
    runs: list[tuple[int, int]] = []
    for length in lengths:
        if runs and runs[-1][1] == length:
            runs[-1] = (runs[-1][0] + 1, length)
        else:
            runs.append((1, length))
    return runs


def _normal(state: Array, weight: Array, bias: Array) -> Array:
    import numpy as np

    state -= state.mean(axis=-1, keepdims=True)
    spread = np.einsum("ij,ij->i", state, state) / state.shape[1]
    state *= (1 / np.sqrt(spread + _EPSILON))[:, None]
    state *= weight
    state += bias
    return state


def _gelu(x: Array) -> Array:
    """The curve by its tanh form, which differs from the exact one by less than the 8 bits of the weights."""
    import numpy as np

    inner = x * x
    inner *= np.float32(0.044715 * 0.7978845608)
    inner += np.float32(0.7978845608)
    inner *= x
    np.tanh(inner, out=inner)
    inner += 1
    inner *= x
    inner *= np.float32(0.5)
    return inner


def _unit(vectors: Array) -> Array:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths == 0, np.float32(1), lengths)
