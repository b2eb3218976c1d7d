"""A cache of its own for each test of the readers."""

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_AUG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
