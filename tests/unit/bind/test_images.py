"""Pictures that cannot be read."""

from __future__ import annotations

import pyarrow as pa
import pytest
from model_kinds import png

from workbench.bind.predictors.onnx_input import Feed
from workbench.errors import ModelError


@pytest.mark.parametrize(
    ("data", "said"), [(b"no image", "cannot be read: it is none"), (png(9)[:-30], "cannot be read: ")]
)
def test_a_picture_that_cannot_be_read_is_said_to_be_so(data: bytes, said: str) -> None:
    feed = Feed("pixels", "image", "float32", (3, 8, 8), 0, ("image",))
    rows = pa.record_batch({"image": pa.array([png(9), data], pa.binary())})
    with pytest.raises(ModelError, match=said) as caught:
        feed.read(rows, "it")
    assert "0x" not in str(caught.value) and caught.value.__cause__ is None
