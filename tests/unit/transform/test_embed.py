"""`embed(text)`: in a store, in a model, in scikit-learn, and what is said when it cannot be computed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.engines import encoder
from workbench.engines.embedding import DEFAULT, find_embedding
from workbench.errors import InvalidData, ModelError, NotFound, Unsupported
from workbench.store import Store
from workbench.transform.steps import STEPS
from workbench.transforms import Embed

NOTES = [
    "the parcel never arrived",
    "I was charged twice for one order",
    "where is my delivery?",
    "how do I get an invoice?",
]
VECTORS = "SELECT id, text, embed(text) AS embedding FROM notes"


@pytest.fixture
def notes(store: Store) -> Store:
    store.load("notes", pa.table({"id": range(len(NOTES)), "text": NOTES}), key="id")
    return store


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few numbers with random weights, in a folder."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    target = tmp_path_factory.mktemp("small")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *{word for note in NOTES for word in note.split()}]
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(target)
    (target / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(target / "vocab.txt")).save_pretrained(target)
    return target


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are embedded, noted on their way."""
    found: list[str] = []
    real = encoder.Encoder.vectors

    def noted(self: encoder.Encoder, texts: list[str]) -> np.ndarray:
        found.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(encoder.Encoder, "vectors", noted)
    return found


def test_only_what_changed_is_embedded_again(notes: Store, asked: list[str]) -> None:
    notes.transform("vectors", VECTORS, key="id", when="on write")
    assert sorted(asked) == sorted(NOTES)
    asked.clear()
    notes.sql("INSERT INTO notes VALUES (10, 'a new one'), (11, NULL)")
    notes.sql("UPDATE notes SET text = 'changed' WHERE id = 1")
    notes.sql("DELETE FROM notes WHERE id = 0")
    assert sorted(asked) == ["a new one", "changed"]
    lengths = notes.sql("SELECT id, len(embedding) AS n FROM vectors ORDER BY id").rows()
    assert [(row["id"], row["n"]) for row in lengths] == [(1, 384), (2, 384), (3, 384), (10, 384), (11, None)]


def test_a_search_by_meaning_is_plain_sql(notes: Store, asked: list[str]) -> None:
    notes.transform("vectors", VECTORS, key="id")
    asked.clear()
    order = "list_cosine_similarity(embedding, embed('my package is late'))"
    found = notes.sql(f"SELECT text FROM vectors ORDER BY {order} DESC").rows()
    assert {found[0]["text"], found[1]["text"]} == {NOTES[0], NOTES[2]}
    assert asked == ["my package is late"]


def test_the_model_is_kept_and_told(notes: Store) -> None:
    notes.transform("vectors", VECTORS, key="id")
    rows = notes.sql("SELECT statistic, number, text FROM mlstore.fitted WHERE name = 'vectors'").rows()
    state = {row["statistic"]: row["text"] or row["number"] for row in rows}
    assert state == {"model": DEFAULT, "digest": find_embedding(DEFAULT).digest, "dimension": 384}
    told = notes.describe("vectors").tables["Fitted"].rows()
    assert {row["statistic"]: row["text"] or row["number"] for row in told} == state
    assert STEPS["embed"].describe(state) == f"{DEFAULT} ({state['digest']}), 384 numbers"


def test_plain_duckdb_reads_the_vectors(notes: Store) -> None:
    notes.transform("vectors", VECTORS, key="id")
    kept = notes.sql("SELECT embedding FROM vectors ORDER BY id").to_arrow()["embedding"].to_pylist()
    folder = notes.folder
    notes.close()
    from workbench.engines.duckdb import REQUIRED_EXTENSIONS, load_extension

    data = f"DATA_PATH '{folder}/data', OVERRIDE_DATA_PATH true"
    with duckdb.connect() as plain:
        for name in REQUIRED_EXTENSIONS:
            load_extension(plain, name)
        plain.execute(f"ATTACH 'ducklake:sqlite:{folder}/catalog.sqlite' AS s ({data})")
        found = plain.execute("SELECT embedding FROM s.features.vectors ORDER BY id").fetchall()
    assert [row[0] for row in found] == kept


def test_a_model_on_embeddings_predicts_raw_rows_in_plain_mlflow(notes: Store, small: Path) -> None:
    texts = [f"{NOTES[n % 4]} {'please' if n % 3 else 'now'}" for n in range(80)]
    late = [n % 2 == 0 for n in range(80)]
    notes.load("mails", pa.table({"id": range(80), "text": texts, "late": late}), key="id")
    query = f"SELECT id, late, embed(text, '{small}') AS vector FROM mails"
    model = notes.train("late", query, label="late", key="id", model="logistic")
    assert model.raw_inputs == ("text",)
    predicted = notes.predict("late", pa.table({"text": NOTES}))["value"].to_pylist()
    import mlflow

    portable = mlflow.pyfunc.load_model(str(notes.folder / model.model_uri))
    assert list(portable.predict(pd.DataFrame({"text": NOTES}))) == predicted
    assert (notes.folder / model.model_uri / "code" / "mlstore_encoder.py").exists()
    requirements = (notes.folder / model.model_uri / "requirements.txt").read_text()
    assert "sentence-transformers==" in requirements


def test_other_weights_are_refused_until_it_is_refitted(notes: Store, small: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(small, model)
    notes.transform("vectors", f"SELECT id, embed(text, '{model}') AS v FROM notes", key="id")
    (model / "added.json").write_text("{}")
    notes.sql("INSERT INTO notes VALUES (10, 'a new one')")
    with pytest.raises(ModelError, match=r"changed since embed\(\) was fitted"):
        notes.refresh("vectors")
    notes.refit("vectors")
    assert notes.sql("SELECT count(v) AS n FROM vectors").rows() == [{"n": 5}]


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        ("no-such-package", NotFound, "no-such-package' is not installed"),
        ("package:duckdb", NotFound, "carries no model"),
        ("hf:org/name@main", InvalidData, "names no commit"),
        ("hf:org/name", InvalidData, "names no commit"),
        (f"hf:org/name@{'a' * 40}", NotFound, "hf download org/name --revision aaaa"),
    ],
)
def test_a_model_that_is_not_there(notes: Store, model: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        notes.sql(f"SELECT embed(text, '{model}') FROM notes")
    assert said in str(caught.value)


def test_without_the_library_it_says_how_to_get_it(notes: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder.load.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(Unsupported) as caught:
        notes.sql("SELECT embed(text) FROM notes")
    assert "pip install 'mlstore[text]'" in str(caught.value)


def test_the_transformer_gives_what_sql_gives(notes: Store, small: Path) -> None:
    wanted = (
        notes.sql(f"SELECT embed(text, '{small}') AS v FROM notes ORDER BY id").to_arrow()["v"].to_pylist()
    )
    fitted = Embed(str(small)).fit(pa.table({"text": NOTES}))
    assert fitted.get_feature_names_out().tolist() == [f"text_{place}" for place in range(8)]
    frame = fitted.transform(pd.DataFrame({"text": NOTES}))
    assert frame.to_numpy() == pytest.approx(np.array(wanted), abs=1e-5)
    taken = Embed(str(small))
    notes.transform("vectors", f"SELECT id, embed(text, '{small}') AS v FROM notes", key="id")
    assert taken.from_store(notes, "vectors", "text").states_ == fitted.states_
