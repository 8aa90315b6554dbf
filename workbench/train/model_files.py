"""The files of a model in MLflow's format: how they are saved, loaded and told from changed ones."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import trust
from workbench.engines import encoder
from workbench.engines.embedding import DEFAULT, FUNCTION
from workbench.errors import ModelError
from workbench.interrupts import held_back
from workbench.train.label import value_type

if TYPE_CHECKING:
    from workbench.train.entry import Entry
    from workbench.train.label import Task

_BOOSTED_FILE = "model.ubj"
_PICKLED_FILE = "model.pkl"
_PORTABLE = "mlstore_model"
_ENCODER = "mlstore_encoder"
_ABOUT = "mlstore.json"


def save(path: Path, entry: Entry) -> None:
    """Save an estimator with its library's own flavour, and as a function of raw rows."""
    with held_back():
        import mlflow.sklearn
        import mlflow.xgboost
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema
        from mlflow.types.schema import AnyType

    output = ColSpec(_output(entry))
    # MLflow refuses whole numbers where a signature says double, and a missing whole number is one.
    signature = ModelSignature(Schema([ColSpec(AnyType(), name) for name in entry.inputs]), Schema([output]))
    package = type(entry.estimator).__module__.partition(".")[0]
    libraries = "torch" if _is_own(entry.estimator) else package
    shared = {"signature": signature, "metadata": dict(entry.about)}
    if package == "xgboost":
        requirements = _requirements("xgboost", "scikit-learn", "pandas", "duckdb", *_embeds(entry))
        mlflow.xgboost.save_model(
            entry.estimator, str(path), model_format="ubj", pip_requirements=requirements, **shared
        )
    else:
        # skops, MLflow's default, knows few estimators, and takes its list of trusted types from the
        # model itself; so it is no safer than a pickle, and 5 to 10 times slower.
        mlflow.sklearn.save_model(
            entry.estimator,
            str(path),
            serialization_format="cloudpickle",
            pip_requirements=_requirements(
                "scikit-learn", "cloudpickle", "pandas", "duckdb", libraries, *_embeds(entry)
            ),
            **shared,
        )
    _add_raw(path, entry)


def _output(entry: Entry) -> Any:
    """Return MLflow's type of what a model predicts."""
    from mlflow.types.schema import Array, DataType

    kinds = {"BOOLEAN": "boolean", "BIGINT": "long", "DOUBLE": "double", "VARCHAR": "string"}
    return kinds.get(value_type(tuple(entry.about["classes"]), entry.task)) or Array(DataType.double)


def _add_raw(path: Path, entry: Entry) -> None:
    """Let `mlflow.pyfunc` load the model as a function of raw rows."""
    from mlflow.models import Model

    code = path / "code"
    code.mkdir()
    shutil.copyfile(Path(__file__).with_name("portable.py"), code / f"{_PORTABLE}.py")
    if _embeds(entry):
        shutil.copyfile(encoder.__file__, code / f"{_ENCODER}.py")
    about = {"task": entry.task, "classes": entry.about["classes"], "sql": entry.sql, "whole": entry.whole}
    (path / _ABOUT).write_text(json.dumps(about), encoding="utf-8")
    model = Model.load(str(path))
    if "python_function" not in model.flavors:  # what has no predict, MLflow takes for no function
        environment = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
        model.add_flavor("python_function", env=environment, python_version=platform.python_version())
    model.flavors["python_function"] |= {"loader_module": _PORTABLE, "code": code.name, "data": "."}
    if _is_own(entry.estimator):
        # Folders without __init__.py give way to the installed package where there is one.
        own = code / "workbench" / "train"
        own.mkdir(parents=True)
        for source in Path(__file__).parent.glob("tab_*.py"):
            shutil.copyfile(source, own / source.name)
        model.flavors["sklearn"]["code"] = code.name
    model.save(str(path / "MLmodel"))


def _embeds(entry: Entry) -> tuple[str, ...]:
    """Name the packages for embeddings, where the SQL of a model's inputs asks for some."""
    if f"{FUNCTION}(" not in entry.sql.lower():
        return ()
    return ("pyarrow", "sentence-transformers", *((DEFAULT,) if DEFAULT in entry.sql else ()))


def _is_own(estimator: Any) -> bool:
    """Whether the class of an estimator is one of this package."""
    return type(estimator).__module__.startswith("workbench.")


def _requirements(*packages: str) -> list[str]:
    """Pin packages at the versions installed here; `xgboost-cpu` counts as xgboost, 2.0+cpu as 2.0."""
    pinned = {}
    for package in packages:
        for name in (package, f"{package}-cpu"):
            try:
                pinned[package] = f"{package}=={metadata.version(name).partition('+')[0]}"
            except metadata.PackageNotFoundError:
                continue
            break
    return list(pinned.values())


def load_native(folder: Path, uri: str, task: Task, ref: str) -> Any:
    """Load an estimator from its files by the library that made it, without MLflow.

    Raises
    ------
    ModelError
        If the files are gone.
    Unsupported
        If it is a pickle that was not approved on this machine.
    """
    path = folder / uri
    if (path / _BOOSTED_FILE).exists():
        import xgboost

        estimator = xgboost.XGBRegressor() if task == "regression" else xgboost.XGBClassifier()
        estimator.load_model(path / _BOOSTED_FILE)
        return estimator
    if is_pickled(path):
        trust.require(digest(path), f"The model {ref} is a pickle, which can hold any code", folder)
        import cloudpickle  # type: ignore[import-untyped]

        return cloudpickle.loads((path / _PICKLED_FILE).read_bytes())
    raise ModelError(
        f"The files of the model {ref} are gone: {path}.", hint="Restore artifacts/ from a backup."
    )


def is_pickled(path: Path) -> bool:
    """Whether the estimator in a model's folder is a pickle."""
    return (path / _PICKLED_FILE).exists()


def digest(path: Path) -> str:
    """Return a fingerprint of all files of a model, but for what loading it leaves there."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and file.name != "registered_model_meta":
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            found.update(f"{file.relative_to(path).as_posix()} {content}\n".encode())
    return found.hexdigest()
