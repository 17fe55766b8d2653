"""`relaytrap feed`: over a store, into a file, with sentences for what is wrong."""

import json

import pytest

from relaytrap.feeds import FORMATS


def test_where_no_honeypot_sent_anything_is_no_empty_list_that_would_empty_a_firewall(run, data, tmp_path):
    for place in (data, tmp_path / "new"):
        shown = run("--data", place, "feed", "nft", "--output", tmp_path / "block.nft")
        assert shown.status == 4
        assert "No honeypot of this hub has sent anything" in shown.err
        assert not (tmp_path / "block.nft").exists()


def test_a_capture_is_used_when_it_is_named(run, data):
    shown = run(
        "--data", data, "feed", "--sensor", "scan", "--evidence", "any", "--sample", "--since", "3650d", "--json"
    )
    (found,) = map(json.loads, shown.out.splitlines())
    assert found["address"].startswith("192.0.2.")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_printed(run, data, form):
    assert run("--data", data, "feed", form, "--sensor", "scan").status == 0


def test_a_file_is_replaced_whole_and_left_alone_when_nothing_changed(run, data, tmp_path):
    file = tmp_path / "block.nft"
    given = ("--data", data, "feed", "nft", "--sensor", "scan", "--output", file)
    assert "unchanged" not in run(*given).err
    before = file.stat()
    assert "unchanged" in run(*given).err
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert [each.name for each in tmp_path.iterdir()] == ["block.nft"]


@pytest.mark.parametrize(
    ("given", "status"),
    [(["--since", "yesterday"], 4), (["--confidence", "101"], 2), (["yaml"], 2), (["nft", "--json"], 2)],
)
def test_a_wrong_option_is_one_sentence(run, data, given, status):
    shown = run("--data", data, "feed", *given)
    assert (shown.status, shown.out) == (status, "")


def test_a_wrong_setting_is_one_sentence(run, data, tmp_path):
    (tmp_path / "relaytrap.toml").write_text('[feeds]\nallow = ["carrier.example"]\n')
    shown = run("--config", tmp_path / "relaytrap.toml", "--data", data, "feed")
    assert shown.status == 3
    assert "feeds.allow: 'carrier.example' is no address or network" in shown.err


def test_a_place_that_cannot_be_written_is_one_sentence(run, data, tmp_path):
    shown = run("--data", data, "feed", "--sensor", "scan", "--output", tmp_path / "missing" / "list")
    assert shown.status == 10
    assert "missing" in shown.err
