"""Run the code blocks of one page, in order, in one fresh store: `python tests/snippets.py [--parse] PAGE`.

Blocks tagged `python` or `mlstore` are code. A comment on the line before a block says what else to do with
it: `<!-- fails -->`, it must end in one of our errors; `<!-- parsed -->`, it is read but not run. A block of
`mlstore` that starts with `%` is a cell; any other is read like a file, with `---` between statements. With
`--parse`, all blocks are only read: for a reference, whose examples stand alone.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<tag>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!-- *(fails|parsed)\b[^>]*-->\s*$")


@dataclass(frozen=True)
class Snippet:
    """A code block: its language, its text, where it stands, and what its comment says."""

    tag: str
    text: str
    line: int
    mark: str

    @property
    def is_cell(self) -> bool:
        return self.tag == "python" or self.text.startswith("%")


def snippets(page: str) -> Iterator[Snippet]:
    """Yield the `python` and `mlstore` blocks of a page of Markdown."""
    for match in FENCE.finditer(page):
        if match["tag"] not in {"python", "mlstore"}:
            continue
        indent = len(match["indent"])
        text = "".join(line[indent:] or "\n" for line in match["body"].splitlines(keepends=True))
        mark = MARK.search(page[: match.start()])
        yield Snippet(
            match["tag"], text.strip("\n"), page.count("\n", 0, match.start()) + 1, mark[1] if mark else ""
        )


def parse(snippet: Snippet) -> None:
    """Read a block without running it; raises where it cannot be read."""
    from workbench import language

    if snippet.tag == "python":
        ast.parse(re.sub(r"^%.*$", "", snippet.text, flags=re.MULTILINE))
        return
    for _, statement in language.split_file(snippet.text):
        language.parse(statement)


def read(page: Path) -> list[str]:
    """Read a page's blocks; return what went wrong."""
    from workbench.errors import WorkbenchError

    wrong = []
    for snippet in snippets(page.read_text(encoding="utf-8")):
        try:
            parse(snippet)
        except (WorkbenchError, SyntaxError) as error:
            if snippet.mark != "fails":
                wrong.append(f"{page.name}:{snippet.line} {type(error).__name__}: {error}")
    return wrong


def run(page: Path) -> list[str]:
    """Run a page's blocks in a shell of its own; return what went wrong."""
    from IPython.core.interactiveshell import InteractiveShell

    import workbench
    from workbench.errors import WorkbenchError

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "workbench")
    wrong = []
    for snippet in snippets(page.read_text(encoding="utf-8")):
        print(f"{page.name}:{snippet.line}", flush=True)
        if snippet.mark == "parsed":
            parse(snippet)
            continue
        code = snippet.text if snippet.is_cell else f"workbench.connect().execute({snippet.text!r})"
        shell.push({"workbench": workbench})
        result = shell.run_cell(code)
        error = result.error_before_exec or result.error_in_exec
        place = f"{page.name}:{snippet.line}"
        if snippet.mark == "fails" and not isinstance(error, WorkbenchError):
            wrong.append(f"{place} should have ended in one of our errors, not {error!r}")
        if not snippet.mark and error is not None:
            wrong.append(f"{place} {type(error).__name__}: {error}")
    return wrong


if __name__ == "__main__":
    *options, name = sys.argv[1:]
    failures = (read if options == ["--parse"] else run)(Path(name))
    print(*failures, sep="\n", file=sys.stderr)
    sys.exit(bool(failures))
