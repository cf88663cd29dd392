"""Tables, and sections of Markdown pages that are written again and again."""

from collections.abc import Iterable, Sequence
from pathlib import Path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def put_section(page: Path, text: str) -> None:
    """Put a section, title first, at the end of a page, in place of an older one of that title."""
    before_all = page.read_text() if page.exists() else ""
    before, found, after = before_all.partition(text.partition("\n")[0] + "\n")
    rest = after.find("\n## ") if found else -1
    kept = after[rest + 1 :] if rest >= 0 else ""
    page.write_text(before.rstrip("\n") + "\n\n" + text + ("\n" + kept if kept else ""))
