"""Results of checks as text, in the guides' own layout, as JSON and as JUnit: pure functions. A report never knows the checks."""
