"""HTML elements of reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from ._report_plots import image

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #1f2430; line-height: 1.5;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.6rem; margin: .3em 0; } h2 { font-size: 1.2rem; margin: 0 0 .6em; }
h3 { font-size: 1rem; margin: 1.2em 0 .4em; }
section { background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 16px;
          margin: 16px 0; }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.card { background: #f4f6fa; border-radius: 6px; padding: 10px 12px; }
.card b { display: block; font-size: 1.3rem; } .card span { color: #5a6272; font-size: .85rem; }
.plots { display: grid; gap: 16px;
         grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 12px 0 0; max-width: 460px; } .across figure { max-width: 920px; }
figure img { width: 100%; height: auto; display: block; }
figcaption { color: #5a6272; font-size: .9rem; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .88rem; width: 100%; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap;
         border-bottom: 1px solid #e6e8ee; }
th { color: #5a6272; font-weight: 600; } tr.chosen td { background: #fff3e8; }
td.text, th.text { text-align: left; } td.long { white-space: normal; min-width: 9em;
          overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: #5a6272; } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: #f4f6fa; border-radius: 6px; padding: 10px; overflow-x: auto;
      font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.warning { border-left: 4px solid #d6604d; background: #fdf1ee; padding: 8px 12px; margin: 8px 0;
           overflow-wrap: anywhere; }
@media (max-width: 500px) { main { padding: 8px; } section { padding: 12px; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } th, td { padding: 4px 5px; }
  table { font-size: .8rem; } td.long { min-width: 6.5em; } }
"""


def page(title: str, sections: Sequence[tuple[str, str]]) -> str:
    """Compose a self-contained page.

    Parameters
    ----------
    title : str
        Title at the top, which is escaped here.
    sections : sequence of (heading, content)
        Headings and contents in HTML; sections without content are left out.

    Returns
    -------
    str
        HTML.
    """
    title = escape(title)
    body = "".join(f"<section><h2>{heading}</h2>{content}</section>"
                   for heading, content in sections if content)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )


def cards(values: Iterable[tuple[str, str]]) -> str:
    """Compose numbers in large type, each with a label."""
    text = "".join(f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
                   for value, label in values)
    return f'<div class="cards">{text}</div>'


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """Compose a list of names with their values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    return f"<dl>{items}</dl>"


def table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], text: Iterable[int] = (0,),
    long: Iterable[int] = (), chosen: int | None = None,
) -> str:
    """Compose a table, whose content is escaped.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Cells of each row.
    text, long : iterable of int
        Columns of text, and of text that may take several lines.
    chosen : int, default=None
        Row to highlight.

    Returns
    -------
    str
        HTML.
    """

    def cell(tag, column, value):
        kinds = [name for name, columns in (("text", text), ("long", long)) if column in columns]
        attribute = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{attribute}>{escape(str(value))}</{tag}>"

    head = "".join(cell("th", column, value) for column, value in enumerate(header))
    body = "".join(
        ('<tr class="chosen">' if number == chosen else "<tr>")
        + "".join(cell("td", column, value) for column, value in enumerate(row)) + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def figures(pictures: Iterable[tuple[Any, str]]) -> str:
    """Compose figures with captions, side by side if they fit."""
    return f'<div class="plots">{_captioned(pictures)}</div>'


def wide_figure(figure: Any, caption: str) -> str:
    """Compose a figure of several panels with its caption."""
    return f'<div class="across">{_captioned([(figure, caption)])}</div>'


def _captioned(pictures: Iterable[tuple[Any, str]]) -> str:
    return "".join(
        f"<figure>{image(figure, escape(caption))}<figcaption>{escape(caption)}"
        "</figcaption></figure>"
        for figure, caption in pictures
    )


def warning(text: str) -> str:
    """Compose a highlighted warning."""
    return f'<div class="warning">{escape(text)}</div>'


def pair(mae: float, rmse: float) -> str:
    """Format two errors in thousandths of their unit."""
    return f"{digits(1e3 * mae)} / {digits(1e3 * rmse)}"


def digits(value: float) -> str:
    """Format with three significant digits, without an exponent for large numbers."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def milli(name: str, value: float) -> str:
    """Format an error in meV/atom or meV/A."""
    return f"{digits(1e3 * value)} {'meV/A' if name.startswith('forces') else 'meV/atom'}"


def milli_or_empty(value: float) -> str:
    """Format an error in thousandths of its unit; empty if it is unknown."""
    return digits(1e3 * value) if np.isfinite(value) else ""
