"""Model bundles: the files that the service loads, and their manifest."""
