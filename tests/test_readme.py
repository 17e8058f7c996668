"""What README.md shows is what happens."""

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from segmix import Priors

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^segmix .*", README, re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "images").symlink_to(ROOT / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_code(copy: Path) -> None:
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False, encoding="utf-8")
    assert results.attempted >= 6
    assert results.failed == 0


def test_the_code_of_the_lecture() -> None:
    page = ROOT / "docs/lecture.md"
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.attempted >= 8
    assert results.failed == 0
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_file_of_priors(copy: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/priors.md").read_text("utf-8"), re.DOTALL)
    Path("prior.toml").write_text(example)
    assert Priors.from_toml("prior.toml").to_dict()["means"] == {
        "family": "normal",
        "mean": [20, 180],
        "std": 15,
    }


def test_commands(copy: Path) -> None:
    assert len(COMMANDS) >= 4
    printed = ""
    for command in COMMANDS:
        words = [sys.executable, "-m", "segmix_cli", *shlex.split(command)[1:]]
        printed += subprocess.run(words, check=True, capture_output=True, text=True).stdout
    shown = re.search(r"```\n(class .*?)```", README, re.DOTALL)
    assert shown is not None
    table = printed[printed.index("images/tissue.png -> ") :].split("\n", 1)[1]
    words, wanted = (re.split(r"[\s\[\],]+", text.strip()) for text in (table, shown.group(1)))
    for word, want in zip(words, wanted, strict=False):
        if re.fullmatch(r"[\d.]+", want):  # Monte Carlo error may differ between kinds of processors
            assert float(word) == pytest.approx(float(want), rel=0.1 if float(want) > 1000 else 0.005)
        else:
            assert word == want
    listed = set(re.findall(r"^\| (\w+\.\w+) \|", README, re.MULTILINE))
    assert {path.name for path in (copy / "out/tissue").iterdir()} == listed


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_come_first(command: str) -> None:
    assert README.index(command) < 300
