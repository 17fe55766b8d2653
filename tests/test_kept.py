from relaytrap.kept import Kept


def test_a_key_is_made_once():
    made = []
    kept = Kept(lambda key: made.append(key) or len(key))
    assert [kept[b"abc"], kept[b"abc"], kept[b"de"]] == [3, 3, 2]
    assert made == [b"abc", b"de"]


def test_what_is_none_or_empty_is_kept_as_well():
    made = []
    kept = Kept(lambda key: made.append(key))
    assert kept["a"] is kept["a"] is None
    assert made == ["a"]


def test_keys_of_an_attacker_are_forgotten_when_there_are_too_many():
    kept = Kept(len, most=16)
    for number in range(1000):
        assert kept[b"%d" % number] == len(b"%d" % number)
        assert len(kept) <= 16


def test_a_long_key_is_answered_and_not_kept():
    kept = Kept(len, longest=64)
    assert kept[b"a" * 60_000] == 60_000
    assert kept[b"a" * 64] == 64
    assert list(kept) == [b"a" * 64]
