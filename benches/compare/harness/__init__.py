"""What compare.py measures with: folders of issues, pairs of processes, and one file for each kind of work."""
