"""The store: one ClickHouse-dialect schema, embedded or on a server, and every question asked of it."""

from relaytrap.store.engine import Store

__all__ = ["Store"]
