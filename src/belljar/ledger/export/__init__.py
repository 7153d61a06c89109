"""The ledger in the forms of others: JSON lines, Parquet, OCSF, SARIF."""
