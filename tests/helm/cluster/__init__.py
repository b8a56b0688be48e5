"""A Kubernetes of the tests' own: an API server in memory, and a node with real processes."""
