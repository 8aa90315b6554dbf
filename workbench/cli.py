"""The shell command `mlstore`: statements, files of statements, and templates.

mlstore describe flights
mlstore sql "select count(*) from flights"
mlstore run pipeline.mls --store data/mlstore
mlstore template new quickstart
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from workbench.errors import InvalidData, StatementError, WorkbenchError
from workbench.plain import Report, blocks, bound, render, templates
from workbench.plain.failures import block, interrupted
from workbench.plain.nouns import ROWS
from workbench.plain.running import announced
from workbench.plain.ticker import terminal_ticker
from workbench.progress import both, watch

if TYPE_CHECKING:
    from workbench.store import Store

OK, FAILED, MISUSED, STOPPED = 0, 1, 2, 130

_USAGE = """\
usage: mlstore [--store DIR] [--format table|csv|json] STATEMENT...
       mlstore [--store DIR] run FILE          statements separated by lines of ---
       mlstore sql "select ..."
       mlstore trust [NAME...] [--yes]        approve the Python code and models in a store
       mlstore serve [--port N] [--help]      let bound models answer over HTTP
       mlstore template list
       mlstore template new NAME [PATH]
       mlstore --version

--store DIR     the store's folder or address (default: mlstore, in this folder)
--format F      how rows are written: table (default), csv or json

A statement has its own flags: mlstore VERB --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 after an error, 2 after misuse, 130 after Ctrl-C."""
    options, words = _arguments(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(options, words)
    except WorkbenchError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(interrupted(None, datetime.now(UTC)))
    except BrokenPipeError:  # Such as `mlstore tables | head -1`.
        sys.stderr.close()
        return OK


def _arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Part this command's own options from the words of the statement, which stay in order."""
    parser = argparse.ArgumentParser("mlstore", add_help=False, allow_abbrev=False, usage=_USAGE[7:])
    parser.add_argument("--store")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.add_argument("--version", action="store_true")
    return parser.parse_known_args(list(argv))


def _dispatch(options: argparse.Namespace, words: list[str]) -> int:
    if options.version:
        print(f"mlstore {_version()}")
        return OK
    if not words or words in (["--help"], ["-h"], ["help"]):
        return _help(bool(words))
    if words[0] == "template":
        _write(templates.answer(words[1:]), options.format, ROWS)
        return OK
    if words[0] == "run":
        return _run_file(options, words[1:])
    if words[0] == "trust":
        return _trust(options.store, words[1:])
    if words[0] == "serve":
        return _serve(options.store, words[1:])
    text = _statement(words)
    if "--help" in words:
        return _help_on(text)
    with _open(options.store) as session:
        session.run(text, options.format)
    return OK


def _trust(address: str | None, words: Sequence[str]) -> int:
    """Show the code and the models in a store that may not run here, and let them when the user says so."""
    names = [word for word in words if not word.startswith("-")]
    with _open(address) as session:
        waiting = [each for each in session.store.unapproved() if not names or each.name in names]
    if not waiting:
        print("All Python code and models in this store are approved on this machine.")
        return OK
    for each in waiting:
        print(f"-- {each.kind} {each.name}, version {each.version}\n{each.text.rstrip()}\n")
    if "--yes" not in words:
        if not sys.stdin.isatty():
            raise StatementError(
                "Nothing was approved.", hint="If you trust who made it, say: mlstore trust --yes"
            )
        if input(f"Let this run on this machine ({len(waiting)})? [y/N] ").strip().lower() not in (
            "y",
            "yes",
        ):
            print("Nothing was approved.")
            return FAILED
    with _open(address) as session:
        session.store.approve(each.name for each in waiting)
    print(f"Approved: {', '.join(dict.fromkeys(each.name for each in waiting))}")
    return OK


def _serve(address: str | None, words: Sequence[str]) -> int:
    from workbench.serve import command

    options = command.arguments(words)
    with _open(address) as session:
        command.serve(session.store, options)
    return OK


def _help(asked: bool) -> int:
    from workbench.language import help_text

    print(f"{_USAGE}\n\n{help_text()}", file=sys.stdout if asked else sys.stderr)
    return OK if asked else MISUSED


def _help_on(text: str) -> int:
    """Answer `mlstore VERB --help`, which needs no store."""
    from workbench.language import execute

    _write(execute(None, text), "table", ROWS)
    return OK


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlstore")
    except PackageNotFoundError:
        return "(not installed)"


def _statement(words: Sequence[str]) -> str:
    """Put a statement together from the words that the shell has left of it.

    The shell takes the quotes away. The words are tried as they are; where that cannot be read,
    with quotes around those that look like paths or hold spaces.
    """
    from workbench.language import parse

    if words[0].lower() == "sql":
        return " ".join(words[1:])
    text = " ".join(words)
    try:
        parse(text)
    except StatementError:
        quoted = " ".join(_quoted(words))
        try:
            parse(quoted)
        except StatementError:
            return text
        return quoted
    return text


def _quoted(words: Sequence[str]) -> list[str]:
    r"""Quote the words that need it, up to the body.

    Examples
    --------
    >>> _quoted(["load", "trips", "FROM", "data/*.csv", "KEY", "(a, b)"])
    ['load', 'trips', 'FROM', "'data/*.csv'", 'KEY', '(a, b)']
    """
    upper = [word.upper() for word in words]
    end = upper.index("AS") if "AS" in upper else len(words)
    return [_quote(word) if i < end else word for i, word in enumerate(words)]


def _quote(word: str) -> str:
    needs = any(character in word for character in " /\\*:") or Path(word).suffix in _SUFFIXES
    if not needs or word[:1] in "'\"({[$-":
        return word
    return "'" + word.replace("'", "''") + "'"


_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow", ".libsvm", ".tfrecord", ".recordio")


def _run_file(options: argparse.Namespace, words: Sequence[str]) -> int:
    from workbench.language import split_file

    if len(words) != 1:
        print("usage: mlstore run FILE [--store DIR] [--format table|csv|json]", file=sys.stderr)
        return MISUSED
    try:
        text = Path(words[0]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{words[0]} cannot be read: {error}.") from error
    with _open(options.store) as session:
        for line, statement in split_file(text):
            try:
                session.run(statement, options.format)
            except WorkbenchError as error:
                return _fail(error, f"{words[0]}:{_line(error, line)}: ")
    return OK


def _line(error: WorkbenchError, start: int) -> int:
    """Return the line of the file that an error is about: that of the statement at least."""
    within = error.line if isinstance(error, StatementError) else None
    return start + (within or 1) - 1


class Session:
    """A store, and the values that `--as` has given names to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.variables: dict[str, object] = {}

    def __enter__(self) -> Session:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.store.close()

    def run(self, text: str, form: str) -> None:
        """Run one statement and write its answer."""
        from workbench.language import execute, parse

        statement = parse(text)
        flags = statement.flags
        begun = datetime.now(UTC)
        try:
            told = announced(self.store.folder, str(statement).strip().splitlines()[0])
            with terminal_ticker() as bar, told as teller, watch(both(bar, teller)):
                value = execute(self.store, statement, variables=self.variables)
        except KeyboardInterrupt:
            raise interrupted(self.store, begun) from None
        if flags.as_ is not None:
            self.variables[flags.as_] = value
            value = bound(flags.as_, value)
        if not flags.quiet:
            _write(value, form, flags.limit or ROWS)


def _open(address: str | None) -> Session:
    from workbench import connect

    return Session(connect(address))


def _fail(error: WorkbenchError, place: str = "") -> int:
    print(place + block(error, styled=sys.stderr.isatty()), file=sys.stderr)
    return STOPPED if error.code == "interrupted" else FAILED


def _write(value: object, form: str, limit: int) -> None:
    """Write an answer: text for people, or all rows for programs."""
    table = None if form == "table" else _table(value)
    if table is None:
        width = shutil.get_terminal_size((160, 24)).columns
        text = render(blocks(value, limit=limit), width=width) if value is not None else ""
        if text:
            print(text)
    elif form == "json":
        print(json.dumps(table.dicts(), default=_json, ensure_ascii=False))
    else:
        table.write_csv(sys.stdout)


@dataclass(frozen=True, slots=True)
class Table:
    """An answer as rows, for programs."""

    names: Sequence[str]
    rows: Sequence[Mapping[str, Any]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries."""
        return [dict(row) for row in self.rows]

    def write_csv(self, out: TextIO) -> None:
        """Write the rows as CSV, nested values as JSON."""
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows([_csv(row[name]) for name in self.names] for row in self.rows)


def _table(value: object) -> Table | None:
    """Return an answer as rows; None where it has none, such as a note."""
    if hasattr(value, "to_arrow"):
        arrow = value.to_arrow()
        return Table(arrow.column_names, arrow.to_pylist())
    if isinstance(value, list):
        parts = [part for part in map(_table, value) if part is not None]
        return Table(parts[0].names if parts else [], [row for part in parts for row in part.rows])
    if dataclasses.is_dataclass(value) and not isinstance(value, type | Report):
        names = [each.name for each in dataclasses.fields(value) if not each.name.startswith("_")]
        return Table(names, [{name: getattr(value, name) for name in names}])
    return None


def _csv(value: object) -> object:
    nested = isinstance(value, Mapping | list | tuple) or dataclasses.is_dataclass(value)
    return json.dumps(value, default=_json, ensure_ascii=False) if nested else value


def _json(value: object) -> object:
    """Say what JSON has no word for: answers inside answers as rows, the rest as text."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, bytes):
        return value.hex()
    table = _table(value)
    if table is None:
        return str(value)
    return table.dicts() if hasattr(value, "to_arrow") else table.dicts()[0]


if __name__ == "__main__":
    sys.exit(main())
