"""What is offered: a range of the log at one level, as columns, in one file with its digests."""
