"""What a user chose, before anything is sent."""

import asyncio

import pytest

from relaytrap.errors import InputError
from relaytrap.probe.conduct import Options, conduct
from relaytrap.probe.target import Endpoint, Target


@pytest.mark.parametrize(
    "options",
    [
        Options(number="+49 30"),
        Options(number="1>\r\nX: y"),
        Options(witness="0.0.0.0:5060"),
        Options(witness="127.0.0.1:99999"),
        Options(witness="no address"),
        Options(tester="no address"),
        Options(witness_public=":5060"),
        Options(tester="::1"),
        Options(witness_token="no token", witness="127.0.0.1"),
        Options(witness_token="x." + "0" * 64),
        Options(witness_token="x." + "0" * 64, witness="127.0.0.1", witness_public="127.0.0.1"),
        Options(witness_token="x." + "0" * 64, witness=":5059"),
    ],
)
def test_choice_that_cannot_be_used_is_one_sentence(options: Options) -> None:
    target = Target("x", "x", (Endpoint("udp", "127.0.43.9", 5060),))
    with pytest.raises(InputError):
        asyncio.run(conduct(target, options, lambda progress: None))
