"""`relaytrap config show`: what stands in a bug report."""

import pytest

from relaytrap.cli.config import row_of
from relaytrap.config import Given


@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "hun:ter2"])
def test_password_of_the_store_is_not_shown(password: str) -> None:
    row = row_of("store.url", Given(f"clickhouse://user:{password}@db.example:8123/sip", "file"))
    assert row["value"] == "clickhouse://user:(set)@db.example:8123/sip"


def test_store_without_a_password_is_shown_as_it_is() -> None:
    assert row_of("store.url", Given("clickhouse://db.example/sip", "file"))["value"] == "clickhouse://db.example/sip"


def test_password_of_the_stream_is_not_shown() -> None:
    row = row_of("hub.nats_url", Given("nats://relaytrap:p@ss/w:rd@nats.example:4222", "file"))
    assert row["value"] == "nats://relaytrap:(set)@nats.example:4222"
