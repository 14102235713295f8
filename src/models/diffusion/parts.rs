//! What every module of a network is made of: its linear layers and its parameters, in the order of a forward pass.

use crate::models::layer_norm::LayerNorm;
use crate::models::lora::LoraLinear;
use crate::models::parameter::Parameter;
use crate::models::parameter::fan_in;

/// A module, or several.
pub trait Parts {
    /// Appends the linear layers that can carry an adapter.
    fn linears<'a>(&'a self, all: &mut Vec<&'a LoraLinear>);

    /// [`Self::linears`], to be changed.
    fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut LoraLinear>);

    /// Appends every parameter.
    fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a>>);
}

/// `parts!(Type: field, …)`: a module is made of these fields, in the order in which a forward pass meets them.
macro_rules! parts {
    ($type:ty: $($field:ident),+) => {
        impl $crate::models::diffusion::parts::Parts for $type {
            fn linears<'a>(&'a self, all: &mut Vec<&'a $crate::models::lora::LoraLinear>) {
                $($crate::models::diffusion::parts::Parts::linears(&self.$field, all);)+
            }

            fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut $crate::models::lora::LoraLinear>) {
                $($crate::models::diffusion::parts::Parts::linears_mut(&mut self.$field, all);)+
            }

            fn parameters<'a>(&'a mut self, all: &mut Vec<$crate::models::parameter::Parameter<'a>>) {
                $($crate::models::diffusion::parts::Parts::parameters(&mut self.$field, all);)+
            }
        }
    };
}
pub(super) use parts;

/// A module without linear layers, whose `parameters` are its own.
macro_rules! leaf {
    ($type:ty) => {
        impl $crate::models::diffusion::parts::Parts for $type {
            fn linears<'a>(&'a self, _: &mut Vec<&'a $crate::models::lora::LoraLinear>) {}

            fn linears_mut<'a>(
                &'a mut self,
                _: &mut Vec<&'a mut $crate::models::lora::LoraLinear>,
            ) {
            }

            fn parameters<'a>(
                &'a mut self,
                all: &mut Vec<$crate::models::parameter::Parameter<'a>>,
            ) {
                all.extend(<$type>::parameters(self));
            }
        }
    };
}
pub(super) use leaf;

leaf!(LayerNorm);

impl Parts for LoraLinear {
    fn linears<'a>(&'a self, all: &mut Vec<&'a LoraLinear>) {
        all.push(self);
    }

    fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut LoraLinear>) {
        all.push(self);
    }

    fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a>>) {
        let deviation = fan_in(self.inputs());
        all.extend(LoraLinear::parameters(self, deviation));
    }
}

impl<T: Parts> Parts for Vec<T> {
    fn linears<'a>(&'a self, all: &mut Vec<&'a LoraLinear>) {
        self.iter().for_each(|part| part.linears(all));
    }

    fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut LoraLinear>) {
        self.iter_mut().for_each(|part| part.linears_mut(all));
    }

    fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a>>) {
        self.iter_mut().for_each(|part| part.parameters(all));
    }
}

impl<T: Parts> Parts for Option<T> {
    fn linears<'a>(&'a self, all: &mut Vec<&'a LoraLinear>) {
        self.iter().for_each(|part| part.linears(all));
    }

    fn linears_mut<'a>(&'a mut self, all: &mut Vec<&'a mut LoraLinear>) {
        self.iter_mut().for_each(|part| part.linears_mut(all));
    }

    fn parameters<'a>(&'a mut self, all: &mut Vec<Parameter<'a>>) {
        self.iter_mut().for_each(|part| part.parameters(all));
    }
}
