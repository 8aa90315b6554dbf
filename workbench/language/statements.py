"""The verbs that make something, one dataclass each.

The fields are the arguments of the Store's method of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from workbench.language.statement import Statement, body, choice, clause, head
from workbench.language.values import Call

_WHEN = "When to refresh by itself, such as on write, every '1 hour' or changed >= 5%."


@dataclass(frozen=True, kw_only=True)
class Sql(Statement):
    """Run DuckDB SQL; what it writes is one commit."""

    verb: ClassVar[str] = "sql"
    example: ClassVar[str] = "%%mlstore\nselect dest, count(*) from flights group by dest"

    query: str = body("select…", "One or more SQL statements, passed on untouched.")

    def __str__(self) -> str:
        # The magic's line says that what follows is SQL whatever it looks like, and holds the flags.
        return f"%%mlstore {self.flags}".rstrip() + f"\n{self.query}"


@dataclass(frozen=True, kw_only=True)
class Help(Statement):
    """Show the help of a verb, or of all of them: what `--help` makes of any statement."""

    verb: ClassVar[str] = "help"

    topic: str | None = None

    def call(self) -> Call:
        """Say it as a call; `execute` answers it without the Store."""
        return Call("help", {} if self.topic is None else {"verb": self.topic}, ("verb",))

    def __str__(self) -> str:
        flags = str(self.flags) if self.flags.help else f"{self.flags} --help".strip()
        return f"%mlstore {flags}" if self.topic is None else f"{self.topic} {flags}"


@dataclass(frozen=True, kw_only=True)
class Query(Statement):
    """Give a query a name, to be used like a table everywhere."""

    verb: ClassVar[str] = "query"
    example: ClassVar[str] = (
        "query delays AS\nselect dest, avg(arr_delay) as delay from flights group by dest"
    )

    name: str = head("name", "The name of the query.")
    query: str = body("select…", "The query, in SQL.")


@dataclass(frozen=True, kw_only=True)
class Load(Statement):
    """Load files or a data frame into a table."""

    verb: ClassVar[str] = "load"
    example: ClassVar[str] = (
        "load flights FROM 'data/flights-*.csv' KEY (id) MODE merge OPTIONS {nullstr: 'NA'}"
    )

    table: str = head(
        "name", "The table to load into; it is made if it is not there.", wants="table", shown="TABLE"
    )
    source: object = clause(
        "FROM", "source", "A path, a URL, a pattern of paths, or a Python variable.", positional=True
    )
    key: tuple[str, ...] | str | None = clause(
        "KEY", "key", "The columns that identify a row; auto adds a column _id.", default=None
    )
    mode: str = choice(
        "MODE", "append|merge|replace", "What becomes of the rows that are there.", default="append"
    )
    format: str | None = clause(
        "FORMAT",
        "word",
        "The format, where the name does not tell.",
        default=None,
        shown="csv|parquet|json|…",
    )
    options: Mapping[str, Any] | None = clause("OPTIONS", "settings", "Options of the reader.", default=None)


@dataclass(frozen=True, kw_only=True)
class Transform(Statement):
    """Keep an engineered table up to date from a query or a Python function."""

    verb: ClassVar[str] = "transform"
    example: ClassVar[str] = (
        "transform flight_features ON flights KEY (id) WHEN on write AS\n"
        "select id, standardize(distance) as distance, one_hot(origin) from flights"
    )

    name: str = head("name", "The name of the transform, and of its table.", wants="transform")
    query: str = body("body", "A query, or the source of a Python function.")
    on: str | None = clause(
        "ON", "ref", "The table it is built on.", default=None, wants="table", shown="TABLE"
    )
    key: tuple[str, ...] = clause("KEY", "columns", "The columns that identify a row of the result.")
    when: str = clause("WHEN", "trigger", _WHEN, default="manual")
    refit_when: str | None = clause(
        "REFIT WHEN", "trigger", "When to fit the statistics of built-in steps again.", default=None
    )
    using: str = choice("USING", "sql|python|ibis", "The language of the body.", default="sql")


@dataclass(frozen=True, kw_only=True)
class Train(Statement):
    """Train a model on a query; each training makes a new version."""

    verb: ClassVar[str] = "train"
    example: ClassVar[str] = (
        "train late LABEL late KEY (id)\n"
        "    MODEL xgboost PARAMS {max_depth: 3..9, learning_rate: 0.01..0.3 log} TUNE 30 TRIALS\n"
        "    BUDGET '5 min' SPLIT BY time(day) HOLDOUT 20% METRIC auc DEPLOY WHEN auc >= champion AS\n"
        "select id, day, distance, origin, arr_delay > 15 as late from flights"
    )

    name: str = head("name", "The name of the model.", wants="model")
    query: str = body("select…", "The query that gives the training rows.")
    label: str | None = clause(
        "LABEL", "column", "The column to predict; kmeans, pca and the like need none.", default=None
    )
    key: tuple[str, ...] | None = clause("KEY", "columns", "The columns that identify a row.", default=None)
    features: tuple[str, ...] | None = clause(
        "FEATURES", "columns", "The columns to learn from; all others are left out.", default=None
    )
    exclude: tuple[str, ...] | None = clause(
        "EXCEPT", "columns", "The columns not to learn from, in place of FEATURES.", default=None
    )
    prepare: str = choice(
        "PREPARE", "auto|none", "Whether to prepare the columns for the model.", default="auto"
    )
    model: str = clause(
        "MODEL", "model", "The algorithm, or auto.", default="auto", shown="algorithm|auto", wants="algorithm"
    )
    params: Mapping[str, Any] | None = clause(
        "PARAMS", "space", "Parameters of the algorithm; lo..hi is a range to search.", default=None
    )
    tune: int | None = clause("TUNE", "trials", "How many settings to try.", default=None)
    budget: str | None = clause(
        "BUDGET", "text", "How long the training may take in all.", default=None, shown="'5 min'"
    )
    weight: str | None = clause(
        "WEIGHT", "column", "The column that says how much each row counts.", default=None
    )
    split: str = clause("SPLIT BY", "split", "How rows are held out.", default="hash")
    holdout: float = clause("HOLDOUT", "share", "How many rows are held out.", default=0.2)
    metric: str | None = clause("METRIC", "word", "The metric that decides.", default=None, shown="metric")
    seed: int = clause("SEED", "count", "The seed of all that is random.", default=0)
    when: str = clause("WHEN", "trigger", "When to train again.", default="manual")
    deploy: str = clause("DEPLOY", "gate", "Whether the new version becomes the champion.", default="always")


@dataclass(frozen=True, kw_only=True)
class Bind(Statement):
    """Keep the predictions of a model beside a table, as a column."""

    verb: ClassVar[str] = "bind"
    example: ClassVar[str] = (
        "bind late ON flights(distance, origin) MODEL late@champion WHEN on write MODE async"
    )

    column: str = head("column", "The name of the predicted column.", shown="COLUMN", wants="")
    on: str = clause("ON", "inputs", "The table, and the columns the model gets.", also=("inputs",))
    model: str = clause("MODEL", "model", "The model: late@champion, 'py:module:function'.")
    inputs: tuple[str, ...] | None = None
    when: str = clause("WHEN", "trigger", "When to predict again.", default="on write")
    mode: str = choice("MODE", "sync|async", "Whether a write waits for its predictions.", default="sync")
    on_error: str = choice("ON ERROR", "null|keep|fail", "What to do with rows that fail.", default="null")
    batch: int | None = clause("BATCH", "count", "How many rows the model gets at once.", default=None)
    isolate: str | None = choice(
        "ISOLATE",
        "none|process|env|container",
        "Where the model runs; one from elsewhere in a process of its own.",
        default=None,
    )
    retry: int = clause(
        "RETRY", "count", "How often a call that failed for a passing reason is made again.", default=0
    )
    rate: str | None = clause(
        "RATE", "text", "How many calls of the model are made in a time.", default=None, shown="'n/s'"
    )


@dataclass(frozen=True, kw_only=True)
class Export(Statement):
    """Write a table or a query to files."""

    verb: ClassVar[str] = "export"
    example: ClassVar[str] = (
        "export (select * from flight_features where late is not null) TO 'out/late.libsvm' "
        "FORMAT libsvm LABEL late"
    )

    source: str = head("relation", "A table, a version of one, or a query in parentheses.")
    to: str = clause("TO", "text", "The file or folder to write.", positional=True, shown="'path'")
    format: str = choice("FORMAT", "csv|jsonl|parquet|arrow|libsvm|tfrecord|recordio", "The format to write.")
    label: str | None = clause(
        "LABEL", "column", "The column to predict, for formats with one.", default=None
    )
    features: tuple[str, ...] | None = clause("FEATURES", "columns", "The columns to write.", default=None)
    split: str | None = clause("SPLIT BY", "split", "How rows are parted into train and test.", default=None)
    holdout: float | None = clause("HOLDOUT", "share", "How many rows go to test.", default=None)
    shuffle: int | None = clause(
        "SHUFFLE", "count", "The seed to shuffle the rows with.", default=None, shown="seed"
    )
    shards: int = clause("SHARDS", "count", "How many files to write.", default=1)
