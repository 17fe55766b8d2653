"""Client hellos. Any octets give a ClientHello with fingerprints, None for one that is not whole, or a ValueError."""

from tests.capture.test_client_hello import real_hello

from relaytrap.capture.client_hello import ClientHelloReader, begins_tls

PIECES = (b"\x16\x03\x01", b"\x01\0", b"\0\x10", b"\0\x2b", b"\x03\x04", b"\0\0", b"\x0a\x0a", bytes(32))


def seeds() -> list[bytes]:
    """What OpenSSL sends, whole and cut."""
    hello = real_hello()
    return [hello, hello[:50]]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    begins_tls(data)
    try:
        hello = ClientHelloReader().read(data)
    except ValueError:
        return
    if hello is not None:
        assert len(hello.ja3) == 32
        assert hello.ja3_text
        assert hello.ja4.count("_") == 2
