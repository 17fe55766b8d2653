"""Secrets are found in every form that anything of ours can decode, and alone, not as part of somebody else's."""

import base64
import time
from binascii import hexlify
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.address_forms import find_address_forms
from relaytrap.redaction import Redactor, Secrets

IPV4 = st.ip_addresses(v=4).filter(lambda each: int(each) >> 24)  # 0.x.x.x is nobody's, and short as a number
IPV6 = st.ip_addresses(v=6).filter(lambda each: len(str(each)) > 6 and each.ipv4_mapped is None)
# No hex digits: 64:ff9b::a is another address than 64:ff9b::.
AROUND = st.text(alphabet='xyz ;@-=<>"\r\n', max_size=12)


def redactor(*addresses: object) -> Redactor:
    return Redactor(Secrets.of([{"sensor": f"s{n}", "address": str(each)} for n, each in enumerate(addresses)]))


def sure_forms(address: object) -> list[str]:
    return [form.text.decode() for form in find_address_forms(str(address)) if form.sure]


@given(IPV4 | IPV6, AROUND, AROUND, st.data())
def test_every_sure_form_is_removed_wherever_it_stands(address, before, after, data):
    form = data.draw(st.sampled_from(sure_forms(address)))
    shown = redactor(address).text(f"{before}{form}{after}")
    assert form not in shown
    assert not any(each in shown for each in sure_forms(address))


LAYERS: dict[str, Callable[[bytes], bytes]] = {
    "hex": hexlify,
    "capital hex": lambda data: hexlify(data).upper(),
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "percent": lambda data: b"".join(b"%%%02x" % octet for octet in data),
    "SIPVicious": lambda data: hexlify(data) + b"01" + hexlify(b"1234567890"),
}


@given(IPV4, st.sampled_from(sorted(LAYERS)), st.sampled_from(sorted(LAYERS)), st.binary(max_size=5), st.data())
def test_forms_are_found_below_two_layers(address, outer, inner, before, data):
    form = data.draw(st.sampled_from(sure_forms(address))).encode()
    packed = LAYERS[outer](LAYERS[inner](before + form))
    found = redactor(address)
    shown = found.octets(b"Call-ID: " + packed + b"\r\n")
    assert packed not in shown
    assert found.removed["sensor address"]


@given(IPV4)
def test_address_as_octets_is_found_below_a_layer(address):
    for layer in (hexlify, base64.b64encode):
        packed = layer(b"??" + address.packed + b"??")
        assert packed not in redactor(address).octets(b"tag=" + packed)


@given(IPV4, st.integers(1, 65535))
def test_target_in_a_tag_of_svmap_is_removed(address, port):
    tag = hexlify(b"%s%04x" % (hexlify(address.packed), port)).decode() + "01" + hexlify(b"3141592653").decode()
    shown = redactor(address).text(tag)
    assert hexlify(hexlify(address.packed)).decode() not in shown
    assert shown.startswith("[sensor-1 in ")


@given(IPV6)
def test_ipv6_is_found_however_it_is_spelled(address):
    words = address.exploded.split(":")
    spellings = [
        address.exploded.upper(),
        ":".join(f"{int(word, 16):x}" for word in words),
        f"[{address.compressed}]:5060",
        ".".join(reversed("".join(words))) + ".ip6.arpa",
        "-".join(words),
        f"{address.compressed}%eth0",
    ]
    for text in spellings:
        shown = redactor(address).text(text)
        assert "sensor-1" in shown
        assert address.compressed not in shown.lower()


@pytest.mark.parametrize("text", ["203.000.113.007", "::ffff:203.0.113.7", "[::ffff:cb00:7107]", "1203.0.113.71234567"])
def test_unusual_spellings_are_found(text):
    assert "sensor-1" in redactor("203.0.113.7").text(f"sip:{text}")


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("5.9.1.2", "185.9.1.23"),
        ("5.9.1.2", "Via: 5.9.1.20"),
        ("5.9.1.2", "15.9.1.2"),
        ("2001:db8::7", "2001:db8::70"),
    ],
)
def test_addresses_of_others_that_look_alike_stay(secret, text):
    assert redactor(secret).text(text) == text


def test_letter_that_has_no_small_one_of_its_size_hides_nothing():
    assert redactor("203.0.113.7").text("İ CB007107") == "İ [sensor-1 in hex]"


@given(st.text(max_size=200))
def test_text_without_secrets_stays_as_it_is(text):
    assert Redactor(Secrets()).text(text) == text


@given(st.binary(max_size=300), IPV4)
def test_any_octets_are_taken(raw, address):
    redactor(address).octets(raw)


ADDRESS = "203.0.113.7"


@pytest.mark.parametrize(
    "text",
    [
        "cb:00:71:07",
        "CB-00-71-07",
        "cb.00.71.07",
        "0xcb.0x0.0x71.0x7",
        "203,0,113,7",
        "%CB%00%71%07",
        "&#50;&#48;&#51;&#x2e;0.113.7",
        "203\\u002e0\\x2e113\\.7",
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n=32=30=33=2E0=\r\n.113.7",
        "X: 203.0.\r\n 113.7",
        "YSBib2R5IHRoYXQgaGFzIDIw\r\nMy4wLjExMy43IGluIGl0LCBh\r\nbmQgbW9yZSB0ZXh0",
        "2002:cb00:7107::1",
        "64:ff9b::cb00:7107",
        "[::203.0.113.7]",
        "::cb00:7107",
    ],
)
def test_address_is_found_however_people_and_programs_write_it(text):
    found = redactor(ADDRESS)
    assert "sensor-1" in found.text(text)
    assert found.removed["sensor address"] >= 1


def test_words_before_a_colon_hide_no_ipv6_address():
    assert redactor("2001:db8::c0de:7").text("candidate:2001:db8::c0de:7 IP6:2001:DB8:0::C0DE:7") == (
        "candidate:sensor-1 IP6:sensor-1"
    )


@pytest.mark.parametrize(
    "text",
    [
        "B\u00fccher.example",
        "B\u00dcCHER.example".encode().decode("latin-1"),
        "xn--bcher-kva.example",
        "b%C3%BCcher.example",
        "b\u00fcch\r\n er.example",
    ],
)
def test_name_beyond_ascii_is_found_in_octets_and_as_the_dns_has_it(text):
    assert Redactor(Secrets(names=("b\u00fccher.example",))).text(text).count("our-server") == 1


def test_name_of_a_sensor_is_left_out_of_texts_unless_it_is_a_common_word():
    places = [{"sensor": name, "address": ADDRESS} for name in ("fra-pot1", "phone")]
    shown = Redactor(Secrets.of(places)).text("sip:1@fra-pot1.example.net FRA-POT1 fra-pot12 phone")
    assert shown == "sip:1@sensor-1.example.net sensor-1 fra-pot12 phone"


def test_layers_upon_layers_take_no_long_time():
    raw = (b"%41=41\r\n &#65;\\x41" * 4000)[:60_000]
    begun = time.process_time()
    redactor(ADDRESS).octets(raw)
    assert time.process_time() - begun < 5
