//! gradients
