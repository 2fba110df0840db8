"""What a config asks for and where it lies: config, paths, keys, sources, runs, manifest, data made elsewhere."""
