"""Order, upstream, downstream, and triggers: plain functions over plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from workbench.errors import NotFound, Unsupported, WorkbenchError
from workbench.schedule import check_trigger, downstream, in_order, upstream


@dataclass(frozen=True)
class Made:
    """A derivation that only knows what it reads and writes."""

    name: str
    inputs: tuple[str, ...]
    kind: str = "transform"
    version: int = 1
    trigger: str = "on write"
    fingerprint: str = ""

    @property
    def output(self) -> str:
        return f"features.{self.name}"

    def plan(self, lake: Any, *, full: bool = False) -> Any:
        raise AssertionError("order does not depend on plans")

    refresh = plan


A = Made("a", ("main.t",))
B = Made("b", ("features.a", "main.u"))
C = Made("c", ("features.b", "features.a"))
D = Made("d", ("main.u",))
MODEL = Made("m", ("features.b",), kind="model")
ALL = [C, D, B, MODEL, A]


def test_each_stands_after_what_it_reads() -> None:
    names = [each.name for each in in_order(ALL)]
    assert names.index("a") < names.index("b") < names.index("c")
    assert names.index("b") < names.index("m") and len(names) == 5


def test_a_circle_is_named() -> None:
    with pytest.raises(WorkbenchError, match="circle: x, y"):
        in_order([A, Made("x", ("features.y",)), Made("y", ("features.x",))])


def test_upstream_leaves_models_out() -> None:
    assert upstream(ALL, "c") == {"a", "b", "c"}
    assert upstream([*ALL, Made("p", ("features.m", "features.d"))], "p") == {"p", "d"}


def test_downstream_goes_all_the_way() -> None:
    assert downstream(ALL, ["main.u"]) == {"b", "c", "d", "m"}
    assert downstream(ALL, ["main.nothing"]) == set()


@pytest.mark.parametrize("text", ["drift(psi) > 0.2", "metric(auc) < 0.8"])
def test_triggers_that_are_not_there_yet_say_so(text: str) -> None:
    with pytest.raises(Unsupported, match="not there yet"):
        check_trigger(text)


def test_an_unknown_trigger_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        check_trigger("on wirte")
    assert caught.value.nearest == ("on write",)
