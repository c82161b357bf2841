"""Fixtures of the store of missions."""

import pytest
from mission_store import Desk, new_sqlite


@pytest.fixture
def new_store(tmp_path):
    """Make a new store and return its address. Modules that try other databases have a fixture of this name."""
    return lambda: new_sqlite(tmp_path)


@pytest.fixture
def new_desk(new_store):
    """Open a new store with a policy."""
    opened = []

    def open_desk(policy=None):
        opened.append(Desk(new_store(), policy))
        return opened[-1]

    yield open_desk
    for desk in opened:
        desk.close()


@pytest.fixture
def desk(new_desk):
    """A new store with the shipped policy."""
    return new_desk()
