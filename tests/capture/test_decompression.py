"""Compressed captures read like plain ones, up to where they are damaged."""

import bz2
import gzip
import io
import lzma
import struct
import zlib

import pytest
from backports import zstd

from relaytrap.capture import read_capture
from relaytrap.capture.decompression import Decompressed, decompressor_for
from relaytrap.errors import InputError
from tests.capture.packets import datagram, open_capture, pcap, request

PLAIN = pcap([datagram(request(n)) for n in range(200)])
LARGE = pcap([datagram(request(n)) for n in range(8000)])


def pzstd(data: bytes) -> bytes:
    """As pzstd writes it: before each frame one to be passed over, which tells the size of the next."""
    frames = [zstd.compress(data[at : at + 8192]) for at in range(0, len(data), 8192)]
    return b"".join(struct.pack("<III", 0x184D2A50, 4, len(frame)) + frame for frame in frames)


COMPRESS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
    "pzstd": pzstd,
}
COMPRESSED = {kind: compress(PLAIN) for kind, compress in COMPRESS.items()}


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_capture_is_read(kind):
    reader = open_capture(COMPRESSED[kind])
    assert len(list(reader)) == 200
    assert not reader.report.unread
    assert reader.position == len(COMPRESSED[kind])


@pytest.mark.parametrize("kind", COMPRESSED)
def test_members_that_follow_one_another_are_joined(kind):
    half = len(PLAIN) // 2
    compress = COMPRESS[kind]
    reader = open_capture(compress(PLAIN[:half]) + compress(PLAIN[half:]) + bytes(512))
    assert len(list(reader)) == 200
    assert not reader.report.unread


@pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS)
def test_a_cut_compressed_capture_gives_what_came_and_says_so(compress):
    data = compress(LARGE)
    reader = open_capture(data[: len(data) - 12])
    assert len(list(reader)) > 3000
    assert reader.report.unread["rest of file after damaged or cut compression"] == 1


def test_a_compressed_capture_cut_before_anything_can_be_unpacked_is_refused():
    with pytest.raises(InputError, match="cannot be unpacked"):
        open_capture(COMPRESSED["bzip2"][:200])


@pytest.mark.parametrize("size", [1, 5, 200, 8000])
def test_a_gzip_file_with_a_wrong_checksum_gives_all_that_it_holds_and_says_so(size):
    data = bytearray(gzip.compress(pcap([datagram(request(n)) for n in range(size)])))
    data[-6] ^= 1
    reader = open_capture(bytes(data))
    assert len(list(reader)) == size
    assert reader.report.unread == {"rest of file after damaged or cut compression": 1}


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9])
def test_a_gzip_file_gives_every_packet_before_the_damage(at):
    data = bytearray(gzip.compress(PLAIN))
    damaged = int(len(data) * at)
    data[damaged : damaged + 40] = b"\xff" * 40
    before = zlib.decompressobj(wbits=31).decompress(bytes(data[:damaged]))
    reader = open_capture(bytes(data))
    whole = len(list(open_capture(before)))
    assert 0 < whole <= len(list(reader)) <= whole + 20


def test_zstandard_that_python_cannot_read_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr("relaytrap.capture.decompression.ZSTD_MODULES", ("nowhere.zstd",))
    with pytest.raises(InputError, match="Zstandard"):
        open_capture(COMPRESSED["zstd"])


def test_a_damaged_gzip_file_gives_what_came_before():
    data = bytearray(gzip.compress(LARGE, 0))
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    reader = open_capture(bytes(data))
    assert 3500 < len(list(reader)) < 4500
    assert reader.report.unread


@pytest.mark.parametrize("kind", COMPRESSED)
def test_something_else_compressed_is_refused(kind):
    compress = COMPRESS[kind]
    with pytest.raises(InputError, match=r"notes\.gz is no capture"):
        read_capture(io.BytesIO(compress(b"plain text")), name="notes.gz", sensor="s")


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_bomb_comes_out_in_small_pieces(compress):
    bomb = compress(bytes(1 << 24))
    make = decompressor_for(bomb)
    assert make
    plain = Decompressed(io.BytesIO(bomb), b"", make)
    sizes = [len(piece) for piece in iter(lambda: plain.read(1 << 16), b"")]
    assert max(sizes) <= 1 << 16
    assert sum(sizes) == 1 << 24


def test_plain_files_need_no_decompressor():
    assert decompressor_for(PLAIN[:16]) is None
