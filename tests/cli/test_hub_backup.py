"""`relaytrap hub backup`, `restore` and `certificate`, with no hub running; with one: tests/fleet."""

from pathlib import Path

from tests.cli.conftest import Run


def test_backup_comes_back_whole_in_another_place(data: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "hub.tar"
    shown = run("--data", data, "hub", "backup", file)
    assert (shown.status, "12 messages" in shown.out) == (0, True), shown
    assert run("--data", tmp_path / "new", "hub", "restore", file).status == 0
    before, after = (run("--data", each, "messages", "--json").out for each in (data, tmp_path / "new"))
    assert before == after


def test_backup_overwrites_nothing(data: Path, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "hub.tar"
    file.write_text("precious")
    shown = run("--data", data, "hub", "backup", file)
    assert (shown.status, "overwrites nothing" in shown.err) == (4, True)
    assert [path.name for path in tmp_path.iterdir()] == ["hub.tar"]
    assert file.read_text() == "precious"


def test_backup_to_a_place_that_is_none_is_one_sentence(data: Path, tmp_path: Path, run: Run) -> None:
    shown = run("--data", data, "hub", "backup", tmp_path / "missing" / "hub.tar")
    assert (shown.status, shown.err.count("\n")) == (10, 1)


def test_restoring_what_is_no_backup_is_one_sentence(tmp_path: Path, run: Run) -> None:
    for name in ("missing.tar", "relaytrap.toml"):
        shown = run("--data", tmp_path / "new", "hub", "restore", tmp_path / name)
        assert (shown.status, shown.err.count("\n")) == (4, 1)


def test_certificate_is_shown_made_and_renewed(tmp_path: Path, run: Run) -> None:
    def fingerprint(*arguments: str) -> str:
        shown = run("--data", tmp_path, "hub", "certificate", *arguments)
        return next(line.split()[1] for line in shown.out.splitlines() if line.startswith("fingerprint"))

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint("--renew") != first
