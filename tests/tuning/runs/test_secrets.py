"""Passwords, wherever they stand in an address, are shown and kept nowhere."""

from __future__ import annotations

import pytest

from ciliary.tuning.cli.complain import failure
from ciliary.tuning.runs.record import plain
from ciliary.tuning.runs.run import Run, provenance
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.runs.store import open_store

ADDRESSES = [
    "postgresql://me:secret@host/x",
    "postgresql://me:sec@secret@host/x",
    "redis://:secret@host:6379/0",
    "mysql+pymysql://me:a/secret@host/x",
    "http://host:5000/?token=secret",
    "postgresql://host/x?user=me&password=secret&sslmode=on",
    "s3://bucket?aws_secret_access_key=secret",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_form_of_address_tells(address):
    assert "secret" not in masked(f"cannot open '{address}' now").replace("secret_access", "")
    assert "secret" not in failure("x", ValueError(address)).replace("secret_access", "")
    assert "secret" not in plain({"error": address})["error"].replace("secret_access", "")


@pytest.mark.parametrize(
    "text", ["sqlite:///a:b@c", "http://host:5000/", "photo?size=3", "a.png: b@c", "--set token=3"]
)
def test_what_is_no_secret_stays(text):
    assert masked(text) == text


def test_nothing_that_is_tracked_holds_one(tmp_path):
    store = open_store(tmp_path)
    address = ADDRESSES[1]
    with Run.begin(store, name="r", kind="session", params={"storage": address}, tags={"from": address}) as run:
        run.describe(f"of {address}")
        run.fail(ValueError(address))
    kept = store.client.get_run(run.run_id)
    assert "secret" not in str(kept.data.params) + str(kept.data.tags)
    assert "secret" not in str(provenance({"a": address}))
