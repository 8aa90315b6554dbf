"""The transformer for tables: what it learns, that it repeats itself, and what it says of XGBoost.

The tests that train need the extra `torch`; the others run without it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost
from sklearn.base import clone
from sklearn.metrics import mean_squared_error, roc_auc_score

from workbench.errors import InvalidData, NotFound, Unsupported
from workbench.lake import Lake
from workbench.ranges import Range
from workbench.train import algorithms, registry
from workbench.train.definition import Training
from workbench.train.encoding import encode
from workbench.train.evaluate import Answers
from workbench.train.paired import advantage
from workbench.train.tab_network import Cells
from workbench.train.tab_transformer import TabTransformerClassifier, TabTransformerRegressor
from workbench.train.training import train

SMALL = {"layers": 1, "width": 16, "heads": 2, "learning_rate": 5e-3}
QUERY = """
SELECT id, speed, distance, carrier, weekend, CASE WHEN id % 3 > 0 THEN late END AS late FROM flights
"""


@pytest.fixture(scope="module")
def torch() -> Any:
    found = pytest.importorskip("torch")
    found.set_num_threads(1)
    return found


def exclusive_or(rows: int, seed: int, categories: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Two categories that tell the class only together, one that tells nothing, and a number."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, categories, (rows, 4)).astype(np.float32)
    matrix[:, 3] = rng.normal(size=rows)
    truth = (matrix[:, 0] % 2 != matrix[:, 1] % 2) ^ (rng.random(rows) < 0.1)
    return matrix, truth.astype(int)


SIZES = (4, 4, 4, 0)


@pytest.fixture(scope="module")
def learned(torch: Any) -> TabTransformerClassifier:
    matrix, truth = exclusive_or(800, 0)
    return TabTransformerClassifier(category_sizes=SIZES, **SMALL).fit(matrix, truth)


def test_it_learns_what_only_two_columns_tell_together(learned: TabTransformerClassifier) -> None:
    """With a tenth of the classes wrong, no AUC above 0.9 can be expected."""
    matrix, truth = exclusive_or(2000, 1)
    probabilities = learned.predict_proba(matrix)
    assert roc_auc_score(truth, probabilities[:, 1]) > 0.85
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (learned.predict(matrix) == learned.classes_[probabilities.argmax(axis=1)]).all()


def test_the_same_seed_gives_the_same_model_and_leaves_torch_as_it_was(torch: Any) -> None:
    matrix, truth = exclusive_or(200, 0)
    before = torch.get_rng_state()

    def answer(seed: int) -> np.ndarray:
        made = TabTransformerClassifier(
            category_sizes=SIZES, random_state=seed, epochs=2, pretrain_epochs=1, **SMALL
        )
        return made.fit(matrix, truth, unlabelled=matrix[:50]).predict_proba(matrix)

    first = answer(3)
    torch.rand(7)
    before_second = torch.get_rng_state()
    assert (first == answer(3)).all()
    assert (first != answer(4)).any()
    assert (before_second == torch.get_rng_state()).all()
    assert (before != before_second).any()


def test_it_goes_through_a_pickle_and_a_clone(learned: TabTransformerClassifier) -> None:
    matrix = exclusive_or(50, 5)[0]
    restored = cloudpickle.loads(cloudpickle.dumps(learned))
    assert all(isinstance(value, np.ndarray) for value in restored.state_.values())
    assert "_network" not in vars(restored)
    np.testing.assert_array_equal(restored.predict_proba(matrix), learned.predict_proba(matrix))
    assert clone(learned).get_params() == learned.get_params()
    assert not hasattr(clone(learned), "state_")


def test_missing_cells_are_read_as_such_in_any_column(torch: Any) -> None:
    """That a cell is missing is what tells the class here; a column may have no value at all."""
    rng = np.random.default_rng(0)
    matrix = np.column_stack(
        [rng.integers(0, 3, 400), rng.normal(size=400), np.full(400, np.nan), np.full(400, 7.0)]
    ).astype(np.float32)
    for place in (0, 1):
        holed, gaps = matrix.copy(), rng.random(400) < 0.5
        holed[gaps, place] = np.nan
        made = TabTransformerClassifier(category_sizes=(3, 0, 0, 0), epochs=15, pretrain_epochs=2, **SMALL)
        made.fit(holed[:300], gaps[:300], unlabelled=holed[300:])
        assert (made.predict(holed[300:]) == gaps[300:]).all()
        assert made.classes_.dtype == bool


def test_what_was_never_seen_counts_as_missing(learned: TabTransformerClassifier) -> None:
    matrix = exclusive_or(5, 6)[0]
    unseen, missing = matrix.copy(), matrix.copy()
    unseen[:, 0], missing[:, 0] = 9, np.nan
    np.testing.assert_array_equal(learned.predict_proba(unseen), learned.predict_proba(missing))
    unseen[:, 3] = np.inf
    assert np.isfinite(learned.predict_proba(unseen)).all()


def test_quantities_come_back_in_their_own_scale(torch: Any) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(600, 2)).astype(np.float32)
    values = 5000 + 300 * matrix[:, 0] - 200 * np.abs(matrix[:, 1])
    made = TabTransformerRegressor(epochs=30, **SMALL).fit(matrix[:400], values[:400])
    assert mean_squared_error(values[400:], made.predict(matrix[400:])) < 0.05 * values.var()


def test_three_classes_of_texts(torch: Any) -> None:
    matrix = np.tile(np.arange(3, dtype=np.float32), 40)[:, None]
    truth = np.array(["low", "mid", "high"])[matrix[:, 0].astype(int)]
    made = TabTransformerClassifier(category_sizes=(3,), epochs=20, **SMALL).fit(matrix, truth)
    assert made.classes_.tolist() == ["high", "low", "mid"]
    assert made.predict(matrix).tolist() == truth.tolist()
    assert made.predict(matrix[:0]).tolist() == []


def test_weights_decide_where_rows_contradict_each_other(torch: Any) -> None:
    matrix, truth = np.zeros((100, 1), np.float32), np.arange(100) % 2
    for heavy in (0, 1):
        made = TabTransformerClassifier(category_sizes=(1,), epochs=10, **SMALL)
        made.fit(matrix, truth, sample_weight=np.where(truth == heavy, 5.0, 1.0))
        assert (made.predict(matrix) == heavy).all()


def test_it_stops_early_and_keeps_the_best_epoch(torch: Any) -> None:
    rng = np.random.default_rng(0)
    matrix, truth = rng.normal(size=(200, 5)).astype(np.float32), rng.integers(0, 2, 200)
    passed: list[int] = []
    made = TabTransformerClassifier(epochs=200, patience=3, **SMALL)
    made.fit(matrix, truth, callback=passed.append)
    losses = made.validation_losses_
    assert len(losses) == len(passed) < 200
    assert len(losses) == int(np.argmin(losses)) + 4
    again = TabTransformerClassifier(epochs=int(np.argmin(losses)) + 1, patience=3, **SMALL)
    np.testing.assert_array_equal(made.predict_proba(matrix), again.fit(matrix, truth).predict_proba(matrix))


def test_an_interrupt_leaves_the_former_model(torch: Any) -> None:
    matrix, truth = exclusive_or(100, 0)
    made = TabTransformerClassifier(category_sizes=SIZES, epochs=2, **SMALL).fit(matrix, truth)
    before, state = made.predict_proba(matrix), torch.get_rng_state()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(matrix, 1 - truth, callback=interrupt)
    np.testing.assert_array_equal(made.predict_proba(matrix), before)
    assert (state == torch.get_rng_state()).all()


def test_rows_without_a_label_are_gone_through_first(torch: Any) -> None:
    matrix, truth = exclusive_or(100, 0)
    passed: list[int] = []
    made = TabTransformerClassifier(category_sizes=SIZES, epochs=1, **SMALL)
    made.fit(matrix, truth, callback=passed.append)
    assert len(passed) == 1
    made.fit(matrix, truth, unlabelled=exclusive_or(60, 1)[0], callback=passed.append)
    assert len(passed) == 1 + 40 + 1
    made.set_params(pretrain_epochs=3).fit(matrix, truth, callback=passed.append)
    assert len(passed) == 42 + 3 + 1
    made.set_params(pretrain_epochs=None)
    assert (made._pretraining(1_000_000, 900_000), made._pretraining(50_000, 1)) == (1, 5)


def test_the_network_finds_replaced_cells_and_restores_numbers(torch: Any) -> None:
    """Two columns that say the same, so that a replaced one stands out."""
    from workbench.train.tab_network import tensors

    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, 400).astype(np.float32)
    matrix = np.column_stack([values, values, values])
    made = TabTransformerClassifier(category_sizes=(4, 4, 0), pretrain_epochs=40, epochs=1, layers=1)
    made.fit(matrix, rng.integers(0, 2, 400))
    parts = made._network.parts

    def context(cells: np.ndarray) -> Any:
        with torch.no_grad():
            return made._network.context(tensors(made.cells_, cells, "cpu"))

    wrong, hidden = matrix.copy(), matrix.copy()
    wrong[:, 0] = (wrong[:, 0] + 1) % 4
    hidden[:, 2] = np.nan
    seen, spoilt = (parts["replaced"](context(each)).squeeze(-1) for each in (matrix, wrong))
    assert (spoilt[:, 0] > seen[:, 0]).float().mean() > 0.95
    assert (seen < 0).float().mean() > 0.95
    assert int(spoilt.mean(0).argmax()) == 0
    restored = parts["restored"](context(hidden)[:, 2]).squeeze(-1).detach().numpy()
    assert np.corrcoef(restored, values)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1, not 0"),
        ({"pretrain_epochs": -1}, "pretrain_epochs must be a whole number from 0"),
        ({"layers": 1.5}, "layers must be a whole number from 1, not 1.5"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"width": 30}, "width must be a multiple of heads: 30 is none of 4"),
        ({"dropout": 1}, "dropout must be a number from 0 and below 1"),
        ({"dropout": "a lot"}, "dropout must be a number"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda, not 'tpu'"),
    ],
)
def test_wrong_parameters_are_refused_by_name(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", "\\(")):
        TabTransformerClassifier(**words).check_params()


def test_wrong_data_are_refused(torch: Any, learned: TabTransformerClassifier) -> None:
    matrix, truth = exclusive_or(30, 0)
    made = TabTransformerClassifier(category_sizes=SIZES, epochs=1, **SMALL)
    with pytest.raises(ValueError, match="30 rows and 29 labels"):
        made.fit(matrix, truth[1:])
    with pytest.raises(ValueError, match="category_sizes has 4 for 3 columns"):
        made.fit(matrix[:, 1:], truth)
    with pytest.raises(ValueError, match="unlabelled has 3 columns, not 4"):
        made.fit(matrix, truth, unlabelled=matrix[:, 1:])
    with pytest.raises(ValueError, match="501 columns: a transformer takes 1 to 500"):
        made.fit(np.zeros((30, 501)), truth)
    with pytest.raises(ValueError, match="0 for every row"):
        made.fit(matrix, truth, sample_weight=np.zeros(30))
    with pytest.raises(ValueError, match="one finite weight"):
        made.fit(matrix, truth, sample_weight=-np.ones(30))
    with pytest.raises(ValueError, match="3 columns are given, 4 were learned"):
        learned.predict(matrix[:, 1:])
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="torch finds no GPU"):
            TabTransformerClassifier(device="cuda").fit(matrix, truth)


def test_cells_are_codes_and_scaled_numbers() -> None:
    matrix = np.array(
        [
            [0, 1, np.nan, 5],
            [2, 3, np.nan, 5],
            [np.nan, 2, np.nan, 5],
            [7, np.nan, np.nan, 5],
            [1, 900, 1, 5],
        ],
        np.float32,
    )
    cells = Cells.learn(matrix[:4], (3, 0, 0, 0))
    assert cells.codes(matrix)[:, 0].tolist() == [1, 3, 0, 0, 2]
    numbers, missing = cells.numbers(matrix)
    assert missing.tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
    # The median of 1, 2 and 3 is 2 and the distance of the quartiles 1; far values end before 3.
    near = 1 / np.sqrt(1 + 1 / 9)
    np.testing.assert_allclose(numbers[:4, 0], [-near, near, 0, 0], rtol=1e-6)
    assert 2.99 < numbers[4, 0] < 3
    assert (numbers[:, 1:] == 0).all()
    # Half of them equal: the scale comes from the extremes.
    rare = Cells.learn(np.array([[0], [0], [0], [0], [1]], np.float32), (0,))
    assert rare.scale.tolist() == [2.0]
    assert Cells.learn(matrix[:, :1], (3,)).numbers(matrix[:, :1])[0].shape == (5, 0)
    two = Cells.learn(matrix[:, [0, 0]], (3, 5)).codes(matrix[:, [0, 0]])
    assert two[:, 1].tolist() == [5, 7, 4, 4, 6]


def answers(seed: int, noise: float, rows: int = 400) -> Answers:
    truth = np.random.default_rng(0).integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(truth - 0.5 + np.random.default_rng(seed).normal(0, noise, rows))))
    return Answers(truth, (score > 0.5).astype(int), np.column_stack([1 - score, score]))


def better(one: Answers, other: Answers, metric: str, seed: int = 0) -> tuple[float, float, float]:
    found = advantage(one, other, metric, seed=seed)
    return found.value, found.low, found.high


def test_a_difference_is_that_of_scikit_learn_with_a_paired_interval() -> None:
    one, other = answers(1, 0.5), answers(2, 1.0)
    by, low, high = better(one, other, "auc")
    areas = [roc_auc_score(each.truth, each.probabilities[:, 1]) for each in (one, other)]
    assert by == pytest.approx(areas[0] - areas[1])
    rng = np.random.default_rng(5)
    drawn = [rng.integers(0, 400, 400) for _ in range(500)]
    apart = [
        roc_auc_score(one.truth[rows], one.probabilities[rows, 1])
        - roc_auc_score(one.truth[rows], other.probabilities[rows, 1])
        for rows in drawn
    ]
    assert (low, high) == pytest.approx(np.quantile(apart, [0.025, 0.975]), abs=0.012)
    assert low < by < high
    assert better(one, one, "auc") == (0, 0, 0)
    # Less logloss is better.
    assert better(one, other, "logloss")[0] > 0
    assert better(other, one, "logloss")[0] < 0


def test_the_interval_of_many_rows_is_narrower_than_that_of_their_sample() -> None:
    few = better(answers(1, 0.5, 10_000), answers(2, 1.0, 10_000), "auc")
    many = better(answers(1, 0.5, 40_000), answers(2, 1.0, 40_000), "auc")
    assert (many[2] - many[1]) == pytest.approx((few[2] - few[1]) / 2, rel=0.35)


def test_without_torch_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, lake: Lake) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for model in ("tab_transformer", "workbench.train.tab_transformer.TabTransformerRegressor"):
        with pytest.raises(Unsupported, match="needs the library torch") as caught:
            Training.define("deep", QUERY, label="late", model=model)
        assert caught.value.hint == "pip install 'mlstore[torch]'"
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mlstore\[torch\]'"):
        TabTransformerClassifier().fit(np.zeros((4, 1)), [0, 1, 0, 1])
    # A definition recorded where torch was, refreshed where it is not.
    recorded = Training.define("deep", QUERY, label="late", key="id", model="xgboost")
    with pytest.raises(Unsupported, match="needs the library torch"):
        train(lake, Training.from_record({**recorded.to_record(), "model": "tab_transformer"}))


def test_parameters_are_checked_before_any_row_is_read(torch: Any) -> None:
    def define(**params: object) -> Training:
        return Training.define("deep", QUERY, label="late", model="tab_transformer", params=params)

    with pytest.raises(InvalidData, match="width must be a multiple of heads"):
        define(width=10)
    with pytest.raises(InvalidData, match="dropout must be a number from 0 and below 1"):
        define(dropout=Range(0.1, 1.5))
    assert define(class_weight="balanced", width=64).params["width"] == 64
    with pytest.raises(NotFound) as caught:
        define(epoch=3)
    assert "epochs" in str(caught.value)
    for name in ("category_sizes", "random_state"):
        with pytest.raises(InvalidData, match=name):
            define(**{name: 1})
    assert algorithms.needs("tab_transformer", "binary") == "nothing"
    assert not algorithms.uses_unlabelled("auto")


def test_a_training_uses_unlabelled_rows_and_says_what_xgboost_reaches(
    torch: Any, lake: Lake, tmp_path: Path
) -> None:
    params = {**SMALL, "epochs": 3, "pretrain_epochs": 2, "device": "cpu"}
    model = train(
        lake,
        Training.define(
            "deep", QUERY, label="late", key="id", model="tab_transformer", params=params, seed=4
        ),
    )
    held = "md5_number_lower(strlen(id::VARCHAR) || ':' || id::VARCHAR) % 1000000 < 200000"

    def part(condition: str) -> pa.Table:
        query = f"SELECT * FROM ({QUERY}) AS t WHERE {condition} ORDER BY hash(t)"
        return lake.cursor().execute(query).to_arrow_table()

    learned = part(f"late IS NOT NULL AND NOT ({held})")
    tested = part(f"late IS NOT NULL AND {held}")
    used, left = part(f"late IS NULL AND NOT ({held})"), part(f"late IS NULL AND {held}")
    assert f"{used.num_rows:,} rows without a label were learned from as well" in model.reason
    assert f"{left.num_rows:,} rows without a label were left out" in model.reason

    fitted = registry.load(lake, model)
    features = fitted.features
    direct = TabTransformerClassifier(category_sizes=(0, 0, 3, 0), random_state=4, **params)
    direct.fit(encode(learned, features), learned["late"].to_numpy(), unlabelled=encode(used, features))
    found = fitted.predict(tested)["score"].to_numpy()
    truth = tested["late"].to_numpy()
    wanted = direct.predict_proba(encode(tested, features))[:, 1]
    assert roc_auc_score(truth, found) == pytest.approx(model.metrics["auc"]["value"])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    rival = xgboost.XGBClassifier(tree_method="hist", random_state=4)
    rival.fit(encode(learned, features), learned["late"].to_numpy())
    reached = rival.predict_proba(encode(tested, features))
    own, other = (
        Answers(truth, each[:, 1] > 0.5, each) for each in (np.column_stack([1 - found, found]), reached)
    )
    by, low, high = better(own, other, "auc", seed=4)
    first, second = model.reason.split("; ")[1:3]
    assert first.startswith(f"tab_transformer reached auc {model.metrics['auc']['value']:.3g} (")
    assert second.startswith(f"XGBoost with its defaults {roc_auc_score(truth, reached[:, 1]):.3g} in ")
    verdict = f"XGBoost is better by {-by:.2g} ({-high:.2g}–{-low:.2g})"
    if low > 0:
        verdict = f"tab_transformer is better by {by:.2g} ({low:.2g}–{high:.2g})"
    if low <= 0 <= high:
        verdict = f"the difference may be chance ({low:+.2g} to {high:+.2g})"
    assert second.endswith(verdict)

    check_plain_mlflow(lake, model, tested, tmp_path)


def check_plain_mlflow(lake: Lake, model: Any, rows: pa.Table, folder: Path) -> None:
    """Load the model in a process that cannot import this package."""
    pq.write_table(rows, folder / "rows.parquet")
    program = """
import json, sys
from pathlib import Path
sys.path = [each for each in sys.path if not Path(each, "workbench", "__init__.py").exists()]
import mlflow, pandas
rows = pandas.read_parquet(sys.argv[1])
plain = mlflow.pyfunc.load_model(sys.argv[2])
assert type(mlflow.sklearn.load_model(sys.argv[2])).__name__ == "TabTransformerClassifier"
assert sys.modules["workbench"].__file__ is None
print(json.dumps(plain.predict(rows).tolist()))
"""
    path = lake.folder / model.model_uri
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(folder / "rows.parquet"), str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
    )
    assert done.returncode == 0, done.stderr
    wanted = registry.load(lake, model).predict(rows)["value"].to_pylist()
    assert json.loads(done.stdout.splitlines()[-1]) == wanted
    assert any(line.startswith("torch==") for line in (path / "requirements.txt").read_text().splitlines())


def test_a_regression_in_the_store_compares_by_its_metric(torch: Any, make_lake: Callable[..., Lake]) -> None:
    params = {**SMALL, "epochs": 2, "device": "cpu", "dropout": Range(0.0, 0.3)}
    model = train(
        make_lake(300),
        Training.define(
            "delays",
            "SELECT id, speed, carrier, delay FROM flights",
            label="delay",
            key="id",
            model="tab_transformer",
            params=params,
            metric="rmse",
            tune=2,
        ),
    )
    assert model.task == "regression"
    assert 0 <= model.params["dropout"] <= 0.3
    assert f"tab_transformer reached rmse {model.metrics['rmse']['value']:.3g}" in model.reason
    assert "XGBoost is better by" in model.reason  # after two epochs; by rmse, where less is better
    assert "without a label" not in model.reason
