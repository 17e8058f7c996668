import ast
import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import segmix

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HEAVY = (
    "numpy",
    "numba",
    "scipy",
    "skimage",
    "matplotlib",
    "PIL",
    "tifffile",
    "pymc",
    "pytensor",
    "arviz",
    "xarray",
    "pandas",
    "typer",
    "rich",
)


def modules_after(*code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after the code."""
    script = "\n".join(["import sys", *code, "print(*{name.partition('.')[0] for name in sys.modules})"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_every_package_on_disk_is_listed():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    folders = {"segmix_cli": "cli"}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == folders
    on_disk = {
        ".".join((package, *init.parent.relative_to(ROOT / folder).parts))
        for package, folder in {"segmix": "segmix", **folders}.items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert on_disk == listed


def test_every_module_lies_in_a_package():
    for path in [*(ROOT / "segmix").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]:
        assert (path.parent / "__init__.py").exists(), path


def test_the_version_stands_in_one_place():
    assert version("segmix") == segmix.__version__
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "segmix.__version__"}


def test_every_name_is_there():
    assert "__version__" in segmix.__all__
    for name in segmix.__all__:
        assert getattr(segmix, name) is not None
    assert set(dir(segmix)) >= {"segment", "Segmentation", "read_image"}
    with pytest.raises(AttributeError, match="no_such_name"):
        segmix.no_such_name  # noqa: B018


def test_the_stub_lists_what_it_imports():
    stub = ast.parse((ROOT / "segmix" / "__init__.pyi").read_text("utf-8"))
    imported = {
        alias.name for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported | {"__version__"} == set(segmix.__all__)


def test_importing_segmix_loads_no_library():
    loaded = modules_after("import segmix")
    assert "segmix" in loaded
    assert loaded.isdisjoint(HEAVY)
    assert "numpy" in modules_after("import segmix", "segmix.segment")  # the control


def test_help_loads_only_what_help_needs():
    loaded = modules_after("from segmix_cli.main import run", "run(['segment', '--help'])")
    assert "typer" in loaded
    assert loaded.isdisjoint({*HEAVY, "segmix"} - {"typer", "rich"})


def test_segmenting_loads_neither_pymc_nor_arviz(tmp_path):
    np = pytest.importorskip("numpy")
    np.save(tmp_path / "a.npy", np.random.default_rng(1).integers(0, 9, (16, 16)).astype(np.uint8))
    call = (
        f"run(['segment', {str(tmp_path / 'a.npy')!r}, '-o', {str(tmp_path / 'out')!r}, '-q', '--seed', '1'])"
    )
    loaded = modules_after("from segmix_cli.main import run", call)
    assert "numba" in loaded
    assert loaded.isdisjoint({"pymc", "pytensor", "arviz", "xarray", "pandas", "skimage"})


@pytest.mark.parametrize("name", ["segmix", "segmix_cli"])
def test_packages_import_by_their_installed_name(name):
    assert importlib.import_module(name).__name__ == name


def test_types_are_shipped():
    assert (ROOT / "segmix" / "py.typed").exists()
    assert PROJECT["tool"]["setuptools"]["package-data"]["segmix"] == [
        "py.typed",
        "*.pyi",
        "potts/agreements.json",
    ]
