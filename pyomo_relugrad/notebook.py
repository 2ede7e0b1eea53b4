"""What notebooks show in place of text: tables, and lines that are replaced by the next one."""

from collections.abc import Sequence
from html import escape
from typing import Any

from pyomo_relugrad.words import number

#: Rows that a table shows.
MAX_ROWS = 20


def html_table(title: str, rows: Sequence[Sequence[Any]], header: Sequence[str] = (), note: str = "") -> str:
    """A small table in HTML, for ``_repr_html_``; long ones are cut.

    Parameters
    ----------
    title : str
        Stands above it.
    rows : sequence of rows
        Names, and numbers or texts.
    header : sequence of str, optional
        A name for each column.
    note : str, optional
        Stands below it.

    Examples
    --------
    >>> html_table("Found", [("a & b", 0.5)])
    '<strong>Found</strong><table><tr><td>a &amp; b</td><td>0.5</td></tr></table>'
    """
    lines = [_row(header, "th")] if header else []
    lines += [_row(row, "td") for row in rows[:MAX_ROWS]]
    notes = [f"... ({len(rows)} rows in all)"] if len(rows) > MAX_ROWS else []
    notes += [note] if note else []
    below = "".join(f"<small>{escape(line)}</small><br>" for line in notes)
    return f"<strong>{escape(title)}</strong><table>{''.join(lines)}</table>{below}"


def _row(cells: Sequence[Any], tag: str) -> str:
    texts = [number(cell) if isinstance(cell, float) else str(cell) for cell in cells]
    return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"


def replaces_lines(stream: object) -> bool:
    """Whether a stream is the output of a notebook's cell, where a carriage return begins the line anew."""
    return type(stream).__module__.partition(".")[0] == "ipykernel"
