"""The command line: `cardiacnets-train` and the scripts beside it."""
