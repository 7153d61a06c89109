"""From a policy to walls: probe -> plan -> apply -> status. One file per mechanism.

The mechanisms themselves are C (`_native/`: mounts, landlock, seccomp, namespaces, limits,
connect), applied by the keeper between `fork` and `exec`; here it is decided what they must do.
"""
