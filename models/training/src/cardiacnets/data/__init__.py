"""Loaders: real ECGs (PTB-XL pack, WFDB), the virtual cohort's ECGs, and the cache of preprocessed windows."""
