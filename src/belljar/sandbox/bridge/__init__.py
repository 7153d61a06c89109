"""The host side of the bridge between host and guest; docs/bridge.md."""
