"""Steps that multiply numbers. They fit nothing."""

from __future__ import annotations

from workbench.transform.steps.step import State, Step, double, positive


class Polynomial(Step):
    """`polynomial(x, degree)`: the powers x, x², … up to the degree, as a DOUBLE[].

    As scikit-learn's PolynomialFeatures(include_bias=False) on one column; products of two columns
    are `interact`. NULL gives a list of NULLs.

    Examples
    --------
    >>> Polynomial().apply(("x",  "2"), {})
    '[CAST(x AS DOUBLE), CAST(x AS DOUBLE) * CAST(x AS DOUBLE)]'
    """

    name = "polynomial"
    signature = "polynomial(x, degree)"
    least = most = 2

    def check(self, arguments: tuple[str, ...]) -> None:
        """Raise StatementError unless there are a column and a degree."""
        super().check(arguments)
        positive(self, arguments[1], "degree")

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the list of powers."""
        value, degree = double(arguments[0]), positive(self, arguments[1], "degree")
        return f"[{', '.join(' * '.join([value] * power) for power in range(1, degree + 1))}]"


class Interact(Step):
    """`interact(a, b)`: the product of two numbers, a DOUBLE; NULL where one is.

    Examples
    --------
    >>> Interact().apply(("a", "b"), {})
    '(CAST(a AS DOUBLE) * CAST(b AS DOUBLE))'
    """

    name = "interact"
    signature = "interact(a, b)"
    data = 2
    least = most = 2

    def apply(self, arguments: tuple[str, ...], state: State) -> str:
        """Return the product."""
        return f"({double(arguments[0])} * {double(arguments[1])})"
