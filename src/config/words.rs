//! What readers call the value of a setting.

use serde_json::Value;

use crate::finetune::settings::Optimizer;

/// Name and constants of the optimiser that is `train.optimizer` in a record; `None` for one that is not known here.
pub fn optimizer(value: &Value) -> Option<String> {
    let optimizer: Optimizer = serde_json::from_value(value.clone()).ok()?;
    Some(optimizer.title())
}
