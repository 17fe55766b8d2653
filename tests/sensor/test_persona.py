"""Persona files: read, refused with the key that is wrong, different in each installation."""

from importlib.resources import files

import pytest

from relaytrap.errors import ConfigError
from relaytrap.sensor import personas
from relaytrap.sensor.persona import parse_persona
from relaytrap.sensor.personas import load_persona, persona_names

SMALL = """
format = 1
title = "small"
[installation]
version = ["1.0", "2.0", "3.0"]
banner = ["small/{version}"]
[wire]
order = ["Via", "From", "To", "Call-ID", "CSeq", "Server", "Content-Length"]
every = ["Server"]
to_tag = "{hex:8}"
[headers]
Server = "{banner}"
[answers]
ok = { status = "200 OK" }
[methods]
"*" = { answer = "ok" }
"""


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_persona(text, name="small", seed="s", where="small.toml")
    return str(caught.value)


@pytest.mark.parametrize("name", persona_names())
def test_bundled_personas_load_for_any_seed(name: str) -> None:
    for seed in ("a", "b", "c"):
        assert load_persona(name, seed=seed).title


def test_there_are_a_pbx_a_proxy_a_gateway_and_an_sbc() -> None:
    assert set(persona_names()) == {"asterisk", "freepbx", "kamailio", "cisco", "sbc"}


def test_facts_build_on_one_another_and_differ_between_installations() -> None:
    banners = {parse_persona(SMALL, name="s", seed=str(n)).headers["Server"] for n in range(30)}
    assert banners == {"small/1.0", "small/2.0", "small/3.0"}


def test_same_seed_gives_the_same_persona() -> None:
    assert load_persona("sbc", seed="x").facts == load_persona("sbc", seed="x").facts


def test_share_of_users_exists_and_a_share_of_those_is_weak() -> None:
    persona = load_persona("asterisk", seed="x")
    passwords = [persona.password(str(number).encode()) for number in range(1000, 1100)]
    existing = [each for each in passwords if each is not None]
    assert 5 < len(existing) < 60
    assert any(each == "" for each in existing)


@pytest.mark.parametrize("user", [b"", b"\xff\xfe", "١٢٣".encode(), b"99999999999999999999", b"100\n", b"a" * 70000])
def test_odd_users_do_not_exist(user: bytes) -> None:
    assert load_persona("asterisk", seed="x").password(user) is None


def test_unknown_persona_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean kamailio"):
        load_persona("kamalio", seed="")
    with pytest.raises(ConfigError, match="asterisk, cisco"):
        load_persona("zzz", seed="")


def test_persona_file_is_loaded_by_its_path(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALL, encoding="utf-8")
    assert load_persona(str(path), seed="").name == "mine"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_persona(str(tmp_path / "none.toml"), seed="")
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_persona(str(path), seed="")


def test_field_that_nothing_fills_is_told_at_the_start(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    for wrong in (SMALL.replace('Server = "{banner}"', 'Server = "{bannner}"'), SMALL.replace("{hex:8}", "{hexx:8}")):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"mine.toml: nothing fills the field \{(bannner|hexx)\}"):
            load_persona(str(path), seed="")


def test_ring_that_makes_no_sense_is_told() -> None:
    text = files(personas).joinpath("cisco.toml").read_text(encoding="utf-8")
    assert "no regular expression" in refused(text.replace("{3,22}", "{3,22}("))
    assert "ring.ringing_after_s is no span" in refused(text.replace("[0.4, 2.5]", "[2.5, 0.4]"))


def test_mistakes_name_file_and_key() -> None:
    assert "small.toml: not valid TOML" in refused("x = ")
    assert "unknown field `trimm`" in refused(SMALL.replace("[headers]", "trimm = []\n[headers]"))
    assert "format 9 is not known" in refused(SMALL.replace("format = 1", "format = 9"))
    assert "'okay', which [answers] lacks" in refused(SMALL.replace('answer = "ok"', 'answer = "okay"'))
    assert "wire.order lacks" in refused(SMALL.replace('every = ["Server"]', 'every = ["Server", "Date"]'))
    assert "[headers] gives no value" in refused(SMALL.replace('Server = "{banner}"', ""))
    assert "[challenges] lacks" in refused(SMALL.replace('answer = "ok"', 'answer = "ok", challenge = "www"'))
    assert "no [ring]" in refused(SMALL.replace('answer = "ok"', 'answer = "ring"'))
    assert "empty list" in refused(SMALL.replace('["small/{version}"]', "[]"))
    assert "answers" in refused(SMALL.replace('"200 OK"', '"OK"'))


def test_persona_file_nested_deeper_than_its_reader_goes_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="nested too deep"):
        parse_persona("a = " + "[" * 5000, name="x", seed="")


def test_no_account_has_a_name_that_only_fills_memory() -> None:
    text = SMALL + '[accounts]\nusers = ["%s", "a"]\nshare = 1.0\n' % ("a" * 70)
    persona = parse_persona(text, name="small", seed="s")
    assert persona.password(b"a") is not None
    assert persona.password(b"a" * 70) is None


def test_rejection_of_what_is_no_anomaly_is_named() -> None:
    assert "cases.rejections names 'bare-fl'" in refused(SMALL + '[cases.rejections]\nbare-fl = "ok"\n')
    assert parse_persona(SMALL + '[cases.rejections]\nbare-lf = "ok"\n', name="small", seed="s")
