"""A model in ONNX form from a folder; a tiny one, which the test makes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from antiphon.config import EmbeddingModelConfig, KnowledgeConfig
from antiphon.errors import InvalidRequest
from antiphon.knowledge.arrays import numpy
from antiphon.knowledge.embedding.embedders import Embedders
from antiphon.knowledge.embedding.local import OnnxModel, prefixes_of
from antiphon.upstream.routing import Router

pytestmark = pytest.mark.anyio

WORDS = ["[PAD]", "[UNK]", "bees", "make", "honey", "ships", "sail", "search", "document", "query", "_", ":"]
SIZE = 6


def make(folder: Path, *, pooled: bool = False) -> Any:
    """A table of word vectors as a network, in the layout that models are published in; the table."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    tokenizers = pytest.importorskip("tokenizers")
    np = numpy()
    table = np.random.default_rng(3).normal(size=(len(WORDS), SIZE)).astype("f4")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])]
    outputs = [helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, ["b", "t", SIZE])]
    if pooled:
        nodes.append(helper.make_node("ReduceMax", ["last_hidden_state", "axes"], ["sentence"], keepdims=0))
        outputs.append(helper.make_tensor_value_info("sentence", kinds.FLOAT, ["b", SIZE]))
    inputs = [helper.make_tensor_value_info(name, kinds.INT64, ["b", "t"]) for name in ("input_ids", "attention_mask")]
    constants = [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(np.array([1]), "axes")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "onnx").mkdir(parents=True)
    onnx.save(model, str(folder / "onnx" / "model.onnx"))
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    return table


def mean(table: Any, *words: str) -> Any:
    """The direction of the mean of these words' vectors."""
    np = numpy()
    row = np.mean([table[WORDS.index(word)] for word in words], axis=0)
    return row / np.linalg.norm(row)


def test_tokens_are_averaged_without_the_padding(tmp_path: Path) -> None:
    """Texts of other lengths beside it, and what is too long, change nothing."""
    np = numpy()
    table = make(tmp_path)
    model = OnnxModel(tmp_path, max_tokens=3)
    rows = model.embed(["bees", "bees make honey ships", "ships sail"])
    assert np.allclose(rows[0], mean(table, "bees"), atol=1e-6)
    assert np.allclose(rows[1], mean(table, "bees", "make", "honey"), atol=1e-6)
    assert np.allclose(rows[2], mean(table, "ships", "sail"), atol=1e-6)
    short = OnnxModel(tmp_path, max_tokens=3, dimensions=2).embed(["bees"])
    assert short.shape == (1, 2)
    assert np.allclose(np.linalg.norm(short), 1)


def test_a_network_that_pools_by_itself(tmp_path: Path) -> None:
    """Its own vector of a text is taken."""
    np = numpy()
    table = make(tmp_path, pooled=True)
    row = OnnxModel(tmp_path, max_tokens=8).embed(["bees honey"])[0]
    most = np.maximum(table[WORDS.index("bees")], table[WORDS.index("honey")])
    assert np.allclose(row, most / np.linalg.norm(most), atol=1e-6)


async def test_by_configuration(tmp_path: Path) -> None:
    """A model of a folder, by its name, with what its makers say goes before texts."""
    table = make(tmp_path)
    config = KnowledgeConfig(models={"nomic-embed-text-v1.5": EmbeddingModelConfig(path=str(tmp_path))})
    embedders = Embedders(config, Router({}, None, None))
    one = await embedders.check("nomic-embed-text-v1.5")
    (document,) = await one.documents(["bees"])
    question = await one.query("bees")
    assert one.dimensions == SIZE
    # The tiny vocabulary has no "search_document" in one piece.
    assert struct.unpack(f"<{SIZE}f", document) == pytest.approx(tuple(mean(table, "[UNK]", ":", "bees")), abs=1e-6)
    assert len(question) == len(document)
    await embedders.aclose()


@pytest.mark.parametrize(
    ("model", "document", "query"),
    [
        ("nomic-embed-text-v1.5", "search_document: ", "search_query: "),
        ("intfloat/multilingual-e5-small", "passage: ", "query: "),
        ("my-model", "", ""),
    ],
)
def test_prefixes(model: str, document: str, query: str) -> None:
    """By words of the name."""
    assert prefixes_of(model) == (document, query)


@pytest.mark.parametrize("missing", ["onnx/model.onnx", "tokenizer.json"])
async def test_a_folder_that_lacks_something(tmp_path: Path, missing: str) -> None:
    """The error names the model, the file and the folder."""
    make(tmp_path)
    (tmp_path / missing).unlink()
    config = KnowledgeConfig(models={"mine": EmbeddingModelConfig(path=str(tmp_path))})
    embedders = Embedders(config, Router({}, None, None))
    with pytest.raises(InvalidRequest, match=f"'mine' cannot be loaded.*{Path(missing).name}") as caught:
        await embedders.named("mine").query("x")
    assert str(tmp_path) in caught.value.message
    await embedders.aclose()


async def test_a_broken_file(tmp_path: Path) -> None:
    """What the library says of it stands in the error."""
    make(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"no": "tokenizer"}))
    config = KnowledgeConfig(models={"mine": EmbeddingModelConfig(path=str(tmp_path))})
    embedders = Embedders(config, Router({}, None, None))
    with pytest.raises(InvalidRequest, match="cannot be read"):
        await embedders.named("mine").documents(["x"])
    await embedders.aclose()
