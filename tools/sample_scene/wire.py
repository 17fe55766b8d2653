"""SIP text taken apart and put together, just enough for programs that talk to each other inside the scene."""

HeaderList = list[tuple[str, str]]


def split(data: bytes) -> tuple[str, HeaderList, str]:
    """Start line, headers in order, body; the relays' own peers send nothing stranger than that."""
    head, _, body = data.decode("latin-1").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return start, [(name.strip(), value.strip()) for name, _, value in pairs], body


def join(start: str, headers: HeaderList, body: str) -> bytes:
    """The message again, with the right Content-Length at the end."""
    kept = [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    return "\r\n".join([start, *kept, f"Content-Length: {len(body)}", "", body]).encode("latin-1")


def value_of(headers: HeaderList, name: str) -> str:
    """The first value of a header, or nothing."""
    return next((value for each, value in headers if each.lower() == name), "")
