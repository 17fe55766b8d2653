"""Cells of a spreadsheet: text that none of them runs. For every CSV that leaves this program."""

import json
from typing import Any, Final

from relaytrap.sip.text import visible

__all__ = ["csv_cell"]

# A spreadsheet takes a cell that starts with one of these for a formula; some their full-width forms, too.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_cell(value: Any) -> str:
    """Text that no spreadsheet runs and no terminal obeys.

    An apostrophe stands before what would start a formula; controls and direction marks are escaped (JSON has them
    exactly).
    """
    if value is None:
        return ""
    if isinstance(value, (bool, list, tuple, dict)):
        value = json.dumps(value, ensure_ascii=False)
    text = str(value)
    is_formula = isinstance(value, str) and text.lstrip(" ").startswith(FORMULA_STARTS)
    return visible("'" + text if is_formula else text)
