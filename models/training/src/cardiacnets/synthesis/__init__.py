"""Drawing cines from an ECG: sampling, export, and how faithful the drawn cines are."""
