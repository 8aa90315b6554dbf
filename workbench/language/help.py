"""The help of the verbs, made from the same table as the grammar."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from workbench.errors import NotFound
from workbench.language.statement import Part, Statement, body_of, parts
from workbench.language.values import FLAGS
from workbench.language.verbs import METHODS

_TRIGGERS = """\
manual                            only when asked
on write                          when an input is written to
every '1 hour'                    by the clock
cron '0 6 * * *' tz 'Asia/Tokyo'  by a calendar
changed >= 5% OF (a, b)           when that share of the rows changed; OF names the columns that count
drift(psi) > 0.2                  when the data has moved
metric(auc) < 0.8                 when the model has become worse
after NAME                        when something else was refreshed
Combine them with and, or and parentheses; COOLDOWN '6 h' sets the least time between two."""


@dataclass(frozen=True, slots=True)
class HelpText:
    """The help that `--help` shows.

    Attributes
    ----------
    text : str
    verb : str or None
        The verb it is about; None for all.
    """

    text: str
    verb: str | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


def help_text(verb: str | None = None) -> str:
    """Explain a verb, or list all of them.

    Parameters
    ----------
    verb : str or None
        A verb, or `sql`.

    Returns
    -------
    str
        The synopsis, what the verb does, a line for each clause, and an example.

    Raises
    ------
    NotFound
        If there is no such verb.

    Examples
    --------
    >>> print(help_text("refit"))
    refit NAME
    <BLANKLINE>
    Fit the statistics of a transform again: a new version of it.
    <BLANKLINE>
      NAME  The transform.
    <BLANKLINE>
    Example:
      refit flight_features
    """
    if verb is None:
        return _overview()
    if verb.lower() not in METHODS:
        raise NotFound.named("verb", verb, METHODS)
    cls = METHODS[verb.lower()]
    blocks = [synopsis(cls), summary(cls), _table(_explained(cls))]
    if any(part.kind_name == "trigger" for part in parts(cls)):
        blocks.append("A trigger is:\n" + textwrap.indent(_TRIGGERS, "  "))
    blocks.append("Example:\n" + textwrap.indent(cls.example, "  "))
    return "\n\n".join(block for block in blocks if block)


def synopsis(verb: type[Statement]) -> str:
    """Show a verb with all its clauses, as in `undo NAME TO @n`."""
    if verb.verb == "sql":
        return "%%mlstore\nselect…"
    # The body stands last, wherever its Python argument does.
    said = [verb.verb] + [part.synopsis for part in parts(verb) if part.kind_name != "body"]
    body = body_of(verb)
    said += [] if body is None else [body.synopsis]
    # A synopsis breaks only between its parts.
    kept = [each.replace(" ", "\0") for each in said]
    return textwrap.fill(
        " ".join(kept), 96, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    ).replace("\0", " ")


def summary(verb: type[Statement]) -> str:
    """Say in one line what a verb does."""
    return (verb.__doc__ or "").strip().partition("\n")[0]


def _explained(verb: type[Statement]) -> list[tuple[str, str]]:
    return [(_left(part), part.help) for part in parts(verb)]


def _left(part: Part) -> str:
    return f"{part.keyword} {part.shown}".strip() if part.kind_name != "body" else f"AS {part.shown}"


def _table(rows: list[tuple[str, str]]) -> str:
    width = min(max((len(left) for left, _ in rows), default=0), 44)
    lines = []
    for left, right in rows:
        gap = f"\n  {'':{width}}" if len(left) > width else ""
        lines.append(f"  {left:{width}}{gap}  {right}")
    return "\n".join(lines)


def _overview() -> str:
    verbs = _table([(verb, summary(cls)) for verb, cls in METHODS.items()])
    flags = _table([(f"--{name} {argument}".strip(), does) for name, (argument, does) in FLAGS.items()])
    return (
        "%%mlstore runs the SQL below it. %mlstore and %%mlstore followed by a verb run a statement;\n"
        "a body starts after a line that is AS or ends in AS.\n\n"
        f"Verbs:\n{verbs}\n\nOptions of every statement:\n{flags}\n\n"
        "%mlstore VERB --help shows a verb's clauses and an example."
    )
