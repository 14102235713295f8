//! What the table says: defaults that methods share, and costs, by hand.

use super::GRADIENT_METHODS;
use super::block::layout::{BlockLayout, Blocks};
use super::cost::{BlockSize, Cost};
use super::registry::Values;
use super::spec::MethodSpec;
use crate::gradients::store::TensorInfo;

fn size(n: f64, m: f64, matrices: &[[f64; 2]]) -> BlockSize {
    BlockSize {
        examples: n,
        queries: m,
        dim: matrices.iter().map(|[o, i]| o * i).sum(),
        matrices: matrices.to_vec(),
    }
}

fn of(label: &str, size: &BlockSize) -> Cost {
    let spec: MethodSpec = label.parse().unwrap();
    spec.method().cost(size)
}

#[test]
fn every_method_costs_at_least_its_contraction_and_more_on_more_examples() {
    for (info, build) in GRADIENT_METHODS {
        let method = build(&Values::new(info, &[]));
        let [small, large] = [500.0, 1000.0].map(|n| {
            let found = method.cost(&size(n, 10.0, &[[4.0, 300.0], [300.0, 4.0]]));
            assert!(found.step >= 0.0 && found.steps >= 0.0, "{}", info.name);
            assert!(found.bytes > 0.0 && found.bytes.is_finite());
            found.operations()
        });
        // projections contract in no more dimensions than they keep
        let kept = match info.name {
            "random_projection" => 64.0,
            "logra" => 2.0 * 4.0 * 16.0,
            _ => 2400.0,
        };
        assert!(small >= 2.0 * 10.0 * 500.0 * kept, "{}", info.name);
        assert!(large > small, "{}", info.name);
    }
}

#[test]
fn formulas_by_hand() {
    let block = size(100.0, 5.0, &[[8.0, 4.0]]);
    let product = 2.0 * 5.0 * 100.0 * 32.0;
    let free = of("hessian_free", &block);
    assert_eq!((free.operations(), free.bytes), (product, 8.0 * 320.0));
    assert_eq!(
        of("datainf", &block).operations(),
        3.0 * product + 2.0 * 100.0 * 32.0
    );
    let lissa = of("lissa:iterations=7", &block);
    assert_eq!((lissa.fixed, lissa.steps), (product, 7.0));
    assert_eq!(lissa.operations(), 15.0 * product);
    // two products for the residual and the contraction
    let primal = of("exact:solver=primal", &block);
    let (d, m) = (32.0f64, 5.0);
    let expected = 100.0 * d * d + d.powi(3) / 3.0 + 2.0 * m * d * d + 3.0 * product;
    assert!((primal.operations() - expected).abs() < 1e-6);
    // factors are of the matrix, not of the block
    assert_eq!(
        of("kfac", &block).operations(),
        9.0 * (512.0 + 64.0) + 4.0 * 5.0 * 32.0 * 12.0 + product
    );
    assert_eq!(
        of("ekfac", &block).operations() - of("kfac", &block).operations(),
        2.0 * 100.0 * 32.0 * 12.0
    );
    // [4, 4] as published, [8, 8] in the code
    assert_eq!(of("hyperinf:variant=published", &block).step, 4.0 * 64.0);
    assert_eq!(of("hyperinf:variant=code", &block).step, 4.0 * 512.0);
    // fewer steps than the dimension has
    assert_eq!(of("lanczos:rank=3,iterations=9", &block).steps, 9.0);
    assert_eq!(of("lanczos:rank=30", &block).steps, 32.0);
    // what keeps the whole block is exact, and contracts in all of its dimensions
    let exact = of("exact", &block);
    for label in [
        "lanczos",
        "arnoldi:rank=40",
        "nystrom",
        "random_projection",
        "logra",
    ] {
        assert_eq!(of(label, &block), exact, "{label}");
    }
    assert_ne!(of("logra:in=3", &block), exact);
}

#[test]
fn a_layout_adds_up_operations_and_takes_the_largest_workspace() {
    let tensors = [TensorInfo::new("a", [2, 6]), TensorInfo::new("b", [20])];
    let layout = BlockLayout::new(&tensors, Blocks::PerMatrix);
    let method: MethodSpec = "hessian_free".parse().unwrap();
    let (operations, bytes) = method.method().total_cost(&tensors, &layout, 100.0, 5.0);
    assert_eq!(operations, 2.0 * 5.0 * 100.0 * 32.0);
    assert_eq!(bytes, 8.0 * (2.0 * 5.0 * 20.0 + 5.0 * 100.0));
    let sizes = BlockSize::of(&layout.blocks()[1], &tensors, 100.0, 5.0);
    assert_eq!(sizes.matrices, [[1.0, 20.0]]);
}

#[test]
fn lanczos_and_arnoldi_share_their_settings_but_for_the_complement() {
    let built = |label: &str| format!("{:?}", label.parse::<MethodSpec>().unwrap().method());
    let lanczos = "Lanczos(Krylov { rank: 32, iterations: None, complement: Damp })";
    assert_eq!(built("lanczos"), lanczos);
    let arnoldi = lanczos
        .replace("Lanczos", "Arnoldi")
        .replace("Damp", "Drop");
    assert_eq!(built("arnoldi"), arnoldi);
}
