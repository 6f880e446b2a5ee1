"""Makes .venv with exactly what the lock file names, and does nothing when that is so already.

Standard library only: it runs before anything is installed, in whichever Python setup.sh found.
Use: python3 -I deploy/install.py run|dev
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
LOCKS = {
    "run": ROOT / "requirements.txt",
    "dev": ROOT / "requirements-dev.txt",
    # What `dev` has besides: data that tests read, without what its packages depend on.
    "data": ROOT / "requirements-data.txt",
}
PARTS = {"run": ("run",), "dev": ("dev", "data")}


def main(kind: str) -> None:
    """Bring .venv up to date for `run` (the application) or `dev` (tests and tools too)."""
    with LOCKS["run"].open(encoding="utf-8") as lock:
        # Two `make` at once (run in one terminal, test in another) must not build the same .venv.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = {"place": str(VENV), **{name: digest(path) for name, path in LOCKS.items()}}
        had = read_stamp()
        if (
            all(had.get(name) == wanted[name] for name in ("place", *PARTS[kind]))
            and python_works()
        ):
            return
        if not os.access(ROOT, os.W_OK):
            sys.exit(
                f"No permission to write in {ROOT}. Give yourself the permission, "
                "or clone it elsewhere."
            )
        if had.get("place") != wanted["place"] or not python_works():
            if VENV.is_symlink():
                # Making it anew would empty the environment that another checkout works with.
                sys.exit(
                    f"{VENV} is a link to {VENV.resolve()}, which was made for another place. "
                    "Bring it up to date there, or remove the link."
                )
            make_venv()
        install(kind)
        # The development lock contains the other one whole; the other way round there are tools
        # missing.
        done = wanted if kind == "dev" else {name: wanted[name] for name in ("place", "run")}
        STAMP.write_text(json.dumps(done), encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_stamp() -> dict[str, str]:
    """What the last complete installation wrote; empty where there was none."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def python_works() -> bool:
    """False for a broken .venv: its Python was removed, or is older than this project needs."""
    test = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return (
            subprocess.run([PYTHON, "-I", "-c", test], capture_output=True, check=False).returncode
            == 0
        )
    except OSError:
        return False


def make_venv() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of its python3 package
        import venv
    except ImportError:
        sys.exit(
            f"Python {version} at {sys.executable} has no venv module. Install it "
            f"(on Debian or Ubuntu: apt install python{version}-venv) and try again."
        )
    say(f"Making .venv with Python {version}.")
    try:
        venv.create(VENV, clear=True, symlinks=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(
            f"Could not make the virtual environment in {VENV}: {error}. "
            "Remove the folder and try again."
        )


def install(kind: str) -> None:
    say(f"Installing what {LOCKS[kind].name} names. The first time this takes about a minute.")
    STAMP.unlink(missing_ok=True)
    command = [
        PYTHON,
        "-I",
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-input",
        "--require-hashes",
    ]
    for part in PARTS[kind]:
        alone = ["--no-deps"] if part == "data" else []
        if subprocess.run([*command, *alone, "-r", LOCKS[part]], check=False).returncode:
            sys.exit(
                "The packages could not be installed; pip says why above. "
                "Is the network there? Then try again."
            )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
