from pathlib import Path

from relaytrap.capture import read_capture
from relaytrap.sample.captures import write_captures
from tests.sample.story import END_NS, tell_story


def test_the_written_captures_read_back_as_the_story(tmp_path: Path) -> None:
    found = []
    for path in write_captures(tmp_path, END_NS):
        with path.open("rb") as stream:
            found += list(read_capture(stream, name=path.name, sensor="ignored"))
    found.sort(key=lambda each: each.received_at_ns)
    assert found == tell_story()
