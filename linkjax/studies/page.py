"""A report as a self-contained HTML page and as Markdown, from the same blocks."""

import html
from collections.abc import Sequence
from typing import NamedTuple


class Heading(NamedTuple):
    text: str
    level: int = 2


class Paragraph(NamedTuple):
    text: str


class Answer(NamedTuple):
    """The sentences that a reader came for."""

    sentences: Sequence[str]


class Table(NamedTuple):
    """The columns in `text` (places) are text, the others are numbers; `note` says how to read them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    text: Sequence[int] = (0,)


class Figure(NamedTuple):
    """Drawn as SVG in the page; `file` is the PNG beside the Markdown."""

    file: str
    svg: str
    caption: str


Block = Heading | Paragraph | Answer | Table | Figure

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid #ddd; }
.answer { background: #f2f6fa; border-left: 4px solid #0072b2; padding: .6rem 1rem; margin: 1rem 0; }
.answer p { margin: .35rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e5e5e5; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #999; }
.text { text-align: left; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption, .note { font-size: .85rem; color: #444; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } figure, tr, .answer { break-inside: avoid; }
  h2 { break-after: avoid; } .scroll { overflow: visible; } table { font-size: 8pt; } }
"""


def as_html(title: str, blocks: Sequence[Block]) -> str:
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def as_markdown(title: str, blocks: Sequence[Block]) -> str:
    return f"# {title}\n\n" + "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{html.escape(text)}</p>"
        case Answer(sentences):
            return '<div class="answer">' + "".join(f"<p>{html.escape(one)}</p>" for one in sentences) + "</div>"
        case Figure(_, svg, caption):
            return f"<figure>{svg}<figcaption>{html.escape(caption)}</figcaption></figure>"
        case Table(columns, rows, note, text):
            head = _line("th", columns, text)
            lines = "".join(f"<tr>{_line('td', row, text)}</tr>\n" for row in rows)
            said = f'<p class="note">{html.escape(note)}</p>' if note else ""
            table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>{lines}</tbody></table>"
            return f'<div class="scroll">{table}</div>{said}'


def _line(tag: str, cells: Sequence[str], text: Sequence[int]) -> str:
    kinds = (' class="text"' if place in text else "" for place in range(len(cells)))
    return "".join(f"<{tag}{kind}>{html.escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return _plain(text)
        case Answer(sentences):
            return "\n>\n".join(f"> {_plain(one)}" for one in sentences)
        case Figure(file, _, caption):
            return f"![{_plain(caption)}]({file})\n\n{_plain(caption)}"
        case Table(columns, rows, note, text):
            lines = [columns, ["---" if place in text else "---:" for place in range(len(columns))], *rows]
            table = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
            return f"{table}\n\n{_plain(note)}" if note else table


def _plain(text: str) -> str:
    """Markdown's own signs in names, as in target_heldout, are no mark-up."""
    return text.replace("_", "\\_").replace("<", "&lt;")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|") if set(text) - set("-:") else text
