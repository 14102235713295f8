//! Influence methods: (F + λI)⁻¹ and its approximations, on plain matrices.
//!
//! The deep-learning framework stops at the gradients: nothing here imports burn.

mod evidence;

pub use evidence::Evidence;
