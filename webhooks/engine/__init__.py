"""The job port and its DBOS implementation."""
