"""The course's training program: `python -m training --n-estimators 200 --max-depth 20 --run-name experiment-001`."""
