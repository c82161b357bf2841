"""A Postgres server for as long as the tests run: a new cluster in a folder of its own, reached by a socket there."""

import atexit
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa

PROGRAMS = "/usr/lib/postgresql/*/bin"
START_SECONDS = 30


class NoPostgres(Exception):
    """Why there is no server here."""


@cache
def postgres_url():
    """The address of an empty database on a server that ends with the tests.

    Raises:
        NoPostgres: no server is installed, or it does not start; the text says which.
    """
    if find_spec("psycopg") is None:
        raise NoPostgres("psycopg is not installed: the store is tried on SQLite only")
    found = sorted(glob.glob(PROGRAMS), key=lambda folder: [int(part) for part in folder.split("/") if part.isdigit()])  # noqa: PTH207
    if not found:
        raise NoPostgres(f"no Postgres server in {PROGRAMS}: the store is tried on SQLite only")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    prefix = []
    if os.geteuid() == 0:  # which Postgres refuses to run as
        if shutil.which("setpriv") is None:
            raise NoPostgres("Postgres does not run as root, and setpriv is not here to become somebody else")
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        prefix = [
            "setpriv",
            f"--reuid={nobody.pw_uid}",
            f"--regid={nobody.pw_gid}",
            "--clear-groups",
            "--pdeathsig=INT",
        ]
    made = subprocess.run(
        [*prefix, f"{found[-1]}/initdb", "-D", folder / "data", "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if made.returncode:
        raise NoPostgres(f"initdb failed: {made.stderr.strip()[-300:]}")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [*prefix, f"{found[-1]}/postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    atexit.register(_stop, server)
    url = f"postgresql+psycopg://tests@/postgres?host={folder}"
    engine = sa.create_engine(url)
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise NoPostgres(f"Postgres did not start: {(folder / 'log').read_text()[-300:]}") from None
            time.sleep(0.05)
        else:
            engine.dispose()
            return url


def _stop(server):
    server.send_signal(signal.SIGINT)
    server.wait(10)
