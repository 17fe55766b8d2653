"""`relays`, `origins`, `campaigns`: an import through the command line, and what they say of it."""

import json

import pytest

from relaytrap.capture.pcapng import SegmentWriter
from tests.evidence.relays import Scene, b2bua, kamailio
from tests.evidence.test_association import sweep

ORIGIN = "198.51.100.66"
RELAYS = [*((kamailio, f"203.0.113.{n}") for n in range(11, 17)), (b2bua, "203.0.113.31")]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A data directory with one sweep through seven relays, one of which makes requests anew."""
    folder = tmp_path_factory.mktemp("findings")
    scene = Scene()
    sweep(scene, ORIGIN, range(100, 240), RELAYS)
    with (folder / "scene.pcapng").open("wb") as stream:
        writer = SegmentWriter(stream, sensor="one")
        for seen in scene.seen:
            writer.write(seen)
    from relaytrap.cli.main import main

    with pytest.raises(SystemExit) as stop:
        main(["--data", str(folder / "data"), "import", str(folder / "scene.pcapng")])
    assert not stop.value.code
    return folder / "data"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A data directory that nothing is put into."""
    return tmp_path_factory.mktemp("empty")


def lines(run, *arguments):
    return [json.loads(line) for line in run(*arguments, "--json").out.splitlines()]


def test_relays_say_for_how_many_they_forwarded(run, attacked):
    rows = {row["address"]: row for row in lines(run, "--data", attacked, "relays")}
    assert rows.keys() == {address for _, address in RELAYS}
    assert {"first_seen", "last_seen", "messages", "origins", "campaigns", "kind", "product", "country", "asn"} <= {
        *rows["203.0.113.31"]
    }
    assert (rows["203.0.113.31"]["kind"], rows["203.0.113.11"]["origins"]) == ("b2bua", 1)


def test_relays_and_origins_are_narrowed_by_where_they_are(run, attacked):
    assert [row["address"] for row in lines(run, "--data", attacked, "relays", "--network", "203.0.113.16/28")] == [
        "203.0.113.16",
        "203.0.113.31",
    ]
    assert lines(run, "--data", attacked, "origins", "--network", ORIGIN)[0]["address"] == ORIGIN
    assert run("--data", attacked, "relays", "--country", "ZZ").out == "no relays\n"
    assert run("--data", attacked, "origins", "--asn", "AS64999").out == "no origins\n"


@pytest.mark.parametrize("command", ["relays", "origins"])
def test_a_place_that_is_none_is_one_sentence(run, attacked, command):
    for option, value in (("--country", "usa"), ("--asn", "ten"), ("--network", "203.0.113.0/40\x1b[31m")):
        shown = run("--data", attacked, command, option, value)
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert shown.status
        assert shown.err.startswith(f"relaytrap: {option[2:]}: ")
        assert "\x1b" not in shown.err


def test_origins_say_who_vouches(run, attacked):
    (row,) = lines(run, "--data", attacked, "origins")
    assert (row["address"], row["relays"], row["vouched"], row["associated"]) == (ORIGIN, 6, 120, 20)
    assert row["confidence"] > 60


def test_campaigns_say_what_they_are_after(run, attacked):
    (row,) = lines(run, "--data", attacked, "campaigns", "--relayed")
    assert (row["title"], row["origin"], row["messages"], row["relays"]) == ("Extension sweep 100–239", ORIGIN, 140, 7)
    assert (row["range"], row["coverage"]) == ([100, 239], 1.0)


@pytest.mark.parametrize(
    ("command", "heading"), [("relays", "relay"), ("origins", "origin"), ("campaigns", "campaign")]
)
def test_tables_and_csv_have_a_heading(run, attacked, command, heading):
    assert run("--data", attacked, command).out.startswith(heading)
    csv = run("--data", attacked, command, "--csv").out.splitlines()
    assert len(csv) >= 2
    assert "," in csv[0]


def test_messages_carry_what_is_believed_of_them(run, attacked):
    rows = lines(run, "--data", attacked, "messages")
    assert {row["origin"] for row in rows} == {ORIGIN}
    hidden = [row for row in rows if row["source"] == "203.0.113.31"]
    assert {(row["path_verdict"], row["relay"], row["association"]) for row in hidden} == {
        ("hidden", "203.0.113.31", True)
    }
    assert all(row["association_why"] for row in hidden)


def test_a_command_explains_one(run, attacked):
    (campaign,) = lines(run, "--data", attacked, "campaigns")
    shown = run("--data", attacked, "show", campaign["id"]).out
    assert shown.startswith(f"Campaign {campaign['id']}  Extension sweep 100–239 from {ORIGIN}, confidence")
    assert "120 vouched for by relays, 20 by association" in shown
    assert "140 different targets; 100% of 100 to 239" in shown
    assert f"120  6 relays say that they took these requests from {ORIGIN}." in shown
    assert "Tried, from 100 (below) to 239 (above)" in shown
    shown = run("--data", attacked, "show", "203.0.113.31").out
    assert "Relay 203.0.113.31" in shown
    assert f"20  {ORIGIN}  by association, campaign {campaign['id']}" in shown
    assert "Vouched by   6 relays in" in run("--data", attacked, "show", ORIGIN).out


@pytest.mark.parametrize("command", ["messages", "sources", "numbers", "relays", "origins", "campaigns"])
def test_csv_of_nothing_has_a_header_line_of_the_same_names(run, data, attacked, empty, command):
    full = run("--data", data if command == "numbers" else attacked, command, "--csv").out.splitlines()[0].split(",")
    (header,) = run("--data", empty, command, "--csv").out.splitlines()
    assert set(header.split(",")) <= set(full)


def test_nothing_is_said_of_nothing(run, empty):
    for command in ("relays", "origins", "campaigns"):
        assert run("--data", empty, command).out == f"no {command}\n"
