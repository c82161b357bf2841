"""Opens the store's database, brings its schema up to date, and hands out transactions. Knows no mission.

One code path for SQLite and Postgres. What differs is here: SQLite takes its one writer's lock when a writing
transaction begins, Postgres locks the rows that a transaction asks for.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from mission_pipeline.errors import StoreFault
from mission_pipeline.runner.tables import store_meta

NEWEST_REVISION = "0003"
"""Of the migrations shipped. A test holds it against them; reading it here spares every start from loading alembic."""
_MIGRATIONS = Path(__file__).resolve().parent / "migrations"
_UPGRADE_LOCK = 7_210_455_018
"""Any number that only this program uses: on Postgres, who upgrades holds it, and others wait."""


class Database:
    """An open database. ``read()`` and ``write()`` are transactions: committed at the end, undone on an error."""

    def __init__(self, url: str, *, wait_seconds: float, opened_at: datetime) -> None:
        self._engine = _engine(url, wait_seconds)
        self._writer = self._engine.execution_options(is_write=True)
        # Threads wait here for their turn, which is quicker and fairer than to ask SQLite for it again and again.
        is_sqlite = self._engine.dialect.name == "sqlite"
        self._turn: AbstractContextManager[Any] = threading.Lock() if is_sqlite else nullcontext()
        self._where = self._engine.url.render_as_string(hide_password=True)
        try:
            with self._told_plainly():
                self._bring_up_to_date()
                self.store_id = self._identify(opened_at)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection that sees one state of the store.

        Raises:
            StoreFault: the database cannot be read.
        """
        with self._told_plainly(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection whose changes become durable together at the end, or not at all.

        Raises:
            StoreFault: the database cannot be written, is full, or another writer holds it for too long.
        """
        with self._told_plainly(), self._turn, self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError:
            raise  # a name that is taken, which the caller knows what to do about
        except exc.DBAPIError as error:
            raise StoreFault(
                f"The store of the missions {self._where} cannot be used ({error.orig}). Nothing of this "
                "step was kept. Look after that place, or name another store with MISSION_STORE."
            ) from error

    def _bring_up_to_date(self) -> None:
        with self._engine.begin() as connection:
            revision = _revision(connection)
        if revision == NEWEST_REVISION:
            return
        if revision is not None and revision > NEWEST_REVISION:
            raise StoreFault(
                f"The store of the missions {self._where} was made by a newer release (revision {revision}). "
                "Use that release, or name another store with MISSION_STORE."
            )
        with self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            if _revision(connection) != NEWEST_REVISION:  # who waited for the lock finds the work done
                migrate(connection, NEWEST_REVISION)

    def _identify(self, opened_at: datetime) -> str:
        asked = sa.select(store_meta.c.store_id)
        with self._engine.begin() as connection:
            known = connection.execute(asked).scalar_one_or_none()
        if known is not None:
            return str(known)
        try:
            with self._writer.begin() as connection:
                known = connection.execute(asked).scalar_one_or_none()
                if known is None:
                    known = secrets.token_hex(4)
                    row = {"id": 1, "store_id": known, "outbox_seq": 0, "created_at": opened_at}
                    connection.execute(sa.insert(store_meta), row)
        except exc.IntegrityError:  # another process was first
            with self._engine.begin() as connection:
                known = connection.execute(asked).scalar_one()
        return str(known)


def migrate(connection: sa.Connection, revision: str) -> None:
    """Bring the schema to a revision, in the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _revision(connection: sa.Connection) -> str | None:
    """Return the schema's revision; None of a database that is new."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(sa.text("select version_num from alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _engine(url: str, wait_seconds: float) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise StoreFault(f"The store {url} names no file. Give it one: sqlite:////folder/missions.sqlite.")
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        # Every thread of a worker may need a connection at once; more threads than the pool expects must not wait.
        engine = sa.create_engine(parsed, max_overflow=-1, pool_pre_ping=not is_sqlite)
    except ModuleNotFoundError as error:
        raise StoreFault(
            f"The driver of the store's database is not installed ({error}). For Postgres, install this with its "
            "extra: pip install 'mission-pipeline[postgres]'."
        ) from error
    except exc.ArgumentError as error:
        raise StoreFault(
            f"MISSION_STORE is not the address of a database that can be opened here ({error}). "
            "Give one such as sqlite:////folder/missions.sqlite."
        ) from error
    except OSError as error:
        raise StoreFault(
            f"The folder of the store {url} cannot be made ({error.strerror}). Name another with MISSION_STORE."
        ) from error
    if is_sqlite:
        _prepare_sqlite(engine, wait_seconds)
    return engine


def _prepare_sqlite(engine: sa.Engine, wait_seconds: float) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks
        cursor = connection.cursor()
        cursor.execute(f"pragma busy_timeout = {round(wait_seconds * 1000)}")
        cursor.execute("pragma journal_mode = wal")
        cursor.execute("pragma synchronous = full")  # what was acknowledged survives a power failure
        cursor.execute("pragma foreign_keys = on")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # A writer that first reads and then asks for the lock is refused when somebody wrote in between.
        is_write = connection.get_execution_options().get("is_write", False)
        connection.exec_driver_sql("begin immediate" if is_write else "begin")
