"""SQL over lines: a clause on each, a long list with an item on each, subqueries indented."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workbench.language.scan import sql_pieces

WIDTH = 88
SHORT = 60
"""A query that is shorter than this, and that nothing divides, stays on one line."""

_INDENT = "    "
_OPERATOR = re.compile(r"=|==|<|>|<=|>=|<>|!=|\|\|")
_JOIN = r"(?:natural )?(?:(?:asof|left|right|full|inner|cross|positional|anti|semi|outer) )*join"
_CLAUSE = re.compile(
    rf"(?:select|from|where|group by|having|qualify|order by|limit|offset|{_JOIN}"
    r"|union(?: all)?(?: by name)?|intersect(?: all)?|except(?= (?:all|select|from|with|values|\())(?: all)?"
    r"|values|set|returning|on conflict)(?!\S)"
)
_QUERY = ("select", "from", "with", "values", "pivot", "unpivot", "describe", "summarize")
_CONDITIONS = ("where", "having", "qualify", "on")


@dataclass(slots=True)
class _Atom:
    """A word, an operator or a comment: its text, and whether a space or a line break stood before it."""

    text: str
    kind: str
    spaced: bool
    broken: bool

    @property
    def is_line_comment(self) -> bool:
        return self.kind == "comment" and self.text.startswith("--")


@dataclass(slots=True)
class _Group:
    """What stands between parentheses, brackets or braces."""

    opening: _Atom
    inside: list[_Node] = field(default_factory=list)
    closing: _Atom | None = None

    @property
    def is_query(self) -> bool:
        first = next((each for each in self.inside if _kind(each) != "comment"), None)
        return self.opening.text == "(" and isinstance(first, _Atom) and first.text.lower() in _QUERY


_Node = _Atom | _Group


def lines_of(sql: str) -> str:
    r"""Lay out SQL, whatever its statements; only the space between its words changes.

    Examples
    --------
    >>> print(lines_of("select a, (select max(b) from u where u.id=t.id and u.kind = 'one') as b from t"))
    select a, (select max(b) from u where u.id = t.id and u.kind = 'one') as b
    from t
    """
    nodes = _tree(list(_atoms(sql)))
    statements = _split(nodes, ";")
    made = [_query(each, "") for each in statements]
    text = "\n\n".join(each for each in made if each)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _atoms(sql: str) -> Iterator[_Atom]:
    spaced = broken = False
    pending: _Atom | None = None
    for piece in sql_pieces(sql):
        text = sql[piece.start : piece.end]
        if piece.kind == "space":
            spaced, broken = True, broken or "\n" in text
            continue
        joins = piece.kind == "other" and text not in ",;"
        if pending is not None and joins and not spaced:
            pending.text += text
            continue
        if pending is not None:
            yield pending
            pending = None
        atom = _Atom(text.rstrip() if piece.kind == "comment" else text, piece.kind, spaced, broken)
        spaced = broken = False
        if joins:
            pending = atom
        else:
            yield atom
    if pending is not None:
        yield pending


def _tree(atoms: Sequence[_Atom]) -> list[_Node]:
    top: list[_Node] = []
    open_groups: list[_Group] = []
    for atom in atoms:
        inner = open_groups[-1].inside if open_groups else top
        if atom.kind == "open":
            group = _Group(atom)
            inner.append(group)
            open_groups.append(group)
        elif atom.kind == "close" and open_groups:
            open_groups.pop().closing = atom
        else:
            inner.append(atom)
    return top


def _kind(node: _Node) -> str:
    return node.kind if isinstance(node, _Atom) else "group"


def _split(nodes: Sequence[_Node], mark: str) -> list[list[_Node]]:
    """Split at a mark, which ends each part, with the comment that follows it on its line."""
    found: list[list[_Node]] = [[]]
    for node in nodes:
        ended = [each for each in found[-1] if _kind(each) != "comment"]
        trails = isinstance(node, _Atom) and node.kind == "comment" and not node.broken
        if _ends(ended, mark) and not (trails and _ends(found[-1], mark)):
            found.append([])
        found[-1].append(node)
    return [each for each in found if each]


def _ends(nodes: Sequence[_Node], mark: str) -> bool:
    return bool(nodes) and isinstance(nodes[-1], _Atom) and nodes[-1].text == mark


def _query(nodes: Sequence[_Node], indent: str) -> str:
    """Lay out a statement or subquery: on one line where it is short, else a clause on each line."""
    line = _inline(nodes)
    clauses = _clauses(nodes)
    if line is not None and len(line) <= SHORT and len(clauses) <= 3:
        return indent + line
    return "\n".join(_clause(each, indent) for each in clauses)


def _clauses(nodes: Sequence[_Node]) -> list[list[_Node]]:
    """Split where a clause begins."""
    words = [each.text.lower() if isinstance(each, _Atom) else "(" for each in nodes]
    found: list[list[_Node]] = [[]]
    end = 0
    for place, node in enumerate(nodes):
        if place >= end and _kind(node) == "word":
            match = _CLAUSE.match(" ".join(words[place : place + 6]))
            if match is not None and not _is_in_expression(words, place):
                end = place + len(match[0].split())
                if found[-1] and not _is_only_comments(found[-1]):
                    found.append([])
        if isinstance(node, _Atom) and node.kind == "comment" and node.broken and found[-1]:
            # A comment on a line of its own goes with the clause that it stands before.
            following = " ".join(_after_comments(nodes[place:]))
            if _CLAUSE.match(following):
                found.append([])
        found[-1].append(node)
    return [each for each in found if each]


def _after_comments(nodes: Sequence[_Node]) -> list[str]:
    kept = [each for each in nodes if _kind(each) != "comment"][:6]
    return [each.text.lower() if isinstance(each, _Atom) else "(" for each in kept]


def _is_in_expression(words: Sequence[str], place: int) -> bool:
    """Tell `is distinct from` and `insert … values` in a MERGE from clauses."""
    before = words[place - 1] if place else ""
    if words[place] == "from":
        return (
            before == "distinct" and place > 1 and words[place - 2] in ("is", "not")
        ) or before == "delete"
    if words[place] == "set":
        return "update" not in words[:place]
    return words[place] in ("values", "select") and before in ("insert", "as") and place < 3


def _is_only_comments(nodes: Sequence[_Node]) -> bool:
    return all(_kind(each) == "comment" for each in nodes)


def _clause(nodes: Sequence[_Node], indent: str) -> str:
    lead: list[str] = []
    rest = list(nodes)
    while rest and isinstance(rest[0], _Atom) and rest[0].kind == "comment" and len(rest) > 1:
        lead.append(indent + rest[0].text)
        rest = rest[1:]
    line = _inline(rest)
    if line is not None and len(indent) + len(line) <= WIDTH:
        return "\n".join([*lead, indent + line])
    return "\n".join([*lead, _long(rest, indent)])


def _long(nodes: Sequence[_Node], indent: str) -> str:
    words = [each.text.lower() if isinstance(each, _Atom) else "(" for each in nodes]
    match = _CLAUSE.match(" ".join(words[:6]))
    count = len(match[0].split()) if match else 1 if words[0] == "with" else 0
    items = _split(nodes[count:], ",")
    if count and words[0] in _CONDITIONS:
        items = _conditions(nodes[count:])
    if count and len(items) > 1 and words[0] != "with":
        keyword = " ".join(each.text for each in nodes[:count] if isinstance(each, _Atom))
        inner = indent + _INDENT
        return "\n".join([indent + keyword, *(_flow(each, inner) for each in items)])
    if words[0] == "with":
        first, *more = items
        return "\n".join([_flow([*nodes[:1], *first], indent), *(_flow(each, indent) for each in more)])
    return _flow(nodes, indent)


def _conditions(nodes: Sequence[_Node]) -> list[list[_Node]]:
    """Split before AND and OR, but for the AND of BETWEEN and what lies in a CASE."""
    found: list[list[_Node]] = [[]]
    between = False
    cases = 0
    for node in nodes:
        word = node.text.lower() if isinstance(node, _Atom) else ""
        cases += {"case": 1, "end": -1}.get(word, 0)
        if word in ("and", "or") and cases == 0 and not (between and word == "and"):
            found.append([])
        between = word == "between" or (between and word != "and")
        found[-1].append(node)
    return found


def _flow(nodes: Sequence[_Node], indent: str) -> str:
    """Write one item; the subqueries in it on lines of their own where it is too long, or has comments."""
    line = _inline(nodes)
    if line is not None and len(indent) + len(line) <= WIDTH:
        return indent + line
    out, before = indent, None
    for node in nodes:
        if isinstance(before, _Atom) and before.is_line_comment:
            out += "\n" + indent
        elif _is_spaced(before, node):
            out += " "
        out += _opened(node, indent) if isinstance(node, _Group) else node.text
        before = node
    return out


def _opened(group: _Group, indent: str) -> str:
    line = _inline([group])
    if line is not None and (not group.is_query or len(indent) + len(line) <= SHORT):
        return line
    inner = indent + _INDENT
    if group.is_query:
        inside = _query(group.inside, inner)
    else:
        inside = "\n".join(_flow(each, inner) for each in _split(group.inside, ","))
    closing = group.closing.text if group.closing else ""
    return f"{group.opening.text}\n{inside}\n{indent}{closing}"


def _inline(nodes: Sequence[_Node]) -> str | None:
    """Write nodes on one line; None where a comment forbids it. A last comment may end the line."""
    out, before = "", None
    for place, node in enumerate(nodes):
        if isinstance(node, _Atom):
            if node.is_line_comment and place < len(nodes) - 1:
                return None
            text: str | None = node.text
        else:
            inside = _inline(node.inside)
            ends = node.inside[-1] if node.inside else None
            if isinstance(ends, _Atom) and ends.is_line_comment:
                return None
            text = inside and node.opening.text + inside + (node.closing.text if node.closing else "")
            text = text if node.inside else node.opening.text + (node.closing.text if node.closing else "")
        if text is None or "\n" in text:
            return None
        out += (" " if _is_spaced(before, node) else "") + text
        before = node
    return out


def _is_spaced(before: _Node | None, node: _Node) -> bool:
    """Tell whether a space goes before a node: where one was, around comparisons, behind commas."""
    if before is None:
        return False
    atom = node if isinstance(node, _Atom) else node.opening
    if atom.text in (",", ";"):
        return False
    if isinstance(before, _Atom) and (before.text == "," or _OPERATOR.fullmatch(before.text)):
        return True
    return atom.spaced or bool(_OPERATOR.fullmatch(atom.text)) or atom.is_line_comment
