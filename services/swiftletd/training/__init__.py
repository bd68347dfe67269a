"""The training service: jobs, parameters, progress, logs, export."""
