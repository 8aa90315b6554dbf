"""The one place that turns a binding's ISOLATE clause into a predictor."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from workbench.bind.isolation import container
from workbench.bind.isolation.commands import FOREIGN
from workbench.bind.isolation.environment import environment
from workbench.bind.isolation.image import image
from workbench.bind.isolation.isolated import Described, Isolated
from workbench.bind.isolation.limits import Limits
from workbench.bind.isolation.loading import describe
from workbench.bind.isolation.process import can_share
from workbench.bind.isolation.warm import SCRIPT, Recipe, interpreter, workers
from workbench.bind.predictors import Predictor, resolve
from workbench.errors import NotFound, Unsupported
from workbench.train import registry

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.lake import Lake

ISOLATIONS = ("none", "process", "env", "container")

_LOADER = "workbench.bind.isolation.loading"


def open_predictor(
    lake: Lake, ref: str, schema: pa.Schema | None = None, *, isolate: str | None = None
) -> Predictor:
    """Find the model that a reference names, and let it run where `isolate` says.

    Parameters
    ----------
    ref, schema : str, pyarrow.Schema or None
        As in `resolve`.
    isolate : {"none", "process", "env", "container"} or None
        None leaves the choice to the kind of the model; see `default_isolation`.

    Raises
    ------
    NotFound
        If there is no such model.
    Unsupported
        If the isolation asked for is not there.
    """
    chosen = isolate or default_isolation(ref)
    if chosen not in ISOLATIONS:
        raise NotFound.named("isolation", chosen, ISOLATIONS)
    if chosen == "none":
        return resolve(lake, ref, schema)
    if os.name != "posix":
        raise Unsupported(f"ISOLATE {chosen} works on Linux and macOS.", hint="Use ISOLATE none here.")
    trained = None if ":" in ref else resolve(lake, ref)
    known = Described(trained.ref, trained.inputs, trained.value_type) if trained else None
    if chosen == "process":
        return Isolated(own_process(lake, ref, schema, known), ref, known)
    recipe, known = _own_packages(lake, ref, schema, known, chosen)
    return Isolated(recipe, ref, known)


def _own_packages(
    lake: Lake, ref: str, schema: pa.Schema | None, known: Described | None, chosen: str
) -> tuple[Recipe, Described]:
    """Return how a model runs with the packages it names, not those that are installed here."""
    prefix, _, rest = ref.partition(":")
    if known is not None:
        packaged = registry.packaged(lake, registry.get(lake, known.ref))
    elif prefix == "mlflow":
        name, _, alias = rest.partition("@")
        version, packaged = registry.find_packaged(lake, name, alias or "champion")
        inputs = tuple(packaged.types) or tuple(schema.names if schema is not None else ())
        known = Described(f"mlflow:{name}@{version}", inputs, packaged.output or "DOUBLE")
    else:
        raise Unsupported(
            f"{ref} does not say which packages it requires.", hint="Use ISOLATE process for it."
        )
    limits = Limits.from_environment()
    what = {
        "ref": ref,
        "folder": str(packaged.files),
        "loader": packaged.loader,
        "code": packaged.code,
        "data": packaged.data,
        "types": dict(packaged.types),
        "columns": list(known.inputs),
        "kind": known.value_type,
    }
    if chosen == "env":
        python = environment(packaged, known.ref)
        outside = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        command = (str(python), str(SCRIPT))
        return Recipe(lake.folder, command, "", what, limits, shared=can_share(), environment=outside), known
    engine = container.engine()
    tag = image(engine, packaged, known.ref)
    return Recipe(
        lake.folder,
        container.command(engine, tag, packaged.files, limits),
        "",
        {**what, "folder": container.MODEL},
        limits,
        local=False,
        shared=False,
        stop=container.stop(engine),
    ), known


def default_isolation(ref: str) -> str:
    """Say where a model runs if nobody says: one trained here in this process, a foreign one in its own.

    The variable `MLSTORE_ISOLATE` says another place for foreign ones. A function that only this
    process can import, such as one of a notebook's own cells, runs in it.

    Examples
    --------
    >>> default_isolation("late@2")
    'none'
    >>> default_isolation("py:__main__:f")
    'none'
    """
    prefix, colon, rest = ref.partition(":")
    if not colon or os.name != "posix" or (prefix == "py" and _is_only_here(rest.partition(":")[0])):
        return "none"
    return os.environ.get("MLSTORE_ISOLATE", "process")


def _is_only_here(module: str) -> bool:
    """Whether a module was made in this process, and lies in no file that another could import."""
    if module not in sys.modules:
        return False
    try:
        return importlib.util.find_spec(module) is None
    except ValueError:  # Made by hand, such as __main__: it does not say where it is from.
        return True


def describe_isolation(lake: Lake, ref: str, isolate: str | None) -> str:
    """Say where a model runs, and within what limits."""
    chosen = isolate or default_isolation(ref)
    if chosen == "none":
        return "none: in this process"
    kept = {"namespace": ", kept by the kernel", "python": ", kept by Python's sockets alone"}
    how = next((kept.get(each.network, "") for each in workers(lake.folder, ref) if each.network), "")
    return f"{chosen}: {Limits.from_environment()}, no network{how}"


def own_process(
    lake: Lake, ref: str, schema: pa.Schema | None, known: Described | None, *, shared: bool | None = None
) -> Recipe:
    """Return how a model gets a process of its own, under this interpreter.

    Parameters
    ----------
    known : Described or None
        The model, if it was trained here.
    shared : bool or None
        Whether rows go through shared memory; None means where the system has it.
    """
    prefix, _, rest = ref.partition(":")
    if prefix == "py" and _is_only_here(rest.partition(":")[0]):
        raise Unsupported(
            f"{ref} lives in this process alone, so no other can run it.",
            hint="Put the function into a file on the Python path, or use ISOLATE none.",
        )
    model = registry.get(lake, known.ref) if known else None
    return Recipe(
        lake.folder,
        interpreter(),
        _LOADER,
        describe(lake.folder, ref, schema, model),
        Limits.from_environment(),
        path=tuple(os.path.abspath(each) for each in sys.path),  # noqa: PTH100 ("" is this folder)
        shared=can_share() if shared is None else shared,
    )
