//! flip
