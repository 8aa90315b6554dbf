"""Write one part of a page, and leave the others as they are."""

from pathlib import Path


def replace_part(page: Path, title: str, text: str) -> None:
    """Put `text`, which begins with `title`, where the part of that title stands, or at the end."""
    before, _, rest = page.read_text(encoding="utf-8").partition(title)
    _, more, after = rest.partition("\n## ")
    page.write_text(before.rstrip() + "\n\n" + text + (f"\n## {after}" if more else ""), encoding="utf-8")
