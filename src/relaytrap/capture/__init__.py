"""Captures: reading them into observations, writing observations as pcapng."""

from relaytrap.capture.dissection import is_cut, is_incomplete
from relaytrap.capture.pcapng import SegmentWriter, write_capture
from relaytrap.capture.reader import CaptureReader, ReadOptions, inspect_capture, read_capture
from relaytrap.capture.report import CaptureReport
from relaytrap.capture.segment import SegmentReader, read_segment

__all__ = [
    "CaptureReader",
    "CaptureReport",
    "ReadOptions",
    "SegmentReader",
    "SegmentWriter",
    "inspect_capture",
    "is_cut",
    "is_incomplete",
    "read_capture",
    "read_segment",
    "write_capture",
]
