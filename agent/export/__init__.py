"""The log in the forms of others: rows, lines, frames and measurement files."""
