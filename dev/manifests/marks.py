"""Texts that are made within a file that is written by hand, between two marks."""


def replaced(text: str, begin: str, end: str, made: str) -> str:
    """The text with what is made between the marks. Raises ValueError where it has them not, or in another order."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the text has no {begin} … {end}")
    return f"{before}{begin}\n{made}{end}{after}"
