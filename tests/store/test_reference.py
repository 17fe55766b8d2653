from relaytrap.store.schema import COLUMNS, FACETS, JSON_LISTS
from tests.storing import ROOT

PAGE = (ROOT / "docs" / "reference" / "messages-table.md").read_text()


def test_the_reference_page_has_every_column_as_the_schema_has_it():
    expected = "\n".join(f"| `{column.name}` | {column.stored} | {column.doc} |" for column in COLUMNS)
    assert expected in PAGE


def test_the_reference_page_names_the_places_of_json_columns_and_every_facet():
    for name, places in JSON_LISTS.items():
        assert f"| `{name}` | {', '.join(places)} |" in PAGE
    assert all(f"`{facet}`" in PAGE for facet in FACETS)
