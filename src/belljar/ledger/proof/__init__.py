"""What shows a ledger whole, or where it is not."""
