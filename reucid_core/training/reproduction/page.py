"""All that was made as one HTML page, which needs nothing from elsewhere."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from reucid_core.training.reproduction.parts import Part, Table
from reucid_core.training.reproduction.specimens import OURS

PAGE = "index.html"
STYLE = """
  body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1b1b; background: #fff;
         font: 16px/1.5 system-ui, sans-serif; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
  img { max-width: 100%; height: auto; }
  figure { margin: 1rem 0; } figcaption, caption { color: #555; text-align: left; }
  table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
  .wide { overflow-x: auto; }
  th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
  td.number { text-align: right; }
  ul { max-width: 60rem; }
"""


def write(parts: Sequence[Part], seconds: Sequence[float], folder: Path, command: str) -> Path:
    """The page of some parts, with the seconds that each took."""
    body = "\n".join(map(_part, parts, seconds))
    links = " · ".join(f'<a href="#{each.name}">{escape(each.title)}</a>' for each in parts)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The paper's figures, made anew</title>
<style>{STYLE}</style>
</head>
<body>
<h1>The paper's figures, made anew</h1>
<p>Mitchell, Sanvito, Jones, <cite>Rapid eigenpatch utility classifier for image denoising</cite>,
Scientific Reports (2025). Made by <code>{escape(command)}</code>.</p>
<p>{links}</p>
<p><strong>Of all parts:</strong> {escape(OURS)}</p>
{body}
</body>
</html>
"""
    path = folder / PAGE
    path.write_text(page, encoding="utf-8")
    return path


def _part(part: Part, seconds: float) -> str:
    differs = "\n".join(f"<li>{escape(each)}</li>" for each in part.differs)
    pictures = "\n".join(
        f'<figure><img src="{escape(name)}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for name, caption in part.pictures.items()
    )
    tables = "\n".join(_table(each) for each in part.tables if each.shown)
    names = [*(f"{each.name}.csv" for each in part.tables), *part.files]
    files = ", ".join(f'<a href="{escape(name)}">{escape(name)}</a>' for name in names)
    beside = f"<p>Files: {files}.</p>" if files else ""
    return f"""<section id="{part.name}">
<h2>{escape(part.title)}</h2>
<p><strong>In the paper:</strong> {escape(part.paper)}</p>
{pictures}
{tables}
<p><strong>What differs:</strong></p>
<ul>
{differs}
</ul>
{beside}
<p>{seconds:.0f} s.</p>
</section>"""


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in table.head)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>"
    return f'<div class="wide"><table>{caption}<tr>{head}</tr>\n{rows}</table></div>'


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="number">{value:.4g}</td>'
