//! `influence:` damping, blocks, precision and the methods compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::influence::{Blocks, MethodSpec, Precision};

/// c when nothing is said: the paper's.
pub const DEFAULT_DAMPING: f64 = 0.1;

/// How influence is computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InfluenceConfig {
    /// c in λ_l = c · tr(F_l)/d_l. The paper: 0.1.
    #[schemars(range(min = 1e-12, max = 1e12))]
    pub damping: f64,
    /// What one block of the Fisher is.
    pub blocks: Blocks,
    /// Precision of the approximations' products; `exact` is always solved in f64.
    pub precision: Precision,
    /// The methods, as `name` or `name:key=value,...` or a mapping `{name: …, key: value}`. Metrics
    /// against exact influence need `exact` among them.
    #[schemars(length(min = 1))]
    pub methods: Vec<MethodSpec>,
}

impl Default for InfluenceConfig {
    fn default() -> Self {
        let methods = ["exact", "datainf", "hessian_free", "lissa"]
            .map(|name| name.parse().expect("a listed method"));
        Self {
            damping: DEFAULT_DAMPING,
            blocks: Blocks::PerMatrix,
            precision: Precision::F64,
            methods: methods.into(),
        }
    }
}

impl InfluenceConfig {
    /// Whether `exact` is among the methods, so that the others can be held against it.
    pub fn has_exact(&self) -> bool {
        self.methods.iter().any(MethodSpec::is_exact)
    }
}
