"""The ledger's tables, and the database's own clock."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

ID_LENGTH = 32
ID = String(ID_LENGTH)
SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

images = Table(
    "images",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("name", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),  # what all its files take
    Column("info", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),  # last uploaded or submitted
    Column("expired_at", Float),
    Column("purged", Boolean, nullable=False, default=False),  # its files are gone
    UniqueConstraint("owner", "sha256"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),  # order of acceptance
    Column("id", ID, nullable=False, unique=True),
    Column("owner", String(200), nullable=False),
    Column("image_id", ID, ForeignKey("images.id"), nullable=False),
    Column("params", JSON, nullable=False),
    Column("priority", String(16), nullable=False),
    Column("external_id", String(200)),
    Column("sample_id", String(200)),
    Column("labels", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("retry_of", ID),
    Column("batch", String(200)),
    Column("request_id", String(64)),
    Column("idempotency_key", String(200)),
    Column("fingerprint", String(64)),
    Column("state", String(16), nullable=False),
    Column("stage", String(16)),
    Column("stacks_done", Integer, nullable=False, default=0),
    Column("stacks", Integer),
    Column("finish_requested", Boolean, nullable=False, default=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("lost", Integer, nullable=False, default=0),  # attempts whose worker died
    Column("turn", Integer, nullable=False),  # round of the fair share; see worker.ledger.fairness
    Column("dispatch", Integer, nullable=False, default=0),
    Column("dispatched_at", Float),
    Column("worker", String(64)),
    Column("lease_until", Float),
    Column("failure_code", String(64)),
    Column("failure_detail", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("expires_at", Float),
    Column("purged", Boolean, nullable=False, default=False),  # its files are gone
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_jobs_state", "state", "priority", "turn", "serial"),
    Index("ix_jobs_dispatched", "state", "dispatched_at"),
    Index("ix_jobs_state_serial", "state", "serial"),
    Index("ix_jobs_owner", "owner", "serial"),
    Index("ix_jobs_owner_state", "owner", "state", "serial"),
    Index("ix_jobs_batch", "owner", "batch"),
    Index("ix_jobs_external_id", "owner", "external_id"),
)

# The same as `jobs.labels`, for searching: no path into JSON takes every name.
labels = Table(
    "labels",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("ix_labels_name", "name", "value"),
)

# Parts of a running job whose frames are spread over several workers; see worker.ledger.parts.
parts = Table(
    "parts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("job_id", ID, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("work", String(16), nullable=False),
    Column("number", Integer, nullable=False),  # from 0, in the order of the frames
    Column("first", Integer, nullable=False),  # frame, from 0
    Column("stop", Integer, nullable=False),  # frame after the last one
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("lost", Integer, nullable=False, default=0),  # times that a helper did not end it
    Column("worker", String(64)),
    Column("lease_until", Float),
    Column("frames_done", Integer, nullable=False, default=0),
    Column("made", JSON, nullable=False),  # its files, as the ledger vouches for them
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    UniqueConstraint("job_id", "work", "number"),
    Index("ix_parts_state", "state", "lease_until"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("job_id", ID, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("job_id", ID, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("type", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_events_job", "job_id", "id"),
    sqlite_autoincrement=True,  # an id is never used twice, so a reader can resume after it
)

workers = Table(
    "workers",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("seen_at", Float, nullable=False),
)

# One row: who this ledger is, and whether a store was found that carries the same.
identity = Table(
    "identity",
    metadata,
    Column("id", ID, primary_key=True),
    Column("has_store", Boolean, nullable=False),
)

# Processes of all roles, by which mixed versions are found.
members = Table(
    "members",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("version", String(64), nullable=False),
    Column("seen_at", Float, nullable=False),
)

# Space that uploads on their way have been promised; see worker.ledger.reservations.
reservations = Table(
    "reservations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("until", Float, nullable=False),
)

# What was here and expired: an answer for whoever still has its id.
tombstones = Table(
    "tombstones",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("expired_at", Float, nullable=False, index=True),
)

# How long things took, counted up from the events: it only ever grows, whatever is deleted.
durations = Table(
    "durations",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("label", String(16), primary_key=True),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
    Column("total", Float, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("event_id", BigInteger, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("prefix", String(32), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("url", String(2000), nullable=False),
    Column("topics", JSON, nullable=False),
    Column("secret", String(64), nullable=False),  # it signs, so a hash of it would not do
    Column("created_at", Float, nullable=False),
    Column("failing_since", Float),
    Column("disabled_at", Float),
    Column("disabled_reason", Text),
)

# The outbox: written in the transaction that makes the state, delivered at least once.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("webhook_id", ID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("subject", ID, nullable=False),  # the job or image: its deliveries keep their order
    Column("topic", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("status", Integer),  # of the last answer
    Column("error", Text),  # why the last attempt failed
    Index("ix_deliveries_due", "state", "due_at"),
    Index("ix_deliveries_order", "webhook_id", "subject", "id"),
    sqlite_autoincrement=True,
)

# A live session, its frames and results being in Valkey alone.
sessions = Table(
    "sessions",
    metadata,
    Column("serial", SERIAL, primary_key=True, autoincrement=True),
    Column("id", ID, nullable=False, unique=True),
    Column("owner", String(200), nullable=False),
    Column("key_id", ID),
    Column("request", JSON, nullable=False),
    Column("memory", BigInteger, nullable=False),  # bytes of Valkey
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("dispatch", Integer, nullable=False, default=0),
    Column("dispatched_at", Float),
    Column("worker", String(64)),
    Column("lease_until", Float),
    Column("created_at", Float, nullable=False),
    Column("touched_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("reason", String(32)),
    Column("account", JSON, nullable=False),
    Column("jobs", JSON, nullable=False),
    Index("ix_sessions_state", "state", "serial"),
    Index("ix_sessions_owner", "owner", "serial"),
    sqlite_autoincrement=True,
)


class Now(FunctionElement[float]):
    """Seconds since the epoch by the database's clock, the only one all processes share."""

    type = Float()
    inherit_cache = True
    name = "now"


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"
