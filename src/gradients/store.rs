//! The gradients of n examples: one `[n, d]` tensor a block, in memory or memory-mapped.
