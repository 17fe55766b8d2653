"""Who writes which branch, and what a Via says of the hop below it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.via_chain import FORMS, branch_maker, read_chain
from relaytrap.sip import Request, parse_message


@pytest.mark.parametrize(
    ("branch", "name", "role"),
    [
        (b"z9hG4bK71a9.00000000000000000000000000000000.0", "Kamailio", "proxy"),
        (b"z9hG4bKZZ.00000000000000000000000000000000.0", "imitated Kamailio", "agent"),
        (b"z9hG4bK-1234567", "SIPVicious", "scanner"),
        (b"z9hG4bK-11816-1-0", "SIPp", "scanner"),
        (b"z9hG4bK-524287-1---a", "reSIProcate", "agent"),
        (b"z9hG4bK-70c65387f613", "", ""),
        (b"z9hG4bK1234", "", "agent"),
        (b"abc", "", "agent"),
        (b"0", "", ""),
        (b"", "", ""),
        (None, "", ""),
    ],
)
def test_the_form_of_a_branch_tells_its_maker(branch, name, role):
    assert branch_maker(branch) == (name, role)


@given(st.one_of(*(st.from_regex(pattern, fullmatch=True) for pattern, _, _ in FORMS)))
def test_the_first_form_that_takes_a_branch_wins_whatever_follows_the_cookie(branch):
    expected = next((name, role) for pattern, name, role in FORMS if re.fullmatch(pattern, branch))
    assert branch_maker(branch) == expected


def links_of(via: bytes):
    message = parse_message(b"OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP " + via + b"\r\n\r\n")
    assert isinstance(message, Request)
    return read_chain(message, message.vias)


def test_a_via_into_which_nobody_wrote_says_only_where_its_writer_says_it_is():
    (link,) = links_of(b"192.0.2.7:5070;branch=z9hG4bK-a;rport")
    assert (link.address, link.port, link.explicit, link.noted, link.rport) == ("192.0.2.7", 5070, False, (), True)


def test_received_and_rport_win_over_the_sent_by_wherever_they_stand():
    (link,) = links_of(b"10.0.0.1;RPORT=5074;received=[2001:db8::7];branch=z9hG4bK-a;i=3")
    assert (link.address, link.port, link.explicit) == ("2001:db8::7", 5074, True)
    assert (link.sent_by_address, link.noted, link.rport) == ("10.0.0.1", ("2001:db8::7",), 5074)
    assert link.over_connection


def test_every_received_is_kept_in_its_order():
    (link,) = links_of(b"10.0.0.1;branch=z9hG4bK-a;received=192.0.2.1;received=unknown;Received=192.0.2.2")
    assert link.noted == ("192.0.2.1", "192.0.2.2")
