"""What every statement is: a frozen dataclass whose fields say how they are read and written."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from workbench.language.kinds import KINDS, Kind
from workbench.language.values import NO_FLAGS, WIDTH, Call, Flags


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a verb: what stands after the verb, a clause, or the body.

    Attributes
    ----------
    keyword : str
        The clause's keywords in capitals; empty for what stands right after the verb, and the body.
    kind_name : str
        A key of `KINDS`.
    fields : tuple of str
        The fields of the Statement that it fills.
    help : str
    required, positional : bool
        Whether it must stand, and whether its Python argument is written without a name.
    words : tuple of str
        The words to choose from.
    shown, wants : str
        How a synopsis shows the value, and what completion offers for it.
    """

    keyword: str
    kind_name: str
    fields: tuple[str, ...]
    help: str
    required: bool
    positional: bool
    words: tuple[str, ...]
    shown: str
    wants: str

    @property
    def kind(self) -> Kind:
        """How its value is read and written."""
        return KINDS[self.kind_name]

    @property
    def is_clause(self) -> bool:
        """Whether it is a clause, which may stand anywhere after the head."""
        return bool(self.keyword)

    @property
    def synopsis(self) -> str:
        """The part as a synopsis shows it: `[KEY (cols)]`."""
        if self.kind_name == "body":
            return f"AS {self.shown}"
        inner = f"{self.keyword} {self.shown}".strip()
        return inner if self.required or self.kind.always else f"[{inner}]"

    def write(self, values: tuple[Any, ...]) -> str:
        """Write it with the values of its fields."""
        return f"{self.keyword} {self.kind.write(*values)}".strip()


def head(kind: str, does: str, *, also: tuple[str, ...] = (), **more: Any) -> Any:
    """Make a field for what stands right after the verb; `also` names further fields it fills."""
    return _part("", kind, does, also, {"positional": True, **more})


def clause(keyword: str, kind: str, does: str, *, also: tuple[str, ...] = (), **more: Any) -> Any:
    """Make a field for a clause."""
    return _part(keyword, kind, does, also, more)


def choice(keyword: str, words: str, does: str, **more: Any) -> Any:
    """Make a field for a clause that takes one of some words, given as `a|b|c`."""
    return _part(keyword, "choice", does, (), {"words": tuple(words.split("|")), "shown": words, **more})


def body(shown: str, does: str) -> Any:
    """Make the field for the body after AS."""
    return _part("", "body", does, (), {"positional": True, "shown": shown})


def _part(keyword: str, kind: str, does: str, also: tuple[str, ...], more: dict[str, Any]) -> Any:
    default = more.pop("default", MISSING)
    metadata = {"keyword": keyword, "kind": kind, "help": does, "also": also, **more}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement that was read, whatever its verb.

    Attributes
    ----------
    flags : Flags
        What concerns only this cell.
    verb : str
        The verb, which is also the name of the Store's method.
    example : str
        One statement with this verb.
    """

    verb: ClassVar[str] = ""
    example: ClassVar[str] = ""

    flags: Flags = NO_FLAGS

    def call(self) -> Call:
        """Say the statement as a call of the Store, without arguments that have their default."""
        positional = tuple(name for part in parts(type(self)) if part.positional for name in part.fields)
        arguments = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "flags" and (each.default is MISSING or value != each.default):
                arguments[each.name] = value
        return Call(self.verb, arguments, positional)

    def __str__(self) -> str:
        """Write the statement so that reading it again gives the same."""
        return write(self)


_parts: dict[str, tuple[Part, ...]] = {}


def parts(verb: type[Statement]) -> tuple[Part, ...]:
    """List the parts of a verb, in the order of its fields."""
    if verb.verb not in _parts:
        _parts[verb.verb] = tuple(
            _read_part(each.name, each.default is MISSING, dict(each.metadata))
            for each in fields(verb)
            if "kind" in each.metadata
        )
    return _parts[verb.verb]


def _read_part(name: str, required: bool, metadata: dict[str, Any]) -> Part:
    kind = KINDS[metadata["kind"]]
    return Part(
        keyword=metadata["keyword"],
        kind_name=metadata["kind"],
        fields=(name, *metadata["also"]),
        help=metadata["help"],
        required=required,
        positional=metadata.get("positional", False),
        words=metadata.get("words", ()),
        shown=metadata.get("shown", kind.shown),
        wants=metadata.get("wants", kind.wants),
    )


def body_of(verb: type[Statement]) -> Part | None:
    """Return the part that is the body of a verb, None where it takes none."""
    return next((part for part in parts(verb) if part.kind_name == "body"), None)


def write(statement: Statement) -> str:
    """Write a statement as canonical text."""
    said = [statement.verb]
    for part in parts(type(statement)):
        values = tuple(getattr(statement, name) for name in part.fields)
        if part.kind_name != "body" and _is_said(statement, part, values):
            said.append(part.write(values))
    if str(statement.flags):
        said.append(str(statement.flags))
    text = " ".join(said)
    if len(text) > WIDTH:
        text = "\n    ".join(said[:1] + said[1:]).replace("\n    ", " ", 1)
    body_part = body_of(type(statement))
    return text if body_part is None else f"{text} AS\n{getattr(statement, body_part.fields[0])}"


def _is_said(statement: Statement, part: Part, values: tuple[Any, ...]) -> bool:
    defaults = {each.name: each.default for each in fields(statement)}
    return (
        part.required
        or part.kind.always
        or any(value != defaults[name] for name, value in zip(part.fields, values, strict=True))
    )
