"""A second place that cosigns what it saw grow, and refuses what did not."""
