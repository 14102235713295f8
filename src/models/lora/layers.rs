//! Which of a network's layers carry adapters: `lora.layers` against how many there are.

use super::settings::{FirstLayers, LastLayers, LayerRange, LayerSelection};
use crate::input::Problem;

/// What is wrong with an empty list.
pub(super) const EMPTY: &str = "at least one is needed";

/// What is wrong with a setting below `lora`: its dotted path, e.g. `targets.0`, and the problem.
pub type Wrong = (String, Problem);

/// The chosen ones of `count` layers; `None` for all modules, those in no layer included.
///
/// # Errors
/// An empty selection, or a layer that is not there.
pub(super) fn layers(
    selection: &LayerSelection,
    count: usize,
) -> Result<Option<Vec<usize>>, Wrong> {
    let wrong = |at: &str, message: String| Err((at.to_owned(), Problem::new(message)));
    let missing = |layer: usize| format!("there is no layer {layer}; allowed: 0 to {}", count - 1);
    if matches!(selection, LayerSelection::Every(_)) {
        return Ok(None);
    }
    if count == 0 {
        let message = "this model has no layers to choose from; allowed: all";
        return wrong("layers", message.to_owned());
    }
    match selection {
        LayerSelection::List(list) => {
            if list.is_empty() {
                return wrong("layers", EMPTY.to_owned());
            }
            let beyond = list.iter().position(|&layer| layer >= count);
            if let Some(index) = beyond {
                return wrong(&format!("layers.{index}"), missing(list[index]));
            }
        }
        LayerSelection::Last(LastLayers { last: asked })
        | LayerSelection::First(FirstLayers { first: asked }) => {
            if *asked == 0 {
                return wrong("layers", EMPTY.to_owned());
            }
            if *asked > count {
                let message = format!("{asked} layers are more than the model's {count}");
                return wrong("layers", message);
            }
        }
        LayerSelection::Range(LayerRange { from, to }) => {
            if *to >= count {
                return wrong("layers.to", missing(*to));
            }
            if from > to {
                let message = format!("{from} is above `to`; allowed: 0 to {to}");
                return wrong("layers.from", message);
            }
        }
        LayerSelection::Every(_) => {}
    }
    Ok(Some(selection.indices(count)))
}
