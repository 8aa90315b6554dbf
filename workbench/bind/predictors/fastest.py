"""The fastest way to ask a model that agrees with its library's own prediction.

A model can be asked by its library's plain call, by a way that skips the library's copies of the
rows ("native"), or as ONNX. Which is fastest depends on the model and the machine, and a converted
model can differ. So they are tried on some rows, and one that disagrees is out, however fast it is.
XGBoost's own code is always faster than its trees as ONNX, so these are not tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from workbench.train.registry import Fitted

    Matrix = npt.NDArray[np.float32]
    Ask = Callable[[Matrix], npt.NDArray[np.float64]]

REFERENCE = "library"
NATIVE = "native"
ONNX = "onnx"

SAMPLE_ROWS = 2_000
LEAST_ROWS = 50_000
"""Below so many rows a trial, or to convert a model, costs more than it can save."""

FEW_ROWS = 100
"""What agrees on fewer rows than these says little."""

TOLERANCE = 1e-5
"""How far an answer may be from the library's: a probability, or a value in standard deviations."""

MARGIN = 1.2
"""By how much the native way must be beaten: below that it is noise."""

_TIMES = 3
_BUDGET = 1.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One way, tried: its seconds for the sample, and how far it is from the library's answer.

    `difference` is None where it could not be tried, for the reason in `note`.
    """

    engine: str
    seconds: float
    difference: float | None
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether its answers are those of the library."""
        return self.difference is not None and self.difference <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Choice:
    """The way that was chosen, and what was tried on how many rows."""

    engine: str
    rows: int
    trials: tuple[Trial, ...]

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values, for the details of a run and the record of a binding."""
        return {"engine": self.engine, "engine_rows": self.rows, "engine_trials": self.describe()}

    def describe(self) -> str:
        """Say what was chosen, and by how much the others are slower or wrong.

        Examples
        --------
        >>> trials = (Trial("library", 0.02, 0.0), Trial("native", 0.01, 0.0), Trial("onnx", 0.004, 0.3))
        >>> Choice("native", 2000, trials).describe()
        'native, 2.0× the library on 2,000 rows, with the same answers; onnx differs by 0.3'
        """
        by_name = {each.engine: each for each in self.trials}
        chosen = by_name[self.engine]
        gain = by_name[REFERENCE].seconds / max(chosen.seconds, 1e-9)
        away = f"at most {chosen.difference:.1g} from it" if chosen.difference else "with the same answers"
        said = [f"{self.engine}, {gain:.1f}× the library on {self.rows:,} rows, {away}"]
        for each in self.trials:
            if each.note:
                said.append(f"{each.engine} {each.note}")
            elif not each.agrees:
                far = each.difference == float("inf")
                how = "gives other answers" if far else f"differs by {each.difference:.1g}"
                said.append(f"{each.engine} {how}")
            elif each.engine not in (self.engine, REFERENCE):
                said.append(f"{each.engine} {by_name[REFERENCE].seconds / max(each.seconds, 1e-9):.1f}×")
        return "; ".join(said)


def choose(candidates: Mapping[str, Callable[[], Ask]], matrix: Matrix) -> Choice:
    """Try ways to ask a model on some rows, and choose the fastest that agrees with the library.

    Parameters
    ----------
    candidates : mapping of str to callable
        For each way what makes it ready; the library's is among them, and the first. What has to be
        converted is left out when a second was spent, and for few rows.
    matrix : array of float32 (rows × features)
    """
    started = time.perf_counter()
    wanted = candidates[REFERENCE]()(matrix)
    # Where there is no other way, the native one is taken if it agrees, however long it takes.
    times = _TIMES if candidates.keys() - {REFERENCE, NATIVE} else 1
    trials = []
    for name, make in candidates.items():
        if name not in (REFERENCE, NATIVE):
            left_out = _left_out(len(matrix), time.perf_counter() - started)
            if left_out:
                trials.append(Trial(name, 0.0, None, f"was not tried: {left_out}"))
                continue
        try:
            ask = make()
            seconds, answered = _timed(ask, matrix, times)
            trials.append(Trial(name, seconds, _difference(answered, wanted)))
        except Exception as error:  # noqa: BLE001 (converters raise anything for what they do not know)
            trials.append(Trial(name, 0.0, None, f"cannot be used ({type(error).__name__})"))
    return Choice(_best(trials), len(matrix), tuple(trials))


def _left_out(rows: int, seconds: float) -> str:
    """Say why a way for which the model has to be converted is not tried."""
    if rows < SAMPLE_ROWS:
        return "there are few rows"
    return "no time was left" if seconds > _BUDGET else ""


def _best(trials: list[Trial]) -> str:
    agreeing = {each.engine: each.seconds for each in trials if each.agrees}
    usual = NATIVE if NATIVE in agreeing else REFERENCE
    if usual == NATIVE:
        # For many estimators it is the library's own call: the difference is noise.
        del agreeing[REFERENCE]
    fastest = min(agreeing, key=lambda name: agreeing[name])
    return fastest if agreeing[fastest] * MARGIN < agreeing[usual] else usual


def _timed(ask: Ask, matrix: Matrix, times: int) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the least time of so many calls, and what the last of them answered."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        answered = ask(matrix)
        found.append(time.perf_counter() - start)
    return min(found), answered


def _difference(answered: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Return the largest difference; infinite if only the class, the shape or a NaN is another."""
    import numpy as np

    if answered.shape != wanted.shape or np.any(np.isnan(answered) != np.isnan(wanted)):
        return float("inf")
    known = ~np.isnan(wanted)
    if not known.any():
        return 0.0
    scale = (float(np.std(wanted[known])) or 1.0) if wanted.ndim == 1 else 1.0
    found = float(np.max(np.abs(answered[known] - wanted[known])) / scale)
    # Where two classes are as likely, the least difference makes another one of it.
    other = wanted.ndim == 2 and np.any(answered.argmax(axis=1) != wanted.argmax(axis=1))
    return float("inf") if other and found <= TOLERANCE else found


def candidates_for(fitted: Fitted, width: int) -> dict[str, Callable[[], Ask]]:
    """Return the ways to ask a model that takes a matrix of `width` columns."""
    import numpy as np

    estimator, task = fitted.estimator, fitted.task

    def library(matrix: Matrix) -> npt.NDArray[np.float64]:
        ask = estimator.predict if task == "regression" else estimator.predict_proba
        return np.asarray(ask(matrix), np.float64)

    ways: dict[str, Callable[[], Ask]] = {REFERENCE: lambda: library, NATIVE: lambda: fitted.raw}
    if not is_fast_itself(estimator):
        ways[ONNX] = lambda: Compiled(estimator, task, width).answer
    return ways


def is_fast_itself(estimator: Any) -> bool:
    """Say whether an estimator's own code is faster than it could be as ONNX, so that it is not tried.

    XGBoost's trees as ONNX took 1.8 to 4.7 times as long, whatever their number, depth and classes. To
    convert them takes up to a second, and on a busy machine a short trial can find them faster.
    """
    return type(estimator).__module__.startswith("xgboost.")


class Plain:
    """An estimator asked by its library's own call, where the native way disagrees."""

    def __init__(self, estimator: Any) -> None:
        self.predict = estimator.predict
        self.predict_proba = getattr(estimator, "predict_proba", None)


class Compiled:
    """An estimator as ONNX, asked as its library asks it."""

    def __init__(self, estimator: Any, task: Any, width: int) -> None:
        import onnxruntime

        self._task = task
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _convert(estimator, width), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[-1].name

    def predict(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return the values of a regression."""
        return self.answer(matrix)

    def predict_proba(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return the probabilities of the classes."""
        return self.answer(matrix)

    def answer(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return probabilities (n × classes), or values (n)."""
        import numpy as np

        found = np.asarray(self._session.run([self._output], {self._input: matrix})[0], np.float64)
        return found.reshape(len(matrix)) if self._task == "regression" else found


def _convert(estimator: Any, width: int) -> bytes:
    """Convert an estimator of scikit-learn."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    found = to_onnx(estimator, initial_types=[("input", FloatTensorType([None, width]))], options=options)
    made: bytes = found.SerializeToString()
    return made
