"""The parenthesised lists that a property file consists of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from pyomo_relugrad.errors import PropertyFileError

_MAX_DEPTH = 100

_TOKEN = re.compile(
    r"""
    ;[^\n]*             # a comment
    | \n
    | [()]
    | "[^"\n]*"         # a tensor's name in the ONNX file
    | \[[^\[\]();]*\]   # a shape, or indices
    | [^\s();"\[\]]+
    | ["\[\]]           # one without its partner
    """,
    re.VERBOSE,
)

_SPACE = re.compile(r"\s*([\[\],])\s*")


@dataclass(frozen=True)
class List:
    """A parenthesised list of the file and the line on which it begins."""

    items: tuple[Expression, ...]
    line: int

    @property
    def keyword(self) -> Expression:
        """Its first item; empty where it has none."""
        return self.items[0] if self.items else ""


Expression: TypeAlias = List | str


def shown(expression: Expression) -> str:
    """An expression in a message: a token, or the keyword of a list."""
    if isinstance(expression, str):
        return repr(expression[:40])
    return f"a list that begins with {shown(expression.keyword)}"


def statements_of(text: str) -> list[List]:
    """The top-level lists of a text.

    Raises
    ------
    PropertyFileError
        If parentheses do not match, lists are nested too deep, or anything stands outside a list.
    """
    open_lists: list[tuple[list[Expression], int]] = [([], 1)]
    line = 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "(":
            if len(open_lists) > _MAX_DEPTH:
                raise PropertyFileError(
                    f"line {line}: lists are nested more than {_MAX_DEPTH} deep: write flatter conditions"
                )
            open_lists.append(([], line))
        elif token == ")":
            if len(open_lists) == 1:
                raise PropertyFileError(f"line {line}: a closing parenthesis without an opening one: remove it")
            items, start = open_lists.pop()
            open_lists[-1][0].append(List(tuple(items), start))
        elif not token.startswith(";") and token != "\n":
            open_lists[-1][0].append(_SPACE.sub(r"\1", token) if token.startswith("[") else token)
        line += token.count("\n")
    if len(open_lists) > 1:
        raise PropertyFileError(f"line {open_lists[-1][1]}: a list that is not closed: is the file truncated?")
    for statement in open_lists[0][0]:
        if not isinstance(statement, List) or not statement.items:
            raise PropertyFileError(
                f"expected declarations and assertions, got {str(statement)[:40]!r}: write lists, (assert ...)"
            )
    return [statement for statement in open_lists[0][0] if isinstance(statement, List)]
