import json


def test_numbers_say_what_was_dialled_and_where_it_leads(run, data):
    (row,) = [json.loads(line) for line in run("--data", data, "numbers", "--json").out.splitlines()]
    assert (row["dialled"], row["country"], row["messages"], row["prefixes"]) == ("+442030000000", "GB", 2, ["0011"])


def test_the_table_shows_them(run, data):
    assert "+442030000000  GB" in run("--data", data, "numbers").out


def test_no_numbers_is_said(run, data):
    assert run("--data", data, "numbers", "--method", "REGISTER").out == "no numbers\n"
