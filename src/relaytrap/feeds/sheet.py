"""`csv`: a header line and a row for each address, for spreadsheets and for what reads them."""

import csv
import io
from typing import Any

from relaytrap.feeds.feed import Feed
from relaytrap.feeds.lines import FIELDS
from relaytrap.spreadsheet import csv_cell

__all__ = ["write"]


def write(feed: Feed) -> bytes:
    """The fields of `jsonl`; lists are joined by ", ", and no cell is a formula."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows([_cell(of(each)) for of in FIELDS.values()] for each in feed.indicators)
    return sink.getvalue().encode()


def _cell(value: Any) -> str:
    return csv_cell(", ".join(value) if isinstance(value, tuple) else value)
