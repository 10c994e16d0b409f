"""The model that comes along: that it is the published one, near enough, and that it is light."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.embedding import minilm
from antiphon.knowledge.embedding.minilm import weights
from antiphon.knowledge.embedding.minilm.model import WINDOW, MiniLM
from antiphon.knowledge.embedding.minilm.wordpiece import WordPieces

VOCABULARY = Path(minilm.__file__).with_name("vocabulary.txt")

#: Of the published ``vocab.txt``.
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


@pytest.fixture(scope="module")
def model() -> MiniLM:
    """Loaded once."""
    numpy()
    return minilm.load()


def test_the_vocabulary_is_the_published_one() -> None:
    """To the byte."""
    assert hashlib.sha256(VOCABULARY.read_bytes()).hexdigest() == VOCABULARY_SHA256


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """One changed bit is another model, whoever sends it."""
    content = bytearray(weights.path().read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(weights.Missing, match="SHA-256"):
        weights.load(tmp_path / "model.onnx")


def test_the_published_example(model: MiniLM) -> None:
    """The three sentences of the model's documentation are as near to each other as is said there."""
    vectors = model.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    near = vectors @ vectors.T
    assert near[0, 1] == pytest.approx(0.666, abs=0.01)
    assert near[0, 2] == pytest.approx(0.105, abs=0.01)
    assert near[1, 2] == pytest.approx(0.141, abs=0.01)


def test_company_does_not_matter(model: MiniLM) -> None:
    """A text's vector is the same alone and among others, of whatever lengths; and every one has length 1."""
    np = numpy()
    texts = ["", "short", "a little longer than that", "word " * 90, "long " * 700, "漢字 🙂", "short"]
    together = model.embed(texts)
    alone = np.concatenate([model.embed([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    assert np.array_equal(together[1], together[6])


def test_all_of_a_long_text_counts(model: MiniLM) -> None:
    """What stands behind the first window moves the vector."""
    long = "The committee met. " * WINDOW
    one, other = model.embed([long + "Bees make honey. " * 60, long + "The ship sank. " * 60])
    assert float(one @ other) < 0.995


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Embeddings, naïve!", "em ##bed ##ding ##s , naive !"),
        ("don't  stop\tnow\n", "don ' t stop now"),
        ("漢字かな", "漢 [UNK] か ##な"),
        ("x" * 101, "[UNK]"),
        ("a\u200bb\0c", "abc"),
        ("", ""),
    ],
)
def test_word_pieces(text: str, pieces: str) -> None:
    """As the published tokenizer cuts them."""
    vocabulary = VOCABULARY.read_text(encoding="utf-8").splitlines()
    assert [vocabulary[n] for n in WordPieces(vocabulary)(text)] == pieces.split()


_COLD = """
import sys
import antiphon.knowledge.embedding.embedders, antiphon.knowledge.index.choice, antiphon.knowledge.index.memory
import antiphon.knowledge.chunking, antiphon.knowledge.embedding.local, antiphon.knowledge.embedding.minilm.model
print([name for name in ("numpy", "tokenizers", "onnxruntime", "tiktoken") if name in sys.modules])
"""


def test_nothing_heavy_before_the_first_use() -> None:
    """Importing all of it loads no array library and no tokenizer."""
    done = subprocess.run([sys.executable, "-c", _COLD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
