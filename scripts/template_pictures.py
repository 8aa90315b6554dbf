"""Write the pictures and the classifier of the template "product catalogue", the same each time.

The pictures are drawn: mugs, shirts, lamps and books of many colours, sizes and places, on grounds of
many colours. The classifier is a small convolutional network, trained on 1,500 others.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

FOLDER = Path(__file__).resolve().parent.parent / "workbench" / "samples"
KINDS = ["book", "lamp", "mug", "shirt"]
SIZE = 32
COUNT = 500
NEW = 6
ROUNDS = 40

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]


def draw(kind: str, random: np.random.Generator) -> Image.Image:
    """Draw one product, at four times the size so that its edges come out smooth."""
    scale = 4
    ground: Colour = tuple(int(each) for each in random.integers(150, 256, 3))  # type: ignore[assignment]
    colour: Colour = tuple(int(each) for each in random.integers(0, 150, 3))  # type: ignore[assignment]
    picture = Image.new("RGB", (SIZE * scale, SIZE * scale), ground)
    pen = ImageDraw.Draw(picture)
    size = random.uniform(0.55, 0.9) * SIZE * scale
    left = random.uniform(0, SIZE * scale - size)
    top = random.uniform(0, SIZE * scale - size)

    def at(*places: float) -> list[float]:
        return [(left, top)[place % 2] + each * size for place, each in enumerate(places)]

    light: Colour = tuple(min(255, each + 70) for each in colour)  # type: ignore[assignment]
    if kind == "mug":
        pen.ellipse(at(0.55, 0.3, 1, 0.8), outline=colour, width=int(size * 0.09))
        pen.rectangle(at(0.1, 0.15, 0.75, 0.95), fill=colour)
        pen.ellipse(at(0.1, 0.05, 0.75, 0.25), fill=light)
    elif kind == "shirt":
        pen.polygon(
            at(
                0.3,
                0.1,
                0.7,
                0.1,
                1,
                0.35,
                0.85,
                0.5,
                0.75,
                0.42,
                0.75,
                0.95,
                0.25,
                0.95,
                0.25,
                0.42,
                0.15,
                0.5,
                0,
                0.35,
            ),
            fill=colour,
        )
        pen.ellipse(at(0.4, 0.02, 0.6, 0.2), fill=ground)
    elif kind == "lamp":
        pen.polygon(at(0.3, 0.05, 0.7, 0.05, 0.95, 0.5, 0.05, 0.5), fill=colour)
        pen.rectangle(at(0.46, 0.5, 0.54, 0.9), fill=light)
        pen.ellipse(at(0.25, 0.85, 0.75, 1), fill=light)
    else:
        pen.polygon(at(0.05, 0.2, 0.5, 0.3, 0.5, 0.95, 0.05, 0.85), fill=colour)
        pen.polygon(at(0.95, 0.2, 0.5, 0.3, 0.5, 0.95, 0.95, 0.85), fill=light)
        for line in (0.45, 0.58, 0.71):
            pen.line(at(0.58, line, 0.88, line - 0.06), fill=ground, width=int(size * 0.03))
    turned = picture.rotate(random.uniform(-12, 12), fillcolor=ground)
    return turned.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def encode(picture: Image.Image) -> bytes:
    """Write a picture as PNG, of few colours so that the file stays small."""
    found = io.BytesIO()
    picture.quantize(16).save(found, "PNG", optimize=True)
    return found.getvalue()


def read(data: bytes) -> np.ndarray:
    """Read a picture as the predictor does: channels first, from 0 to 1."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1) / 255


def make_pictures(random: np.random.Generator, count: int) -> pa.Table:
    """Draw a catalogue; `kind` is what a picture shows."""
    kinds = [KINDS[int(each)] for each in random.integers(0, len(KINDS), count)]
    names = [
        f"{['plain', 'small', 'large', 'classic', 'modern'][place % 5]} item {place}"
        for place in range(count)
    ]
    return pa.table(
        {
            "id": pa.array(range(1, count + 1)),
            "name": names,
            "price": np.round(random.uniform(4, 90, count), 2),
            "image": pa.array([encode(draw(kind, random)) for kind in kinds], pa.binary()),
            "kind": kinds,
        }
    )


def train(table: pa.Table) -> list[np.ndarray]:
    """Fit a network of two convolutions on all pictures of a table; return its weights."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    inputs = torch.tensor(np.stack([read(each) for each in table["image"].to_pylist()]))
    labels = torch.tensor([KINDS.index(each) for each in table["kind"].to_pylist()])
    network = nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 64, len(KINDS)),
    )
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.05)
    for _ in range(ROUNDS):
        for part in torch.randperm(len(labels)).split(64):
            shift = [int(each) for each in torch.randint(-3, 4, (2,))]
            moved = torch.roll(inputs[part], shift, (2, 3))
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(moved), labels[part]).backward()
            optimizer.step()
    return [each.detach().numpy() for each in network.parameters()]


def write_onnx(weights: list[np.ndarray], path: Path) -> None:
    """Write the network as ONNX, with its classes in the metadata."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Conv", ["image", "w0", "w1"], ["a"], strides=[2, 2], pads=[2] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2", "w3"], ["c"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w4", "w5"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "catalogue",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["rows", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", len(KINDS)])],
        [numpy_helper.from_array(each, f"w{place}") for place, each in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": json.dumps(KINDS)})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Draw, train and write; say how often the classifier is right on pictures it has not seen."""
    import onnxruntime

    table = make_pictures(np.random.default_rng(7), COUNT)
    weights = train(make_pictures(np.random.default_rng(8), 1500))
    for part, name in (
        (table.slice(0, COUNT - NEW), "product_catalogue"),
        (table.slice(COUNT - NEW), "new_products"),
    ):
        pq.write_table(part, FOLDER / f"{name}.parquet", compression="zstd")
    model = FOLDER / "product_catalogue.onnx"
    write_onnx(weights, model)
    session = onnxruntime.InferenceSession(str(model))
    inputs = np.stack([read(each) for each in table["image"].to_pylist()])
    found = session.run(None, {"image": inputs})[0].argmax(axis=1)
    right = np.mean(
        [KINDS[each] == kind for each, kind in zip(found, table["kind"].to_pylist(), strict=True)]
    )
    sizes = {path.name: path.stat().st_size for path in (FOLDER / "product_catalogue.parquet", model)}
    print(f"right on {right:.1%} of {COUNT} pictures", sizes)


if __name__ == "__main__":
    main()
