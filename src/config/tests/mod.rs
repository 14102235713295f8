//! Settings of the rooms, as they are read from a file.

mod decomposition;
mod ground_truth;
