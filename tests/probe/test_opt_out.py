"""Who is never tested."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.errors import InputError
from relaytrap.probe.opt_out import OptOuts, canonical
from relaytrap.probe.records import Records

NOW = 1_800_000_000_000_000_000


def opt_outs(folder: Path, *names: str) -> OptOuts:
    made = OptOuts(Records(folder))
    for name in names:
        made.add(name, "by mail", NOW)
    return made


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.200"),
        ("192.0.2.9/24", "192.0.2.200"),
        ("192.0.2.0/24", "::ffff:192.0.2.1"),
        ("2001:db8::/32", "2001:db8:1::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("Example.com", "example.COM"),
        ("*.example.com", "sip.example.com."),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_what_is_listed_is_not_tested(tmp_path: Path, listed: str, asked: str) -> None:
    assert "operator asked" in opt_outs(tmp_path, listed).objection(asked)


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        ("192.0.2.0/24", "192.0.3.1"),
        ("192.0.2.0/24", "2001:db8::1"),
        ("example.com", "notexample.com"),
        ("sip.example.com", "example.com"),
        ("192.0.2.0/24", "example.com"),
    ],
)
def test_what_is_not_listed_may_be_tested(tmp_path: Path, listed: str, asked: str) -> None:
    assert opt_outs(tmp_path, listed).objection(asked) == ""


@pytest.mark.parametrize("asked", ["::ffff:192.0.2.7", "64:ff9b::192.0.2.7", "2002:c000:207::1"])
def test_ipv4_server_that_opted_out_is_not_tested_by_an_ipv6_address_that_leads_to_it(
    tmp_path: Path, asked: str
) -> None:
    assert "operator asked" in opt_outs(tmp_path, "192.0.2.0/24").objection(asked)


@pytest.mark.parametrize("listed", ["::ffff:192.0.2.7", "64:ff9b::/96", "2002::/16", "2002:c000:207::1"])
def test_ipv6_form_that_is_listed_covers_what_it_leads_to_and_itself(tmp_path: Path, listed: str) -> None:
    made = opt_outs(tmp_path, listed)
    assert made.objection(listed.partition("/")[0])
    assert bool(made.objection("192.0.2.7")) == ("/" not in listed)


@pytest.mark.parametrize("text", ["", "everything", "192.0.2.0/33", "192.0.2", "a b.example", "-a.example", "*"])
def test_what_is_neither_network_nor_domain_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no address, network or domain"):
        opt_outs(tmp_path, text)


def test_entry_can_be_taken_back(tmp_path: Path) -> None:
    made = opt_outs(tmp_path, "192.0.2.7")
    assert made.remove("192.0.2.7") == "192.0.2.7/32"
    assert made.objection("192.0.2.7") == ""
    with pytest.raises(InputError, match="has not opted out"):
        made.remove("192.0.2.7")


def test_first_note_of_an_entry_stays(tmp_path: Path) -> None:
    made = opt_outs(tmp_path, "192.0.2.7")
    made.add("192.0.2.7", "again", NOW + 1)
    assert [(each.name, each.since_ns, each.note) for each in made.list_entries()] == [("192.0.2.7/32", NOW, "by mail")]


@given(st.text(max_size=80))
def test_any_text_is_canonical_or_refused_with_a_sentence(text: str) -> None:
    try:
        name = canonical(text)
    except InputError:
        return
    assert canonical(name) == name
