"""`python -m pims.run demo|serve`: what `make run` and `make serve` start."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from pims import prepare
from pims.preflight import Refused, hold, need_port, need_python, need_writable
from pims.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0  # seconds after which a web server that is not ready is worth a word


def main(argv: list[str]) -> int:
    """Returns 0: stopped as asked; 1: refused to start (one sentence says why) or gave up."""
    parser = argparse.ArgumentParser(prog="python -m pims.run")
    parser.add_argument("mode", choices=["demo", "serve"])
    parser.add_argument("--port", type=port_number, default=os.environ.get("PORT") or "8000")
    parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1")
    options = parser.parse_args(argv)
    demo = options.mode == "demo"
    var_dir = Path(os.environ.get("VAR_DIR") or ROOT / "var").resolve()
    os.chdir(ROOT)
    # Medical records: for this user's eyes only, whatever folder they lie in.
    os.umask(0o077)
    os.environ.update(environment(options.port, var_dir, demo=demo))
    if (
        demo
    ):  # a demo on a real database or broker would be a bad surprise, whatever the shell has set
        for name in ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE"):
            os.environ.pop(name, None)
    try:
        need_python()
        need_writable(var_dir)
        (var_dir / "beat").mkdir(exist_ok=True)
        with hold(var_dir / "run.lock"):
            need_port(options.host, options.port)
            if demo:
                need_port("127.0.0.1", options.port + 1, "for the simulator ")
            prepare.everything(demo=demo)
            programs = programs_for(options.host, options.port, var_dir, demo=demo)
            announce = Announcement(options.host, options.port, var_dir, demo=demo)
            return Supervisor(programs, var_dir / "log").run(announce.tick)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1


def port_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no port number, such as PORT=8000")
    return int(text)


def environment(port: int, var_dir: Path, *, demo: bool) -> dict[str, str]:
    """What the settings of this process and of every program must have in common."""
    env = {"DJANGO_SETTINGS_MODULE": "pims.settings", "PORT": str(port), "VAR_DIR": str(var_dir)}
    if demo:
        env |= {
            "PUBLIC_BASE_URL": f"http://localhost:{port}",
            "HESKA_BASE_URL": f"http://127.0.0.1:{port + 1}",
            "HESKA_ALLOW_INSECURE": "1",  # the simulator speaks plain HTTP on the loopback
            "HESKA_ENVIRONMENT": "demo",
            # Whoever looks at the demo has set up no telephone; E019 and the settings refuse it
            # anywhere else.
            "SECOND_FACTOR_REQUIRED": "0",
        }
    return env


def programs_for(host: str, port: int, var_dir: Path, *, demo: bool) -> list[Program]:
    """One installation: web, worker and scheduler; the demo has a simulator too."""
    env = {name: value for name, value in os.environ.items() if name != "COLLECTING_STATIC"}
    env["PYTHONUNBUFFERED"] = "1"
    script = var_dir / "demo" / "simulator.json"
    schedule = var_dir / "beat" / "schedule"
    celery = [sys.executable, "-m", "celery", "--app", "pims", "--quiet"]
    if demo:
        env["HESKA_SUBSCRIPTION_KEY"] = json.loads(script.read_text())["subscription_key"]
        # Celery's word against running as root is for installations, and eight lines long.
        celery[1:1] = ["-W", "ignore:You're running the worker with superuser privileges"]
    # The others wait until the web server has started: on a small machine it is there a second
    # earlier, and nobody misses them before the first page.
    programs = [
        Program("web", granian(host, port, env.get("WEB_CONCURRENCY") or "2"), env),
        Program(
            "worker",
            [*celery, *["worker", "--concurrency", "2", "--loglevel", "INFO", "--without-gossip"]],
            env,
            # Asks Celery for its soft shutdown: running tasks get 4 s (celery_settings), then go
            # back to the broker. SIGTERM would wait for them without a limit.
            stop_signal=signal.SIGQUIT,
            delay=1.5,
            # Ends where its broker is full or keeps restarting (measured: a Redis out of memory is
            # "unrecoverable" to Celery, and one told to take it for a lost connection stays deaf
            # for ever). People must go on ordering and reading meanwhile.
            vital=False,
        ),
        Program(
            "beat",
            [*celery, *["beat", "--loglevel", "INFO", "--pidfile=", "--schedule"], str(schedule)],
            env,
            delay=2.5,
            vital=False,
        ),
    ]
    if demo:
        simulator = [sys.executable, "manage.py", "heska_simulator", "--port", str(port + 1)]
        programs.append(Program("simulator", [*simulator, "--script", str(script)], env, delay=1))
    return programs


def granian(host: str, port: int, workers: str) -> list[str]:
    """A client that never finishes its body keeps a thread, so threads must outnumber such clients.

    Measured with two workers: with 4 threads each, 10 half-sent bodies blocked everybody; with
    these, 200 cost a good request nothing. They are started on demand, so that ordinary traffic
    uses a few, with a few database connections.

    A thread that ends, or takes a request, just as another one comes can leave that one without a
    thread until the next comes (granian 2.8.7 and 2.8.9, `BlockingRunnerPool::run`; 2 of 58 rounds
    of 200 half-sent bodies where threads were ending). So they end as rarely as granian allows.
    """
    options = (
        f"--interface wsgi --host {host} --port {port} --workers {workers} "
        "--blocking-threads 512 --blocking-threads-idle-timeout 600 "
        "--backlog 2048 --backpressure 512 "
        # A worker that dies again at once ends the whole server, which the supervisor then sees.
        "--respawn-failed-workers --respawn-interval 0.5 --workers-kill-timeout 5 "
        "--log-level error"  # a warning at each start says that these are many threads
    )
    return [sys.executable, "-m", "granian", *options.split(), "pims.wsgi:application"]


class Announcement:
    """Says once, when the web server is ready, where everything is and who may sign in."""

    def __init__(self, host: str, port: int, var_dir: Path, *, demo: bool) -> None:
        self.here = f"http://{host}:{port}".replace("//0.0.0.0", "//127.0.0.1")
        self.public = os.environ.get("PUBLIC_BASE_URL") or f"http://localhost:{port}"
        self.simulator = f"http://localhost:{port + 1}/" if demo else ""
        self.logs = var_dir / "log"
        self.logins = var_dir / "demo" / "logins.json"
        self.done = False
        self.late_at = time.monotonic() + PATIENCE

    def tick(self) -> None:
        """Look whether it is time; at most half a second of waiting."""
        if self.done:
            return
        if not is_ready(self.here, host=urlsplit(self.public).netloc):
            if time.monotonic() > self.late_at:
                self.late_at += PATIENCE
                print(f"  {self.here}/readyz is not ready yet; web.log in {self.logs} may say why.")
            return
        self.done = True
        lines = ["", f"  Application  {self.public}/", f"  Admin        {self.public}/admin/"]
        if self.simulator:
            lines += [f"  Simulator    {self.simulator}", "", "  Sign in as"]
            lines += [
                "    {username:<12} {password:<20} {role}, {clinic}".format(**login)
                for login in json.loads(self.logins.read_text())
            ]
        print("\n".join([*lines, "", "  Ctrl-C stops everything.", ""]), flush=True)


def is_ready(here: str, host: str) -> bool:
    """Whether our own web server says so, asked under the name that it is to be reached by."""
    request = urllib.request.Request(f"{here}/readyz", headers={"Host": host})  # noqa: S310 - http
    try:
        with urllib.request.urlopen(request, timeout=0.5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (
        OSError,
        HTTPException,
    ):  # not listening yet, or not ready: URLError and HTTPError are OSErrors
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
