"""CardiacNets: training, calibration and export of the ECG models, and the references of the signal profile."""
