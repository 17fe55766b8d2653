"""What reasons look like in the store."""

import json

from relaytrap.evidence.base import Evidence
from relaytrap.evidence.identifiers import Decoded
from relaytrap.evidence.path import Hop
from relaytrap.hub.told import QUOTE_MAX, decoded_json, evidence_json, hops_json
from relaytrap.store.schema import JSON_LISTS


def named(text: bytes, name: str) -> list[dict[str, object]]:
    """The lists in a stored value with the names of their places."""
    return [dict(zip(JSON_LISTS[name], each, strict=True)) for each in json.loads(text)]


def test_nothing_is_an_empty_text() -> None:
    assert (evidence_json(()), hops_json(()), decoded_json(())) == (b"", b"", b"")


def test_a_hops_fields_are_stored_under_their_own_names() -> None:
    assert Hop.__struct_fields__ == JSON_LISTS["hops"]
    hop = Hop("192.0.2.1", 5060, "192.0.2.9", "UDP", "vouched", "198.51.100.7", "Kamailio", True)
    assert named(hops_json((hop,)), "hops") == [{name: getattr(hop, name) for name in JSON_LISTS["hops"]}]


def test_evidence_is_stored_with_the_length_of_its_quote_in_bytes() -> None:
    why = Evidence("path.one-via", 2, 30, "ü\xff".encode("latin-1"), 42, "One Via.")
    assert named(evidence_json((why,)), "evidence") == [
        {
            "rule": "path.one-via",
            "version": 2,
            "weight": 30,
            "quote": "\\xfc\\xff",
            "offset": 42,
            "length": 2,
            "text": "One Via.",
        }
    ]


def test_what_was_decoded_is_stored_place_by_place() -> None:
    found = Decoded("Call-ID", "hex", "address", "192.0.2.1", b"c0000201", 7, "also named in the headers", False, True)
    assert named(decoded_json((found,)), "decoded") == [
        {**found._asdict(), "quote": "c0000201", "length": 8},
    ]


def test_a_long_quote_is_cut_and_its_whole_length_told() -> None:
    why = Evidence("path.one-via", 1, 30, b"x" * (QUOTE_MAX + 5), 0, "")
    (stored,) = named(evidence_json((why,)), "evidence")
    assert (stored["quote"], stored["length"]) == ("x" * QUOTE_MAX, QUOTE_MAX + 5)
