"""One collector for a machine: it takes the records of many users over a socket."""
