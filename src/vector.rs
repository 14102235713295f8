//! Loops compiled once for every vector width, of which the widest that the processor has is run.

use pulp::{Arch, NullaryFnOnce};

/// Work whose loops are compiled once for every vector width.
pub trait Kernel {
    /// The work; implement with `#[inline(always)]`.
    fn run(self);
}

/// Runs a kernel at the widest vectors that this processor has, of those that [`pulp`] knows of.
pub fn dispatch(kernel: impl Kernel) {
    struct Call<K>(K);
    impl<K: Kernel> NullaryFnOnce for Call<K> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.0.run();
        }
    }
    Arch::new().dispatch(Call(kernel));
}

/// Bytes of a row to ask for ahead; the processor by itself stops at every page.
pub const AHEAD: usize = 512;

/// Asks for the memory `bytes` after `at` to be fetched into the cache, where the processor can be asked; whether
/// anything is there does not matter.
#[inline(always)]
pub fn prefetch<T>(at: &T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let place = std::ptr::from_ref(at).cast::<i8>().wrapping_add(bytes);
        // SAFETY: fetching has no effect that a program could see, at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (at, bytes);
}
