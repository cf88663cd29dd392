"""Training stages: each a plain function of (config, data, out_dir) that resumes where it was stopped."""
