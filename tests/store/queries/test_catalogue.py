import pytest

from relaytrap.errors import InputError
from relaytrap.store.queries import CATALOGUE, options_of, run_query


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_query_answers_on_an_empty_store(store, name):
    needed = {
        option: {"id": "0" * 16, "address": "192.0.2.1"}.get(option, "1")
        for option, parameter in options_of(name).items()
        if parameter.default is parameter.empty
    }
    assert isinstance(list(run_query(store, name, needed)), list)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_query_says_what_it_gives(name):
    assert (CATALOGUE[name].__doc__ or "").strip()


def test_an_unknown_query_names_the_known_ones(store):
    with pytest.raises(InputError, match="no query 'secrets'; there are messages"):
        run_query(store, "secrets", {})


def test_a_missing_option_is_named(store):
    with pytest.raises(InputError, match="message needs id"):
        run_query(store, "message", {})


def test_an_option_of_the_wrong_kind_is_named(store):
    with pytest.raises(InputError, match="limit: 'many' is no whole number"):
        run_query(store, "messages", {"limit": "many"})


def test_an_unknown_filter_is_refused(store):
    with pytest.raises(InputError, match="no filter 'colour'"):
        run_query(store, "messages", {"colour": "red"})
