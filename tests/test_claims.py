"""What is said is what is tested, and no test that was written is quietly not run."""

import ast
import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from tests.test_floors import calls

ROOT = Path(__file__).parent.parent
CODE = [path for name in ("agent", "tests", "tools", "hil") for path in (ROOT / name).rglob("*.py")]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "agent").rglob("*.md")]
SECURITY = ROOT / "SECURITY.md"

OUT_OF_PROMISE = {9, 10, 12, 13, 23, 29, 46, 55, 58, 59, 67, 68}
"""Attacks that nothing here withstands alone, or not all of."""
TOO_MUCH = re.compile(
    r"(tamper|fool)[- ]?(proof|resistant)|unforgeable|un(hack|break)able", re.IGNORECASE
)
COMMENTED_OUT = re.compile(
    r"^\s*#\s*(assert |raise |return |with pytest|def test|@pytest)|noqa: *[E]RA"
)
OFF = {"pytest.mark.skip", "pytest.mark.xfail", "pytest.xfail", "pytest.importorskip"}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def attacks() -> set[int]:
    """Attacks that a test is named after."""
    names = "\n".join(text(path) for path in (ROOT / "tests").rglob("test_*.py"))
    tests = re.findall(r"def (test_\w+)", names)
    return {int(no) for name in tests for no in re.findall(r"rt_(\d+)", name)}


def test_rt_94_nothing_is_called_more_than_tamper_evident() -> None:
    here = Path(__file__)
    found = {path: TOO_MUCH.search(text(path)) for path in (*PAGES, *CODE) if path != here}
    assert [str(path) for path, said in found.items() if said] == []
    for path in (ROOT / "README.md", SECURITY):
        assert "tamper-**evident**" in text(path)


def test_rt_94_what_is_out_of_promise_is_listed_with_the_tests_that_show_it() -> None:
    listed = {int(no) for no in re.findall(r"RT-(\d+)", text(SECURITY))}
    assert listed >= OUT_OF_PROMISE
    assert listed <= attacks()
    assert "(SECURITY.md)" in text(ROOT / "README.md")


def test_rt_94_what_a_verifier_cannot_see_is_listed_too() -> None:
    page = text(ROOT / "docs" / "formats" / "log.md").partition("## What a verifier cannot see")[2]
    for said, listed in (
        ("A tail cut off behind the last seal.", "What no seal covers yet"),
        ("A log written anew from the first event.", "A log without a seal"),
        ("Whether it is true.", "That a sensor told the truth"),
        ("The name of a log that has no event yet.", "A log without an event is bound to no name"),
    ):
        assert f"**{said}**" in page
        assert listed in text(SECURITY)
    assert page.count("\n* **") == 4


def that_skip() -> Iterator[tuple[Path, ast.Module]]:
    """What may hold a test that is not run."""
    for path in CODE:
        if re.search("skip|xfail", text(path)):
            yield path, ast.parse(text(path))


def skips() -> Iterator[tuple[Path, str, ast.Call]]:
    for path, tree in that_skip():
        for _, call in calls(tree):
            name = ast.unparse(call.func)
            if name in {"pytest.skip", "pytest.mark.skipif", *OFF}:
                yield path, name, call


def test_rt_96_every_test_that_does_not_run_says_why() -> None:
    found = list(skips())
    assert found
    for path, name, call in found:
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        reason = named.get("reason") if name == "pytest.mark.skipif" else call.args[0]
        where = f"{path}:{call.lineno}"
        assert name not in OFF, where
        assert reason is not None, where
        assert ast.unparse(reason).strip("f'\""), where


def test_rt_96_no_test_is_marked_to_fail_or_to_be_left_out() -> None:
    for path, tree in that_skip():
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node) in OFF), path


def test_rt_96_the_reasons_are_printed_and_the_lint_finds_code_in_comments() -> None:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "-ra" in parser["tool:pytest"]["addopts"].split()
    lint = text(ROOT / "pyproject.toml")
    assert 'select = ["ALL"]' in lint
    assert not re.search(r"""["']ERA""", lint)


def test_rt_96_no_check_is_commented_out() -> None:
    for path in CODE:
        lines = [line for line in text(path).splitlines() if COMMENTED_OUT.search(line)]
        assert lines == [], path
