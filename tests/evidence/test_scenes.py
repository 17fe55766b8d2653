"""Recorded scenes with known truth, judged in memory: real Kamailio relays, real scanners, every request labelled."""

import json
from collections import Counter

import pytest

from relaytrap.capture import read_capture
from relaytrap.evidence.association import associate
from relaytrap.evidence.kamailio import field_agrees
from relaytrap.evidence.origin import settle
from relaytrap.evidence.path import AddressSet, PathSetting
from relaytrap.evidence.relay import judge_path
from relaytrap.evidence.testimony import Testimony as Words
from relaytrap.evidence.topology_hiding import Masked
from relaytrap.evidence.track import keys_of
from relaytrap.evidence.via_chain import branch_maker
from relaytrap.evidence.visits import TrackInfo, Visit
from relaytrap.sip import Request, parse_message
from tests.evidence.relays import believe, vouch_of

pytestmark = pytest.mark.material
CARRIER = "203.0.113.200"


def read(folder, name):
    with (folder / name).open("rb") as stream:
        return list(read_capture(stream, name=name, sensor=name.partition(".")[0]))


def requests_of(observations):
    for seen in observations:
        message = parse_message(seen.raw)
        if isinstance(message, Request) and seen.direction == "in":
            yield seen, message


def findings(observations, known=(CARRIER,)):
    """(observation, message, path, belief) of every request, and what was settled."""
    setting = PathSetting(AddressSet(known, "known"))
    judged, tracks, visits = [], {}, []
    for number, (seen, message) in enumerate(requests_of(observations)):
        path = judge_path(message, seen, setting)
        uri = message.to_address.uri if message.to_address else None
        user = (uri.user if uri else b"") or b""
        keys = keys_of(message, seen, path, target=user, dialled_core=b"")
        judged.append((seen, message, path, keys))
        if not keys.opener or not keys.track:
            continue
        known_track = tracks.get(keys.track)
        masks = (known_track.masks if known_track else ())[:15]
        if path.mask:
            masks += (Masked.read(path.mask, user, seen.local.encode()),)
        tracks[keys.track] = TrackInfo(
            path.verdict, seen.source, path.origin, path.origin_port, keys.shape, keys.stack, masks
        )
        transaction = hash((seen.source, message.call_id, message.cseq))
        claim = path.claim or ""
        at, target = seen.received_at_ns, keys.target_key
        rest = (seen.sensor, transaction, claim, keys.goal)
        visits.append(Visit(number, at, keys.track, seen.source, target, *rest))
    found = associate(tracks, visits)
    placed = {place.visit.id: place for place in found.placements}
    vouches = {vouch_of(path) for _, _, path, _ in judged if path.verdict == "relayed" and path.origin}
    hidden = {seen.source for seen, _, path, keys in judged if path.verdict == "hidden" and keys.opener}
    settled = settle(Words.of(vouches, hidden), found.groups)
    return [
        (seen, message, path, believe(seen, path, keys, settled, placed.get(number)))
        for number, (seen, message, path, keys) in enumerate(judged)
    ], settled


@pytest.mark.parametrize("scene", ["lab-open", "lab-open100"])
def test_every_relayed_request_is_traced_and_nobody_is_framed(material, scene):
    truth = json.loads((material / f"{scene}.json").read_text())
    observations = [seen for name in truth["pcaps"] for seen in read(material, name)]
    found, settled = findings(observations)
    said = {(seen.capture, seen.frame): (path, belief) for seen, _, path, belief in found}
    counts = Counter()
    for name, part in truth["pcaps"].items():
        for row in part["requests"]:
            campaign = truth["campaigns"][row["campaign"]]
            if row["method"] in ("ACK", "BYE", "CANCEL") or row.get("retransmission_of") or campaign.get("legitimate"):
                continue
            _, belief = said[name, row["frame"]]
            if row["path"]:
                counts["relayed"] += 1
                counts["seen as such"] += belief.verdict in ("relayed", "hidden")
                counts["traced"] += belief.origin == campaign["origin"]
                counts["wrong"] += belief.origin not in (None, campaign["origin"])
            else:
                counts["direct"] += 1
                counts["left alone"] += belief.verdict in ("direct", "forged") and belief.origin is None
    assert counts["wrong"] == 0
    assert counts["left alone"] == counts["direct"]
    assert counts["seen as such"] >= 0.99 * counts["relayed"]
    assert counts["traced"] >= 0.95 * counts["relayed"]
    assert settled.origins.keys() == {
        campaign["origin"] for campaign in truth["campaigns"].values() if campaign["via_relays"]
    }


def test_kamailio_hops_are_recognised_by_their_hash(material):
    counts = Counter()
    for _, message in requests_of(read(material, "lab-open-hp1.pcap")):
        if message.call_id.startswith(b"!!:") or not message.vias:
            continue
        branch = message.vias[0].branch or b""
        if branch_maker(branch).name == "Kamailio":
            counts[field_agrees(branch, message.call_id, b"%d" % message.cseq.number)] += 1
    assert counts[False] == 0
    assert counts[True] > 300


def test_a_real_open_relay_in_every_case_that_was_recorded(material):
    truth = json.loads((material / "truth/hard/open_relay_lab.pcap.expected.json").read_text())
    by_call = {case["call_id"]: case for case in truth["cases"]}
    setting = PathSetting()
    for seen, message in requests_of(read(material / "hard", "open_relay_lab.pcap")):
        case = by_call[message.call_id.decode()]
        path = judge_path(message, seen, setting)
        wanted = ("relayed",) if case["relayed"] else ("direct", "forged")
        assert path.verdict in wanted, case["case"]
        assert path.origin == (case["attacker"].partition(":")[0] if case["relayed"] else None), case["case"]


def test_no_honest_call_becomes_an_attack_through_a_relay(material):
    for file in sorted((material / "pcap").iterdir()):
        found, settled = findings(read(material / "pcap", file.name), known=())
        openers = [path for _, message, path, _ in found if message.method not in (b"ACK", b"BYE", b"CANCEL")]
        assert not [path for path in openers if path.verdict in ("relayed", "hidden")], file.name
        assert not settled.origins, file.name
        assert not settled.hiding, file.name
