"""Two Python references of the signal profile: `obvious`, what one writes first, and `vectorised`, for speed."""
