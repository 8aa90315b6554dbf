"""A store that came from elsewhere does not run the code in its models until somebody says so."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from workbench import trust
from workbench.cli import main
from workbench.errors import Unsupported


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Path]:
    """The folder of a store with a pickled model and one of XGBoost's, on the machine that made them."""
    place = tmp_path_factory.mktemp("made")
    folder = Path(shutil.copytree(empty_store, place / "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLSTORE_CONFIG", str(place / "config"))
        with workbench.connect(folder) as store:
            rows = store.sql("SELECT i AS id, i % 10 AS x, i % 10 > 4 AS y FROM range(200) AS r(i)")
            store.load("points", rows, key="id")
            for name, algorithm in {"pickled": "logistic", "boosted": "xgboost"}.items():
                store.train(name, "FROM points", label="y", key="id", model=algorithm)
        yield folder


def elsewhere(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLSTORE_CONFIG", str(tmp_path / "another machine"))
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_a_pickle_from_elsewhere_is_not_loaded_until_it_is_approved(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = elsewhere(made, tmp_path, monkeypatch)
    rows = [{"x": 1}, {"x": 9}]
    with workbench.connect(folder) as store:
        with pytest.raises(Unsupported, match=r"pickled@1 is a pickle.*not approved") as raised:
            store.predict("pickled", rows)
        assert f"mlstore --store {folder} trust" in raised.value.hint
        for isolate in ("none", "process"):
            with pytest.raises(Unsupported, match="not approved"):
                store.bind("again", on="points", model="pickled", isolate=isolate)
        assert store.predict("boosted", rows)["value"].to_pylist() == [False, True]
    assert main(["--store", str(folder), "trust"]) == 1
    shown = capsys.readouterr().out
    assert "-- model pickled, version 1\n# logistic, a pickle in artifacts/pickled/" in shown
    assert "boosted" not in shown
    assert main(["--store", str(folder), "trust", "pickled", "--yes"]) == 0
    assert "Approved: pickled" in capsys.readouterr().out
    with workbench.connect(folder) as store:
        assert store.predict("pickled", rows)["value"].to_pylist() == [False, True]
        assert store.unapproved() == []


def test_a_pickle_that_was_changed_does_not_run(made: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "changed"))
    (file,) = folder.glob("artifacts/pickled/**/model.pkl")
    mark = tmp_path / "it ran"
    file.write_bytes(pickle.dumps(_Runs(mark)))
    with workbench.connect(folder) as store:
        with pytest.raises(Unsupported, match="not approved"):
            store.predict("pickled", [{"x": 1}])
        assert [each.name for each in store.unapproved()] == ["pickled"]
    assert not mark.exists()


class _Runs:
    """Makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_what_is_trained_here_is_approved(made: Path) -> None:
    with workbench.connect(made) as store:
        assert store.unapproved() == []
    assert len(trust.approved()) == 2
