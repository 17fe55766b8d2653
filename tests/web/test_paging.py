"""Tables a page at a time."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from litestar.exceptions import NotFoundException

from relaytrap.web.pages.paging import PAGE_ROWS, Paging, asked_address
from relaytrap.web.site import Ask

SORTS = {"messages": "Requests", "relays": "Relays"}
FULL: list[dict[str, Any]] = [{}] * (PAGE_ROWS + 1)


def paging(**query: str) -> Paging:
    return Paging.of(cast(Ask, SimpleNamespace(query_params=query)), "/campaigns", SORTS)


@pytest.mark.parametrize("page", ["", "-1", "two", "\u0662", "1.5", "9" * 5000])
def test_what_is_no_page_is_the_first(page: str) -> None:
    assert paging(page=page) == Paging("/campaigns", 0, "messages")


def test_unknown_order_is_the_first() -> None:
    assert paging(sort="relays").sort == "relays"
    assert paging(sort="relays; DROP").sort == "messages"


def test_rows_as_json_are_those_of_the_same_page() -> None:
    shown = paging(page="2").shown(FULL, {"relayed": "1"})
    assert shown["json_twin"] == f"/api/campaigns?sort=messages&limit={PAGE_ROWS}&offset={2 * PAGE_ROWS}&relayed=1"
    assert "offset" not in paging().shown(FULL, {})["json_twin"]


def test_pages_beside_are_named_only_where_they_are() -> None:
    first, last = paging().shown(FULL, {}), paging(page="1").shown(FULL[1:], {})
    assert (first["newer"], first["older"]) == ("", "/campaigns?sort=messages&page=1")
    assert (last["newer"], last["older"]) == ("/campaigns?sort=messages&page=0", "")
    assert (len(first["rows"]), last["first"]) == (PAGE_ROWS, PAGE_ROWS + 1)


def test_address_is_asked_for_as_it_is_stored() -> None:
    assert asked_address("2001:DB8:0::1", "/relays") == "2001:db8::1"
    with pytest.raises(NotFoundException, match=r"/relays/192\.0\.2\.7"):
        asked_address("nobody", "/relays")
