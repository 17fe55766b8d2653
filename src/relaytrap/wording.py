"""Numbers in a sentence, as the page, the report and the terminal write them."""

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """1 relay; 12 relays; 3 countries."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}s"
