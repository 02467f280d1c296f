"""What makes the core refuse a cell or a column, for each reason of ``rust/error.rs``, and what the refusal says."""
