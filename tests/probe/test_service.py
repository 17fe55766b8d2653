"""The steps of a test that the page was asked for, in their order."""

import asyncio
from pathlib import Path

import pytest

from relaytrap.config import ProbeConfig
from relaytrap.errors import InputError
from relaytrap.probe.register import LIMITS
from relaytrap.probe.service import Asked, Service
from relaytrap.probe.target import Target


def test_asking_is_counted_before_the_name_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(ProbeConfig(), tmp_path)
    looked_up: list[str] = []

    async def look_up(text: str, **options: object) -> Target:
        looked_up.append(text)
        raise InputError(f"{text} does not resolve (no such name); check the name, or give an address")

    monkeypatch.setattr("relaytrap.probe.service.resolve_target", look_up)
    for _ in range(LIMITS.asked_an_hour):
        with pytest.raises(InputError, match="does not resolve"):
            asyncio.run(service.resolve_owned(Asked("pbx.example"), "192.0.2.1"))
    with pytest.raises(InputError, match="proofs an hour are enough"):
        asyncio.run(service.resolve_owned(Asked("pbx.example"), "192.0.2.1"))
    assert len(looked_up) == LIMITS.asked_an_hour
