#!/usr/bin/env python3
"""Write the words that the highlighting of cells knows into extension/src/cells/words.ts.

They come from the tables that the parser is made from. A test fails when the file is stale; then run:

    python scripts/cell_words.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb

from workbench.language import VERBS
from workbench.language.cells import NOTEBOOK_WORDS
from workbench.language.functions import store_functions
from workbench.language.grammar import RULES
from workbench.language.kinds import SQL_WORDS
from workbench.language.read import SQL_SHAPES
from workbench.language.scope import KEYWORDS
from workbench.language.statement import body_of, parts
from workbench.language.values import FLAGS
from workbench.language.verbs import clauses

TARGET = Path(__file__).resolve().parents[1] / "extension" / "src" / "cells" / "words.ts"


def words() -> dict[str, object]:
    """Collect the words."""
    choices = {word for cls in VERBS.values() for part in parts(cls) for word in part.words}
    values = {word.lower() for word in re.findall(r"(?<!\w)_([A-Z]+)(?!\w)", RULES)} | choices | {"log"}
    # Words that are no reserved ones in DuckDB are keywords only where a statement of ours may use them.
    keywords = duckdb.sql(
        "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')"
    ).fetchall()
    types = duckdb.sql(
        "SELECT DISTINCT lower(type_name) FROM duckdb_types() "
        "WHERE regexp_full_match(type_name, '\\w+') AND type_name NOT IN ('type', 'null', 'row', 'logical')"
    ).fetchall()
    return {
        "VERBS": {
            verb: {"clauses": clauses(cls), "body": body_of(cls) is not None} for verb, cls in VERBS.items()
        },
        "NOTEBOOK_WORDS": list(NOTEBOOK_WORDS),
        "VALUES": sorted(values),
        "OPTIONS": list(FLAGS),
        # The end of a text is written differently in JavaScript.
        "SQL_SHAPES": {verb: shape.replace(r"\Z", "$") for verb, shape in SQL_SHAPES.items()},
        "SQL_KEYWORDS": " ".join(sorted({row[0] for row in keywords} | set(KEYWORDS) | SQL_WORDS)),
        "SQL_TYPES": " ".join(sorted(row[0] for row in types)),
        "FUNCTIONS": sorted(name for name, _, _ in store_functions()),
    }


def text() -> str:
    """Write the module."""
    lines = ["// Written by scripts/cell_words.py from the tables of the parser. Do not edit."]
    lines += [f"export const {name} = {json.dumps(value, indent=2)};" for name, value in words().items()]
    return "\n\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
