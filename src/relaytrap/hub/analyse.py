"""From messages to findings over sets: what is new is summed up, associated and settled; everything else stays.

Place in the flow: after `ingest`, beside the pages. `update` may be called at any time and as often as one likes: it
compares what the messages are now with what was last worked on, twenty seconds at a time, and works on the difference.
So a crash, a restart, a reanalysis, a dropped day or the removal of a sample need nothing but another `update`, and
the order in which messages came leaves no trace.

The cost of a batch is that of the hours it lies in (of busy ones, of the minutes: see store.sums), of the window in
which it is associated, and of the sums over relays and origins. A window is a day, or as much of one, down to twenty
seconds, as holds no more than WINDOW_REQUESTS.
"""

import itertools
import logging
import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from relaytrap import clock
from relaytrap.config import Config
from relaytrap.enrich import Enricher
from relaytrap.evidence.association import associate
from relaytrap.evidence.host import HOST_RELAYS
from relaytrap.evidence.origin import settle
from relaytrap.evidence.testimony import Standing
from relaytrap.evidence.visits import TrackInfo
from relaytrap.sample.networks import SENSOR_PREFIX, name_of
from relaytrap.store import Store, findings, sums, testimony
from relaytrap.store.findings import BUCKET_S, Bucket, Window
from relaytrap.store.queries import run_query

__all__ = ["Analysis", "Analyst", "analyse_now"]

log = logging.getLogger(__name__)

WINDOW_REQUESTS: Final = 50_000
LOAD_REQUESTS: Final = 100_000
DAYS_AT_ONCE: Final = 32
WIDTHS: Final = (86_400, 21_600, 3_600, 300, 60, BUCKET_S)
HOUR_S: Final = 3_600
DAY_S: Final = 86_400

Span = tuple[int, int]


class Analysis:
    """Keeps the findings of one store up to date. One thread works at a time; others wait."""

    def __init__(self, store: Store, enricher: Enricher | None = None) -> None:
        """enricher: gives origins their country and network; without one they have none."""
        self.store = store
        self._enricher = enricher
        self._turn = threading.Lock()
        self._asking: set[int] = set()
        self._version = findings.newest_version(store)
        self._origins = testimony.read_origins(store)
        self._conclusions: list[dict[str, object]] | None = None
        self._standing: dict[str, Standing] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for an update to end."""
        return bool(self._asking)

    def update(self, spans: Iterable[Span] | None = None, *, rest: Callable[[], None] = lambda: None) -> bool:
        """Work on what changed; gives whether anything had.

        spans: first and last received_at (ns) of what was stored since the last call; None looks at everything.
        rest: called between pieces of work, none of which takes longer than a few seconds.
        """
        self._asking.add(threading.get_ident())
        with self._turn:
            self._asking.discard(threading.get_ident())
            changed = self._changed(None if spans is None else _hours_of(spans))
            if not changed and self._conclusions is not None:
                return False
            self._version = max(self._version + 1, clock.now_ns())
            for days in _stretches(_by_day(changed)):
                self._work_on(days, rest)
            sums.drop_parts(self.store, self._version - sums.KEPT_NS)
            self._settle(sorted({bucket.start - bucket.start % HOUR_S for bucket in changed}))
            return bool(changed)

    def _changed(self, spans: list[Span] | None) -> list[Bucket]:
        """Buckets that are not as they were last worked on; what has lost messages, or has them derived anew, is
        dropped first, whole days: sums of tracks that are no more would stay.

        spans: whole hours to look at (seconds, the end excluded); None looks at everything.
        """
        changed: list[Bucket] = []
        for since, until in [(0, 0)] if spans is None else spans:
            now = findings.read_buckets(self.store, since, until)
            then = findings.stored_buckets(self.store, since, until)
            lost = {_day(start) for start, old in then.items() if _has_lost(old, now.get(start))}
            if lost:
                self._standing = None
            for day in lost if spans is not None else ():
                now |= findings.read_buckets(self.store, day, day + DAY_S)
            findings.drop_days(self.store, (clock.rfc3339(day * clock.NS_PER_S)[:10].replace("-", "") for day in lost))
            changed += (
                bucket for bucket in now.values() if _day(bucket.start) in lost or bucket != then.get(bucket.start)
            )
        return list(dict.fromkeys(changed))

    def _work_on(self, days: Mapping[int, list[Bucket]], rest: Callable[[], None]) -> None:
        """Changed buckets of days in a row: their hours' sums, their windows, and last the mark that this was done."""
        changed = list(itertools.chain.from_iterable(days.values()))
        since, until = min(days), max(days) + DAY_S
        starts = {bucket.start for bucket in changed}
        buckets = findings.stored_buckets(self.store, since, until) | {each.start: each for each in changed}
        sums.write_hours(self.store, buckets.values(), changed, self._version, rest)
        wanted = {
            window
            for day, held in _by_day(buckets.values()).items()
            for window in split_windows(day, {bucket.start: bucket for bucket in held})
        }
        standing = findings.read_windows(self.store, since, until)
        findings.write_windows(self.store, standing - wanted, self._version, alive=False)
        touched = sorted(starts)
        todo = [window for window in sorted(wanted) if window not in standing or _within(touched, window)]
        for load in _loads(todo, buckets):
            self._associate(load)
            rest()
        findings.write_buckets(self.store, changed, self._version)

    def _associate(self, windows: list[Window]) -> None:
        tracks = findings.read_tracks(self.store, windows)
        kept = {window: _relevant(tracks[window]) for window in windows}
        asked = set().union(*kept.values())
        visits = findings.read_visits(self.store, windows, asked) if asked else {}
        found = {
            window: associate(tracks[window], [v for v in visits.get(window, ()) if v.track in kept[window]])
            for window in windows
        }
        findings.write_found(self.store, found, tracks, self._version)

    def _look_up(self, address: str) -> tuple[str, int, str]:
        if self._enricher is None:
            return "", 0, ""
        network = self._enricher.network(address)
        if not network.country and (row := name_of(address)) and self._has_sample():
            return row.country, row.asn, row.name
        return network.country, network.asn, network.name

    def _has_sample(self) -> bool:
        sensors = run_query(self.store, "leaders", {"facets": "sensor", "limit": 1000})
        return any(row["value"].startswith(SENSOR_PREFIX) for row in sensors)

    def _settle(self, hours: list[int]) -> None:
        """Draw the conclusions anew; only origins that some hours name can stand otherwise than before."""
        if self._standing is None:
            self._standing = testimony.read_standing(self.store)
        else:
            self._standing |= testimony.read_standing(self.store, hours)
        groups = testimony.read_groups(self.store)
        settled = settle(testimony.read_testimony(self.store, groups, self._standing), groups)
        rows = testimony.conclusion_rows(settled, self._look_up)
        if rows != self._conclusions:
            testimony.write_conclusions(self.store, rows, self._version)
        changed = [each for address, each in settled.origins.items() if self._origins.get(address) != each]
        gone = self._origins.keys() - settled.origins.keys()
        testimony.write_origins(self.store, changed, gone, self._version, self._look_up)
        self._conclusions, self._origins = rows, settled.origins


def _has_lost(old: Bucket, now: Bucket | None) -> bool:
    """Whether something in a bucket is not what it was; more messages alone are not that."""
    return now is None or (now != old and now.messages <= old.messages)


def _loads(windows: list[Window], buckets: Mapping[int, Bucket]) -> Iterator[list[Window]]:
    """Windows in parts that are read at once, none with more than LOAD_REQUESTS unless one window has."""
    load: list[Window] = []
    held = 0
    starts = sorted(buckets)
    for window in windows:
        size = sum(buckets[start].openers for start in _within(starts, window))
        if load and held + size > LOAD_REQUESTS:
            yield load
            load, held = [], 0
        load.append(window)
        held += size
    if load:
        yield load


def _within(starts: list[int], window: Window) -> list[int]:
    """Those of some starts, in order, that lie in a window."""
    return starts[bisect_left(starts, window.start) : bisect_left(starts, window.start + window.width)]


def _relevant(tracks: Mapping[int, TrackInfo]) -> set[int]:
    """Tracks that association can say something about; what came direct only where relays are at work as well."""
    relays = max((info.relays for info in tracks.values() if info.verdict == "relayed" and info.origin), default=0)
    if not relays:
        return {track for track, info in tracks.items() if info.masks}
    return {track for track, info in tracks.items() if info.verdict != "direct" or relays >= HOST_RELAYS}


def _hours_of(spans: Iterable[Span]) -> list[Span]:
    """Whole hours, in seconds, that hold some spans of nanoseconds; neighbours together."""
    hours: set[int] = set()
    for first, last in spans:
        begin = first // clock.NS_PER_S
        hours.update(range(begin - begin % HOUR_S, last // clock.NS_PER_S + 1, HOUR_S))
    return [(first, last + HOUR_S) for first, last in findings.runs(sorted(hours), HOUR_S)]


def _day(second: int) -> int:
    return second - second % DAY_S


def _by_day(buckets: Iterable[Bucket]) -> dict[int, list[Bucket]]:
    days: dict[int, list[Bucket]] = {}
    for bucket in sorted(buckets):
        days.setdefault(_day(bucket.start), []).append(bucket)
    return days


def _stretches(days: Mapping[int, list[Bucket]]) -> Iterator[dict[int, list[Bucket]]]:
    """Days in a row that are worked on at once: a quiet year has as many as it has messages, and each question to the
    store takes as long for one day as for a month."""
    stretch: dict[int, list[Bucket]] = {}
    held = 0
    for day, buckets in sorted(days.items()):
        size = sum(bucket.messages for bucket in buckets)
        if stretch and (day - DAY_S not in stretch or len(stretch) == DAYS_AT_ONCE or held + size > LOAD_REQUESTS):
            yield stretch
            stretch, held = {}, 0
        stretch[day] = buckets
        held += size
    if stretch:
        yield stretch


def split_windows(day: int, buckets: Mapping[int, Bucket]) -> Iterator[Window]:
    """Windows of a day: as wide as they can be without holding more than WINDOW_REQUESTS."""
    return _split(Window(day, WIDTHS[0]), [bucket for bucket in buckets.values() if bucket.openers])


def _split(window: Window, buckets: list[Bucket]) -> Iterator[Window]:
    narrower = next((width for width in WIDTHS if width < window.width), 0)
    if not narrower or sum(bucket.openers for bucket in buckets) <= WINDOW_REQUESTS:
        yield window
        return
    parts: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        parts.setdefault(bucket.start - bucket.start % narrower, []).append(bucket)
    for start, part in sorted(parts.items()):
        yield from _split(Window(start, narrower), part)


def analyse_now(store: Store, config: Config) -> None:
    """Bring the findings of a store up to date, in a command that has it to itself."""
    analysis = Analysis(store, Enricher.open(config.enrich, config.network, config.data_dir / "tables"))
    store.spare_memory()
    analysis.update(rest=store.spare_memory)


class Analyst:
    """Runs an Analysis in the background of a hub: soon after messages came, and now and then over everything, because
    messages also go or are derived anew."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._spans: list[Span] = []
        self._rested = -math.inf
        self._news = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="analyst", daemon=True)

    def start(self) -> None:
        """Begin, with a look at everything."""
        self._thread.start()

    def take(self, first_ns: int, last_ns: int) -> None:
        """Messages of that span of time were stored."""
        with self._news:
            self._spans.append((first_ns, last_ns))
            self._news.notify()

    def close(self) -> None:
        """End after the work at hand."""
        with self._news:
            self._stopping = True
            self._news.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._rested = clock.monotonic()
        looked = clock.monotonic() if self._update(None) else -math.inf
        while not self._wait(LOOK_S, for_news=True):
            # Let a burst arrive before it is looked at.
            if self._wait(PAUSE_S):
                return
            with self._news:
                spans, self._spans = self._spans, []
            began = self._rested = clock.monotonic()
            everything = not spans or began - looked > LOOK_MOST_S
            if not self._update(None if everything else spans):
                looked = -math.inf
            elif everything:
                looked = began
            # Ingest and pages want the machine as well: in a flood findings come later, messages never.
            if self._wait(self._due_rest()):
                return

    def _rest(self) -> None:
        """Rest in the middle of an update that works for long, while messages come in and nobody waits for its end."""
        if clock.monotonic() - self._rested < WORK_S or not self._spans:
            return
        until = clock.monotonic() + self._due_rest()
        while (left := until - clock.monotonic()) > 0 and not self.analysis.is_awaited:
            if self._wait(min(left, LOOK_AGAIN_S)):
                return
        self._rested = clock.monotonic()

    def _due_rest(self) -> float:
        return min(REST_SHARE * (clock.monotonic() - self._rested), REST_MAX_S)

    def _wait(self, seconds: float, *, for_news: bool = False) -> bool:
        """Wait for the end of the time, or for news; gives whether to stop."""
        with self._news:
            self._news.wait_for(lambda: self._stopping or (for_news and bool(self._spans)), seconds)
            return self._stopping

    def _update(self, spans: list[Span] | None) -> bool:
        """Whether it worked; what a failed one leaves, a look at everything finds."""
        try:
            self.analysis.update(spans, rest=self._rest)
        except Exception:  # the edge of one unit of work
            log.exception("analysis failed")
            return False
        return True


PAUSE_S: Final = 1.0
REST_SHARE: Final = 3.0
"""Rest for every second at work: a quarter of one core at most. At 9,000 messages/s an update worked for a minute and a
half, with 0.4 of a core, on a machine that ingest had full."""
REST_MAX_S: Final = 120.0
WORK_S: Final = 1.0
"""Shorter updates do not rest in between. With rests only after updates the page was up to 16 s behind at 10,000
messages/s, and only while one worked."""
LOOK_AGAIN_S: Final = 0.25
LOOK_S: Final = 60.0
LOOK_MOST_S: Final = 3600.0
"""How long news alone are looked at when they do not end; a look at everything reads time, identifier and
track of every message."""
