"""The language: statement text ⇄ frozen Statement dataclasses ⇄ calls of the Store.

    text ──parse, parse_cell──▶ Statement ──call()──▶ Call ──to_python()──▶ Python source
      ◀────────str()─────────      │     ◀─from_call()─
                                   └──execute(store, …)──▶ what the Store's method returns

`statements.py` is the table that everything is made from: one dataclass per verb, whose fields say
how each clause is read, written, explained and completed. lark is imported when the first statement
is read, so importing this package costs nothing.
"""

from workbench.language.complete import complete
from workbench.language.complete_sql import Completion
from workbench.language.help import HelpText, help_text
from workbench.language.read import from_call, parse, parse_cell
from workbench.language.run import execute
from workbench.language.scan import split_file
from workbench.language.statement import Statement
from workbench.language.values import Call, Flags, Variable
from workbench.language.verbs import VERBS
from workbench.ranges import Range

__all__ = [
    "VERBS",
    "Call",
    "Completion",
    "Flags",
    "HelpText",
    "Range",
    "Statement",
    "Variable",
    "complete",
    "execute",
    "from_call",
    "help_text",
    "parse",
    "parse_cell",
    "split_file",
]
