"""Client hellos: the fingerprints of known clients, and nothing raised but ValueError for whatever octets."""

import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.client_hello import ClientHello, ClientHelloReader, begins_tls
from tests.counting import count_calls

CHROME_CIPHERS = (
    0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C, 0x009D, 0x002F,
    0x0035,
)  # fmt: skip
CHROME_EXTENSIONS = (
    0x001B, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002D, 0x000D, 0x0005, 0x0023, 0x0012, 0x002B, 0xFF01, 0x000B,
    0x000A, 0x0015,
)  # fmt: skip
CHROME_SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)

numbers = st.integers(0, 0xFFFF)


def real_hello(**options: object) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["sip", "h2"])
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="pbx.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def build(hello: ClientHello, *, record: int = 1 << 14) -> bytes:
    """A client hello as octets, cut into records of that size."""
    values = {
        10: _block(2, struct.pack(f">{len(hello.groups)}H", *hello.groups)),
        11: _block(1, bytes(hello.point_formats)),
        13: _block(2, struct.pack(f">{len(hello.signatures)}H", *hello.signatures)),
        16: _block(2, b"".join(_block(1, each) for each in hello.protocols)),
        43: _block(1, struct.pack(f">{len(hello.versions)}H", *hello.versions)),
    }
    extensions = b"".join(struct.pack(">H", kind) + _block(2, values.get(kind, b"")) for kind in hello.extensions)
    ciphers = _block(2, struct.pack(f">{len(hello.ciphers)}H", *hello.ciphers))
    body = struct.pack(">H", hello.version) + bytes(32) + _block(1, bytes(8)) + ciphers + _block(1, b"\0")
    body += _block(2, extensions)
    message = b"\x01" + _block(3, body)
    cuts = [message[at : at + record] for at in range(0, len(message), record)]
    return b"".join(b"\x16\x03\x01" + _block(2, cut) for cut in cuts)


def _block(octets: int, data: bytes) -> bytes:
    return len(data).to_bytes(octets, "big") + data


@st.composite
def hellos(draw: st.DrawFn) -> ClientHello:
    kinds = tuple(draw(st.permutations([0, 10, 11, 13, 16, 43, 0xFF01, 0x0A0A])))
    return ClientHello(
        version=draw(numbers),
        ciphers=tuple(draw(st.lists(numbers, max_size=40))),
        extensions=kinds,
        groups=tuple(draw(st.lists(numbers, max_size=9))),
        point_formats=tuple(draw(st.binary(max_size=3))),
        signatures=tuple(draw(st.lists(numbers, max_size=9))),
        protocols=tuple(draw(st.lists(st.binary(max_size=9), max_size=3))),
        versions=tuple(draw(st.lists(numbers, max_size=5))),
    )


def test_ja4_of_the_specifications_own_example() -> None:
    hello = ClientHello(
        0x0303, CHROME_CIPHERS, CHROME_EXTENSIONS, signatures=CHROME_SIGNATURES, protocols=(b"h2",), versions=(0x0304,)
    )
    assert hello.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"


def test_ja3_of_its_inventors_own_examples() -> None:
    modern = ClientHello(
        769, (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4), (0, 10, 11), (23, 24, 25), (0,)
    )
    bare = ClientHello(769, (4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99), ())
    assert modern.ja3 == "ada70206e40642a3e4461f35503241d5"
    assert bare.ja3 == "de350869b8c85de67a350c8d186f11e6"


def test_ja4_of_a_client_that_offers_nothing() -> None:
    assert ClientHello(0x0301, (), ()).ja4 == "t10i000000_000000000000_000000000000"


def test_ja4_of_a_protocol_of_odd_octets_takes_its_hexadecimal_ends() -> None:
    assert ClientHello(0x0303, (1,), (16,), protocols=(b"\xab\xcd",)).ja4[8:10] == "ad"
    assert ClientHello(0x0303, (1,), (16,), protocols=(b"x",)).ja4[8:10] == "xx"


def test_grease_is_left_out_of_both_fingerprints() -> None:
    plain = ClientHello(0x0303, (1, 2), (0, 10), (23,), versions=(0x0304,))
    greased = ClientHello(0x0303, (0x0A0A, 1, 2), (0xFAFA, 0, 10), (0x1A1A, 23), versions=(0x2A2A, 0x0304))
    assert (greased.ja3, greased.ja4) == (plain.ja3, plain.ja4)


def test_what_openssl_sends_is_read_whole() -> None:
    data = real_hello()
    hello = ClientHelloReader().read(data)
    assert hello is not None
    assert hello.size == len(data)
    assert hello.protocols == (b"sip", b"h2")
    assert 0x0304 in hello.versions
    assert hello.ja4.startswith("t13d")
    assert begins_tls(data)


@given(hellos(), st.integers(1, 400))
def test_what_was_built_is_read_back_however_it_is_cut_into_records(hello: ClientHello, record: int) -> None:
    data = build(hello, record=record)
    read = ClientHelloReader().read(data + b"\x16\x03\x01")
    assert read is not None
    assert read.size == len(data)
    for name in ("version", "ciphers", "extensions", "groups", "point_formats", "signatures", "protocols", "versions"):
        assert getattr(read, name) == getattr(hello, name)


@given(hellos(), st.integers(1, 200), st.data())
def test_every_beginning_of_one_asks_for_more(hello: ClientHello, record: int, data: st.DataObject) -> None:
    octets = build(hello, record=record)
    assert ClientHelloReader().read(octets[: data.draw(st.integers(0, len(octets) - 1))]) is None


@given(hellos(), st.integers(1, 200), st.lists(st.integers(0, 2000), max_size=9))
def test_a_hello_that_arrives_in_pieces_is_the_one_that_arrives_at_once(
    hello: ClientHello, record: int, cuts: list[int]
) -> None:
    octets = build(hello, record=record)
    reader = ClientHelloReader()
    for cut in sorted(cuts):
        assert cut >= len(octets) or reader.read(octets[:cut]) is None
    assert reader.read(octets) == ClientHelloReader().read(octets)


def test_a_hello_in_many_small_records_costs_once_its_octets() -> None:
    records = b"\x16\x03\x01\0\x04\x01\0\xff\xf0" + b"\x16\x03\x01\0\x01\0" * 20_000
    stream, reader = bytearray(), ClientHelloReader()

    def read() -> None:
        for at in range(0, len(records), 1400):
            stream.extend(records[at : at + 1400])
            assert reader.read(stream) is None

    assert count_calls(read) < 20 * 20_000


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda each: b"\x16\x03\x01\x00\x40\x01" + each)))
def test_any_octets_give_a_hello_or_none_or_a_value_error(octets: bytes) -> None:
    try:
        hello = ClientHelloReader().read(octets)
    except ValueError:
        return
    assert hello is None or (hello.ja3 and hello.ja4 and hello.size <= len(octets))


@given(hellos(), st.integers(0, 300), st.integers(0, 255))
def test_one_wrong_octet_raises_nothing_else(hello: ClientHello, at: int, octet: int) -> None:
    data = bytearray(build(hello))
    data[at % len(data)] = octet
    try:
        ClientHelloReader().read(bytes(data))
    except ValueError:
        return


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\x05\x02\0\0\0\0", b"\x17\x03\x01\x00\x05\x01", b"\x16\x02", b"\x16\x03\x01\0\0"]
)
def test_what_cannot_become_one_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ValueError):
        ClientHelloReader().read(data)
