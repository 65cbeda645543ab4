"""Who there is, and what belongs to whom: tenants, keys, cubes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from memos.storage.tables.base import Id, metadata

tenant = Table(
    "tenant",
    metadata,
    Column("id", Id, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    # Keeps the tenant's states apart from others'; never leaves the server.
    Column("salt", LargeBinary),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("cubes", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("secret_sha256", name="uq_api_key_secret"),
    Index("ix_api_key_tenant", "tenant_id", "id"),
)

cube = Table(
    "cube",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("change_seq", BigInteger, nullable=False),
    Column("model_id", Text),
    Column("model_digest", Text),
    Column("model_dimensions", Integer),
    Column("model_max_tokens", Integer),
    Column("created_at", BigInteger, nullable=False),
    # The newest graph change number, and the version of the rules that derived the facts.
    Column("graph_seq", BigInteger, nullable=False, server_default="0"),
    Column("graph_rules", Text),
    UniqueConstraint("tenant_id", "name", name="uq_cube_name"),
    Index("ix_cube_tenant", "tenant_id", "id"),
)
