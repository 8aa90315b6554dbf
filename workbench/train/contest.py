"""Champion and challenger on the same held-out rows, and what the gate makes of it.

A comparison is fair if neither has learned from the rows. Of the challenger the split sees to it.
The champion was kept from the same rows if it was divided by the same rule, for a row never changes
sides as long as the columns of the rule keep their values, which those of a key do. Where the rules
differ, only rows that both hold out are compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.engines.duckdb import fetch
from workbench.errors import WorkbenchError
from workbench.train import gate, latency
from workbench.train.evaluate import point
from workbench.train.features import find_column
from workbench.train.gate import LATENCIES, Comparison, Decision
from workbench.train.label import value_type
from workbench.train.paired import differences
from workbench.train.plan import ROW
from workbench.train.preparation import raw_rows
from workbench.train.reading import STAGED
from workbench.train.split import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from workbench.engines.duckdb import Cursor
    from workbench.lake import Lake
    from workbench.train.evaluate import Answers, Score
    from workbench.train.model import Model
    from workbench.train.reading import Rows, Source
    from workbench.train.scoring import Fitted

LEAST_SHARED = 30
"""Fewer rows that both were kept from are not worth comparing on."""


def keep_back(lake: Lake, cursor: Cursor, source: Source, rows: Rows, champion: Model | None) -> Rows:
    """Note which of the staged rows the champion was kept from as well, where its rule is another one."""
    import numpy as np

    if champion is None:
        return rows
    nothing = replace(rows, kept_back=np.zeros(rows.tested.num_rows, bool))
    before = Split.from_record(champion.split)
    try:
        columns = tuple(find_column(name, source.types, "split column") for name in before.columns)
        kept = replace(before, columns=columns).expression(source.types)
        held_out = rows.split.expression(source.types)
        if kept == held_out:
            return rows
        # In the order of `reading.read`.
        found = fetch(
            lake.run(
                cursor,
                f"SELECT {kept} AS kept FROM temp.{STAGED} AS {ROW} "
                f"WHERE {source.labelled} AND {held_out} ORDER BY hash({ROW})",
            )
        )
    except WorkbenchError:  # the rows lack its columns, or these hold something else by now
        return nothing
    return replace(rows, kept_back=found["kept"].to_numpy())


def decide(
    condition: gate.Gate,
    challenger: Fitted,
    answers: Answers,
    metrics: Mapping[str, Score],
    champion: Model | None,
    load: Callable[[Model], Fitted],
    rows: Rows,
    *,
    seed: int,
) -> Decision:
    """Ask the gate, with the champion scored on the same held-out rows if it is compared.

    Parameters
    ----------
    answers, metrics : Answers, mapping of str to Score
        Of the challenger on the held-out rows.
    load : callable
        Makes the champion ready.
    seed : int
        Draws the resamples for the intervals of the differences.
    """
    import numpy as np

    scores = {
        name: float("nan") if each["value"] is None else each["value"] for name, each in metrics.items()
    }
    few = np.arange(min(rows.tested.num_rows, latency.ROWS))
    single = raw_rows(rows.tested.take(few)) if condition.asks_latency else None
    if single is not None:
        scores |= latency.measure(challenger, single)
    if champion is None or not condition.asks_champion:
        return gate.decide(condition, scores)
    # False and 0 are equal in Python, so the types of the classes are compared as well.
    kind = value_type(challenger.classes, challenger.task)
    if (champion.classes, champion.value_type) != (challenger.classes, kind):
        return _refused(condition, champion, "predicts other values and cannot be compared")
    try:
        former = load(champion)
        others = former.answers_of(former.from_raw(rows.tested.batches()), answers.truth)
        times = latency.measure(former, single) if single is not None else {}
    except WorkbenchError as error:
        return _refused(condition, champion, f"cannot be scored on these rows: {error.message}")
    places, where = _shared(rows, champion)
    one, other = answers.take(places), others.take(places)
    asked = {each.metric for each in condition.conditions if each.champion} - LATENCIES.keys()
    against = Comparison(
        champion.ref,
        {**scores, **point(challenger.task, one)},
        {**times, **point(challenger.task, other)},
        differences(one, other, sorted(asked), seed=seed),
        where,
        len(places),
    )
    return gate.decide(condition, scores, against)


def _refused(condition: gate.Gate, champion: Model, why: str) -> Decision:
    return Decision(False, f"not deployed: {champion.ref} {why}", str(condition), champion=champion.ref)


def _shared(rows: Rows, champion: Model) -> tuple[npt.NDArray[np.int64], str]:
    """Return the places among the held-out rows to compare on, and which these are in words."""
    import numpy as np

    count = rows.tested.num_rows
    everywhere = np.arange(count)
    same = f"on the same {count:,} held-out rows"
    if rows.kept_back is None:
        return everywhere, same
    places = np.flatnonzero(rows.kept_back)
    if len(places) >= LEAST_SHARED:
        return places, f"on the {len(places):,} held-out rows that {champion.ref} was kept from as well"
    rule = Split.from_record(champion.split)
    return everywhere, f"{same}, some of which {champion.ref}, divided by {rule}, may have learned from"
