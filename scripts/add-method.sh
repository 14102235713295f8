#!/usr/bin/env bash
# What a new method takes: one file and one line. Adds a toy method to a copy of this tree, shows the difference, builds,
# and asks the command line for its scores and the tests that go through the table of methods to accept it.
# CARGO may name another command in place of cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 cp -P --parents -t "$copy"

cat >"$copy/src/influence/methods/toy.rs" <<'RUST'
//! A toy: twice the dot product.

use crate::influence::block::view::Block;
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::error::InfluenceError;
use crate::influence::method::{InfluenceMethod, Preconditioner};
use crate::influence::registry::{Listed, MethodInfo, Values, plain};
use crate::influence::solve::diagonal::Scaled;

/// X = 2V/λ.
#[derive(Clone, Debug, PartialEq)]
pub struct Toy;

impl Listed for Toy {
    const INFO: MethodInfo = MethodInfo {
        name: "toy",
        title: "Toy",
        look: None,
        variant: plain,
        summary: "twice the dot product",
        formula: "2v/λ",
        cost: "0",
        memory: "none",
        passes: "1",
        damping: "the weight 1/λ_l of a block",
        source: "none",
        when: "never",
        options: &[],
    };

    fn from_values(_: &Values) -> Self {
        Self
    }
}

impl InfluenceMethod for Toy {
    fn prepare<'a>(
        &'a self,
        _: &'a Block<'a>,
        lambda: f64,
    ) -> Result<Box<dyn Preconditioner + 'a>, InfluenceError> {
        Ok(Box::new(Scaled(2.0 / lambda)))
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        Cost::once(size, size.queries * size.dim, 0.0)
    }
}
RUST
sed -i 's/^    tracin: TracIn,$/&\n    toy: Toy,/' "$copy/src/influence/methods/mod.rs"
diff -rq src "$copy/src" && exit 1
diff src/influence/methods/mod.rs "$copy/src/influence/methods/mod.rs" || true

cd "$copy"
$cargo build --release --quiet
infbench=$CARGO_TARGET_DIR/release/infbench
"$infbench" list methods | grep '^toy$'
"$infbench" score --train tests/fixtures/wide/train.safetensors --query tests/fixtures/wide/query.safetensors \
  --method toy --method hessian_free_block_weighted --out "$copy/scores.safetensors"
"$infbench" schema | grep -q '"const": "toy"'
$cargo test --release --quiet --test influence_properties
echo "a method is one file and one line"
