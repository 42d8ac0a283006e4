"""What is built and what is locked: the package alone, and no word of where packages come from."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
# A lock that names a host or a folder works in one place only, and tells others about it.
NAMES_A_PLACE = re.compile(r"://|^\s*-|(?<!\S)(?:/|\.\.?/)\S", re.MULTILINE)
# The characters in brackets keep this line from naming one.
REGISTRY = "pypi[.]org|pythonhosted[.]org|repo1?[.]maven|registry[.]npmjs|index-url[= ]*http"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel made of that, by what is locked, without the network."""
    out = tmp_path_factory.mktemp("built")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(_clean_copy(out)))
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (found,) = built.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names} == {"proxy", f"sidegate-{proxy.__version__}.dist-info"}
    assert "proxy/py.typed" in names


@pytest.mark.slow
def test_the_source_distribution_holds_the_package_and_its_version(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    name = f"sidegate-{proxy.__version__}"

    with tarfile.open(file) as archive:
        names = set(archive.getnames())

    assert file.name == f"{name}.tar.gz"
    assert {f"{name}/pyproject.toml", f"{name}/proxy/cli.py", f"{name}/proxy/py.typed"} <= names


@pytest.mark.slow
def test_the_wheel_holds_what_pages_are_made_of(wheel: Path) -> None:
    pages = ROOT / "proxy" / "pages"
    parts = {
        file.relative_to(ROOT).as_posix()
        for file in pages.rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"}
    }

    assert parts <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_installed_command_tells_its_version(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    _run(sys.executable, "-m", "venv", str(environment))
    pip = ("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel))
    _run(str(environment / "bin" / "python"), *pip)
    # The libraries come from the environment of the tests; Sidegate itself does not, or the path below would tell.
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "libraries.pth").write_text(sysconfig.get_path("purelib"), "utf-8")

    told = _run(str(environment / "bin" / "sidegate"), "--version", cwd=tmp_path)
    where = _run(str(environment / "bin" / "python"), "-c", "import proxy; print(proxy.__file__)", cwd=tmp_path)

    assert proxy.__version__ in told
    assert where.strip().startswith(str(environment))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    requirements = "\n".join(_requirements(lock))

    assert NAMES_A_PLACE.search(requirements) is None


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_package_is_pinned_and_hashed(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]

    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_runtime_lock_is_part_of_the_one_for_development() -> None:
    assert set(_requirements("requirements.lock")) <= set(_requirements("requirements-dev.lock"))


def test_no_file_and_no_commit_names_a_registry() -> None:
    files = _run("git", "grep", "-lIiE", REGISTRY, allowed=(0, 1)).split()
    log = _run("git", "log", "--format=%s%n%b")

    assert files == []
    assert re.search(REGISTRY, log, re.IGNORECASE) is None


def _requirements(lock: str) -> list[str]:
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    kept = [line.split("#")[0].rstrip(" \\") for line in lines]
    return [line for line in kept if line.strip() and "--hash=" not in line]


def _clean_copy(out: Path) -> Path:
    # The build leaves its folders beside the sources; they belong in no clone.
    source = out / "source"
    files = _run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", "proxy", "pyproject.toml"
    ).splitlines()
    for name in files:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return source


def _run(*command: str, cwd: Path = ROOT, allowed: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in allowed, f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
