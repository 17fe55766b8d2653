"""Credit, proofs and budgets."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.ledger import CREDIT_LIFETIME_S, HEADER_BYTES, PROOF_LIFETIME_S, SECRET_LIFETIME_S, Ledger


def ledger(**more: int) -> Ledger:
    return Ledger(**({"source_bytes_per_s": 1000, "total_bytes_per_s": 100_000} | more))


def test_source_may_get_what_it_sent() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 400, 0.0)
    assert books.allowance(source, 0.0) == 400
    books.spend(source, 300, 0.0)
    assert books.allowance(source, 0.0) == 100 - HEADER_BYTES


def test_headers_count_so_that_two_answers_to_one_datagram_cost_more_than_one() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 400, 0.0)
    books.spend(source, 200, 0.0)
    assert books.allowance(source, 0.0) == 200 - HEADER_BYTES


def test_tiny_datagrams_do_not_pay_with_their_headers() -> None:
    books = ledger()
    for _ in range(100):
        source = books.received("192.0.2.1", 1, 0.0)
    assert books.allowance(source, 0.0) == 100


def test_credit_lapses_with_a_transaction_s_life() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 400, 0.0)
    assert books.allowance(source, CREDIT_LIFETIME_S + 1) == 0
    assert books.received("192.0.2.1", 10, CREDIT_LIFETIME_S + 1).credit == 10


def test_returned_secret_proves_the_source_it_went_to_for_a_while() -> None:
    books = ledger()
    source, other = books.received("192.0.2.1", 10, 0.0), books.received("192.0.2.2", 10, 0.0)
    books.issue(source, b"nonce", 0.0)
    assert not books.returned("192.0.2.2", other, b"nonce", 1.0)
    assert books.returned("192.0.2.1", source, b"nonce", 1.0)
    assert books.is_proven(source, 1.0)
    assert books.allowance(source, 1.0) > 10
    assert not books.is_proven(source, 1.0 + PROOF_LIFETIME_S)


def test_secret_proves_nothing_once_the_address_may_be_somebody_else_s() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 10, 0.0)
    books.issue(source, b"nonce", 0.0)
    books.issue(source, b"later", 100.0)
    now = SECRET_LIFETIME_S + 50.0
    assert not books.returned("192.0.2.1", source, b"nonce", now)
    assert books.returned("192.0.2.1", source, b"later", now)


def test_secret_is_forgotten_after_many_newer_ones() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 10, 0.0)
    for number in range(40):
        books.issue(source, b"%d" % number, 0.0)
    assert not books.returned("192.0.2.1", source, b"1", 0.0)
    assert books.returned("192.0.2.1", source, b"39", 0.0)


def test_secret_that_is_told_again_and_again_drives_out_no_other() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 10, 0.0)
    books.issue(source, b"first", 0.0)
    for moment in range(40):
        books.issue(source, b"repeated", float(moment))
    assert books.returned("192.0.2.1", source, b"first", 40.0)


def test_connection_needs_no_credit_and_earns_none() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 400, 0.0, connected=True)
    assert books.allowance(source, 0.0, connected=True) == 30_000
    assert books.allowance(source, 0.0) <= 0


def test_budget_fills_again_with_time() -> None:
    books = ledger()
    source = books.received("192.0.2.1", 0, 0.0, connected=True)
    books.spend(source, 30_000, 0.0, connected=True)
    assert books.allowance(source, 0.0, connected=True) == 0
    assert books.allowance(source, 2.0, connected=True) == 2000


def test_total_budget_is_shared() -> None:
    books = ledger(total_bytes_per_s=100)
    first, second = books.received("192.0.2.1", 5000, 0.0), books.received("192.0.2.2", 5000, 0.0)
    books.spend(first, books.allowance(first, 0.0), 0.0)
    assert books.allowance(second, 0.0) <= 0


def test_proven_sources_outlast_a_flood_of_unproven_ones() -> None:
    books = ledger(max_sources=100)
    source = books.received("192.0.2.1", 10, 0.0)
    books.issue(source, b"secret", 0.0)
    books.returned("192.0.2.1", source, b"secret", 0.0)
    for number in range(100_000):
        books.received(f"10.0.{number >> 8}.{number & 255}", 10, 0.0)
    assert len(books) == 100
    assert books.is_proven(books.source("192.0.2.1", 1.0), 1.0)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000), st.floats(0, 50)), max_size=40))
def test_what_is_allowed_never_sums_to_more_than_what_came(moves: list[tuple[int, int, float]]) -> None:
    books = ledger(source_bytes_per_s=10**6, total_bytes_per_s=10**7)
    now = balance = 0.0
    for size, wanted, pause in moves:
        now += pause
        source = books.received("192.0.2.1", size, now)
        balance += size
        if 0 < wanted <= books.allowance(source, now):
            books.spend(source, wanted, now)
            balance -= wanted
        assert balance >= 0
