"""What a config asks for and where it is: config, paths, keys, sources, runs, manifest, data made elsewhere."""
