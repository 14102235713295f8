//! digits
