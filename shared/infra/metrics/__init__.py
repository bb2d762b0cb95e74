"""What this process counts and measures, for Prometheus to read: rates, times, backlogs, and the figures of the business."""
