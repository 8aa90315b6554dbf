"""How a search stands: the best score over the trials as a line, and the best settings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.train.trials import Trial

_WIDTH, _HEIGHT = 420, 64
_SHOWN = 5


def is_search(detail: object) -> bool:
    """Tell whether the detail of an event are the trials of a search."""
    return isinstance(detail, tuple) and len(detail) > 0 and hasattr(detail[0], "algorithm")


def board(detail: object) -> str:
    """Write the trials of a search as a picture and a table; anything else as nothing."""
    if not is_search(detail):
        return ""
    from workbench.train.evaluate import MEASURES
    from workbench.train.trials import Trial, ranked

    trials = [each for each in detail if isinstance(each, Trial)] if isinstance(detail, tuple) else []
    more = MEASURES[trials[0].metric].more_is_better
    best = ranked(trials, more_is_better=more)[:_SHOWN]
    rows = "".join(_row(trial) for trial in best)
    head = f"<tr><th>trial</th><th>algorithm</th><th>{escape(trials[0].metric)}</th><th>parameters</th></tr>"
    table = f'<table class="mls-grid"><thead>{head}</thead><tbody>{rows}</tbody></table>' if best else ""
    return f"{_line(trials, more_is_better=more)}{table}"


def _row(trial: Trial) -> str:
    params = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in trial.params.items()
    )
    score = f"{trial.value:.4g} ± {trial.spread:.2g}"
    return (
        f"<tr><td>{trial.trial}</td><td>{escape(trial.algorithm)}</td><td>{score}</td>"
        f"<td>{escape(params)}</td></tr>"
    )


def _line(trials: Sequence[Trial], *, more_is_better: bool) -> str:
    """Draw the best value so far, trial by trial."""
    values: list[float] = []
    for trial in trials:
        if trial.status == "ok" and trial.value is not None:
            pick = max if more_is_better else min
            values.append(pick(values[-1], trial.value) if values else trial.value)
    if len(values) < 2 or min(values) == max(values):
        return ""
    low, high = min(values), max(values)
    across, up = _WIDTH / (len(values) - 1), (_HEIGHT - 8) / (high - low)
    steps = [
        f"{place * across:.1f},{_HEIGHT - 4 - (value - low) * up:.1f}" for place, value in enumerate(values)
    ]
    name = escape(trials[0].metric)
    label = f"Best {name} over {len(values)} trials: from {values[0]:.4g} to {values[-1]:.4g}"
    return (
        f'<svg class="mls-search" role="img" aria-label="{label}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><title>{label}</title>'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.5" points="{" ".join(steps)}"/></svg>'
    )
