"""Two tiny runs and the application over them: one that searches, one that predicts."""

import pytest
from fastapi.testclient import TestClient
from page.collection import fit_runs

from bouba.serve.app import application
from bouba.serve.opened import opened_runs

HOST = "http://localhost"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """The folder that holds `shapes`, `kinds` and what they were made of."""
    return fit_runs(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def opened(runs):
    return opened_runs([runs / "shapes", runs / "kinds"])


@pytest.fixture(scope="session")
def client(opened):
    """Of an application with the usual limits."""
    with TestClient(application(opened), base_url=HOST) as client:
        yield client


@pytest.fixture
def client_with(opened):
    """client_with(**options of application) -> a client."""
    clients = []

    def made(**options):
        clients.append(TestClient(application(opened, **options), base_url=HOST, follow_redirects=False))
        return clients[-1].__enter__()

    yield made
    for each in clients:
        each.__exit__(None, None, None)
