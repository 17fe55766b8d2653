import threading

from relaytrap.cli import hub
from relaytrap.errors import StoreError


def test_upkeep_goes_on_after_whatever_went_wrong(monkeypatch, caplog):
    enough, wrong = threading.Event(), [KeyError("a bug"), StoreError("the store is away")]

    def keep_up(store, now_ns):
        if wrong:
            raise wrong.pop(0)
        enough.set()

    monkeypatch.setattr("relaytrap.store.upkeep.keep_up", keep_up)
    monkeypatch.setattr(hub, "UPKEEP_S", 0.01)
    end = hub.start_upkeep(None)
    assert enough.wait(30)
    end()
    assert [record.exc_info is not None for record in caplog.records] == [True, False]
