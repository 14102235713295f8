//! Errors in records.

/// An error as a sentence for the record.
pub(super) fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}
