import json


def test_everything_is_derived_again(run, data):
    before = run("--data", data, "messages", "--json").out
    assert run("--config", data.parent / "relaytrap.toml", "--data", data, "reanalyse").out == (
        "12 messages analysed again\n"
    )
    assert run("--data", data, "messages", "--json").out == before


def test_nothing_outdated_is_nothing_to_do(run, data):
    shown = run("--config", data.parent / "relaytrap.toml", "--data", data, "reanalyse", "--outdated")
    assert shown.out == "0 messages analysed again\n"


def test_new_settings_reach_old_messages(run, data, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('[network]\nnames = [{ network = "192.0.2.0/24", country = "DE", asn = 1, name = "X" }]\n')
    run("--config", other, "--data", data, "reanalyse")
    (row,) = [json.loads(line) for line in run("--data", data, "sources", "--json").out.splitlines()]
    assert (row["country"], row["asn"], row["as_name"]) == ("DE", 1, "X")


def test_wrong_network_is_told_as_such(run, data, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text('[[network.names]]\nnetwork = "192.0.2.0/33"\n')
    shown = run("--config", other, "--data", data, "reanalyse")
    assert shown.status == 3
    assert "network.names: '192.0.2.0/33'" in shown.err
