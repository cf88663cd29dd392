"""The signal profile and everything that reads or changes an ECG before a network does."""
