"""What knows no config: files, names, errors, devices, progress, training states."""
