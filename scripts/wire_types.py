#!/usr/bin/env python3
"""Write the TypeScript of what goes over the wire: `extension/src/wire.ts`, from `workbench/server/wire.py`.

A test fails when the file is out of date; run this script then.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path

from workbench.server.wire import TYPES

TARGET = Path(__file__).resolve().parents[1] / "extension" / "src" / "wire.ts"
_HEAD = "// Made by scripts/wire_types.py from workbench/server/wire.py; edit that."
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def typescript() -> str:
    """Write all types, and the answer that each comes in."""
    parts = [_HEAD, *(_interface(each) for each in TYPES), _ANSWER]
    return "\n\n".join(parts) + "\n"


_ANSWER = """\
/** Every answer: one of the two is null. */
export interface Answer<T> {
  data: T | null;
  problem: Problem | null;
}"""


def _interface(cls: type) -> str:
    hints = typing.get_type_hints(cls)
    fields = [f"  {each.name}: {_type(hints[each.name])};" for each in dataclasses.fields(cls)]
    about = (cls.__doc__ or "").strip().splitlines()[0]
    return f"/** {about} */\nexport interface {cls.__name__} {{\n" + "\n".join(fields) + "\n}"


def _type(hint: object) -> str:
    if dataclasses.is_dataclass(hint):
        assert hint in TYPES, f"{hint} is not in TYPES"
        return typing.cast("type", hint).__name__
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(f"'{each}'" for each in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(_type, arguments)))
    if origin is tuple:
        assert arguments[1:] == (Ellipsis,), f"{hint}: only lists go over the wire"
        inner = _type(arguments[0])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    return _PLAIN[typing.cast("type", hint)]


if __name__ == "__main__":
    TARGET.write_text(typescript(), encoding="utf-8")
