"""Lines for people, on a terminal or a pipe."""

from rich.console import Console


def tell(console: Console, line: str) -> None:
    """A line as it is, of any length: nothing in it is a colour or a tag."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)
