import dataclasses
import marshal
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from multiprocessing.connection import Connection

import pytest

from relaytrap.config import EnrichConfig
from relaytrap.errors import InputError, StoreError
from relaytrap.hub.batch import make_batch
from relaytrap.hub.workers import Workers
from tests.hub.traffic import request, seen, segment
from tests.storing import NOON_NS


def test_a_worker_makes_the_same_block_as_this_process(workers, setting):
    observations = [seen(request(n), n) for n in range(50)]
    there = workers.batch(observations, 1234)
    here = make_batch(observations, setting, 1234)
    assert (there.rows, there.block) == (here.rows, here.block)


def test_known_identifiers_are_left_out(workers, setting):
    observations = [seen(request(n), n) for n in range(3)]
    from relaytrap.hub.rows import make_row

    known = [make_row(observations[1], setting, 1)[0]]
    batch = workers.batch(observations, 1, known=known)
    assert (batch.rows, batch.skipped) == (2, 1)


def test_each_observation_may_have_its_own_time_of_arrival(workers, setting):
    observations = [seen(request(n), n) for n in range(3)]
    assert workers.batch(observations, [1, 2, 3]).block == make_batch(observations, setting, [1, 2, 3]).block


def test_a_segment_is_read_in_the_worker(workers):
    batch = workers.segment_batch(segment(seen(request(n), n) for n in range(4)), "trap", NOON_NS, 1)
    assert batch.rows == 4


def test_what_is_no_segment_comes_back_as_the_operators_sentence(workers):
    with pytest.raises(InputError, match="is not a Relaytrap segment"):
        workers.segment_batch(b"nothing of the kind", "trap", NOON_NS, 1)


def test_a_setting_with_which_no_worker_can_begin_is_told_in_its_own_words(config, tmp_path, caplog):
    table = tmp_path / "country.mmdb"
    workers = Workers(dataclasses.replace(config, enrich=EnrichConfig(country_mmdb=str(table))), 1)
    for ask in (
        lambda: workers.batch([seen(request(0))], 1),
        lambda: workers.segment_batch(segment([seen(request(0))]), "trap", NOON_NS, 1),
    ):
        with pytest.raises(StoreError, match=r"cannot read .*country.mmdb \(No such file or directory\)"):
            ask()
    workers.close()
    assert not caplog.records


def test_a_worker_that_was_killed_is_replaced(config):
    workers = Workers(config, 1)
    assert workers.batch([seen(request(0))], 1).rows == 1
    os.kill(workers._all[0]._process.pid, signal.SIGKILL)
    assert workers.batch([seen(request(0))], 1).rows == 1
    workers.close()


def test_no_worker_starts_for_a_job_that_is_at_work_when_all_are_ended(config, monkeypatch, caplog):
    workers = Workers(config, 1)
    workers.batch([seen(request(0))], 1)
    ask, asked = workers._all[0].ask, threading.Event()

    def slowly(job):
        asked.set()
        assert workers_ended.wait(30)
        return ask(job)

    workers_ended, told = threading.Event(), []

    def work():
        with pytest.raises(StoreError, match="the hub stops") as error:
            workers.batch([seen(request(0))], 1)
        told.append(error)

    monkeypatch.setattr(workers._all[0], "ask", slowly)
    thread = threading.Thread(target=work)
    thread.start()
    assert asked.wait(30)
    workers.close()
    workers_ended.set()
    thread.join()
    assert (len(told), workers._all, caplog.messages) == (1, [], [])


def test_workers_end_with_their_owner(config):
    workers = Workers(config, 1)
    workers.batch([seen(request(0))], 1)
    process = workers._all[0]._process
    workers.close()
    assert process.returncode == 0


@pytest.mark.parametrize("cut", [0, 10], ids=["before the answer", "in the middle of a job"])
def test_a_worker_whose_owner_was_killed_ends_without_a_word(config, cut):
    ours, theirs = socket.socketpair()
    with Connection(ours.detach()) as owner:
        owner.send_bytes(pickle.dumps(config))
        job = marshal.dumps(("segment", 1, [], (b"nothing of the kind", "trap", 1)))
        framed = struct.pack("!i", len(job)) + job
        os.write(owner.fileno(), framed[: len(framed) - cut])
    command = [sys.executable, "-m", "relaytrap.hub.worker", str(theirs.fileno())]
    with theirs:
        done = subprocess.run(command, pass_fds=[theirs.fileno()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
