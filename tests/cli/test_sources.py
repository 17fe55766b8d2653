import json


def test_sources_say_who_sent_what(run, data):
    (row,) = [json.loads(line) for line in run("--data", data, "sources", "--json").out.splitlines()]
    assert (row["address"], row["country"], row["asn"], row["messages"]) == ("192.0.2.7", "FR", 64500, 12)
    assert row["methods"] == ["INVITE", "OPTIONS", "REGISTER"]


def test_the_table_names_address_and_network(run, data):
    heading, line = run("--data", data, "sources", "--sort", "last_seen").out.splitlines()
    assert heading.startswith("source")
    assert line.startswith("192.0.2.7  FR")


def test_no_sources_is_said(run, data):
    assert run("--data", data, "sources", "--country", "DE").out == "no sources\n"
