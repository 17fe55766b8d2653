import subprocess
import sys

from tests.clickhouse import running_clickhouse


def test_a_store_moves_to_a_server_and_its_messages_are_asked_there(run, data, tmp_path):
    before = run("--data", data, "messages", "--json").out
    with running_clickhouse(tmp_path / "server") as url:
        moved = run("--data", data, "store", "move", "--to", f"{url}traps", "--cluster", "one")
        assert moved.out.splitlines() == [
            "12 messages moved; counts and checksums of every day agree",
            'now set in the configuration: [store] url = "clickhouse://…", cluster = "one"',
        ]
        settings = tmp_path / "relaytrap.toml"
        settings.write_text(f'[store]\nurl = "{url}traps"\ncluster = "one"\n')
        assert run("--config", settings, "--data", tmp_path / "elsewhere", "messages", "--json").out == before


def test_a_move_to_what_is_no_server_is_one_sentence(run, data):
    shown = run("--data", data, "store", "move", "--to", "embeded")
    assert shown.status == 5
    assert shown.err.count("\n") == 1
    assert "--to is no address of a ClickHouse server; write clickhouse://" in shown.err


def test_a_move_to_a_server_that_is_away_is_one_sentence(data):
    command = [
        sys.executable,
        "-m",
        "relaytrap",
        "--data",
        data,
        "store",
        "move",
        "--to",
        "clickhouse://u:pw@127.0.0.1:1/x",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr == (
        "relaytrap: the ClickHouse server 127.0.0.1:1: the store cannot be opened: Connection refused\n"
    )


def test_a_move_to_where_the_store_is_already_is_refused(run, data):
    shown = run("--data", data, "store", "move", "--to", "embedded")
    assert (shown.status, "at that place already" in shown.err) == (4, True)
