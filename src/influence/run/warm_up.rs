//! What is done before the clock starts.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};

/// Matrices as large as the queries that a method holds at a time, more or less.
const IMAGES: usize = 4;

/// Memory that is touched before the clock starts, at most.
const WARM_BYTES: usize = 64 << 20;

/// A product in both precisions on this thread and on every thread of the pool: the threads start, and the
/// matrix products set up the memory that each thread keeps for packing, once and for all. And memory for a few
/// matrices of `image` numbers is asked for, touched and given back: its first touch is slow, and would be on the
/// clock of whichever method runs first. An allocator that keeps it has it at hand.
pub(super) fn warm_up(image: usize) {
    let image = image.min(WARM_BYTES / IMAGES / size_of::<f64>());
    std::hint::black_box([(); IMAGES].map(|()| vec![1.0f64; image]));
    fn product<T: ComplexField>(one: T, par: Par) {
        let a = Mat::from_fn(192, 192, |_, _| one.clone());
        let mut c = Mat::<T>::zeros(192, 192);
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.as_ref(), one, par);
        std::hint::black_box(c);
    }
    let both = |par| {
        product(1.0f32, par);
        product(1.0f64, par);
    };
    both(Par::rayon(0));
    rayon::broadcast(|_| both(Par::Seq));
}
