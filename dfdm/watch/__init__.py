"""What a user sees while the workflow runs: a summary by stage, and each failure with the way to repeat it.

board.py keeps the count, text.py writes it down, handler.py is Snakemake's logger plugin that feeds and shows it.
"""
