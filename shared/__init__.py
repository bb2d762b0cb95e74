"""The chassis: the mechanisms that every module stands on, and no business noun."""
