"""SQL over the ledger (DuckDB, an extra)."""
