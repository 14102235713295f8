//! Named parameters: their role, their initial values, and their plain copies outside any device.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, Normal};
use thiserror::Error;

use crate::random;

/// Why weights cannot be a model's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WeightError {
    /// A parameter that is not there.
    #[error("the weights lack `{name}`")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A parameter of another shape.
    #[error("weight `{name}` has shape {found:?}; {expected:?} was expected")]
    Shape {
        /// Its name.
        name: String,
        /// Shape found.
        found: Vec<usize>,
        /// Shape expected.
        expected: Vec<usize>,
    },
}

/// What a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The base network: pretrained, then frozen.
    Base,
    /// A LoRA factor.
    Adapter,
    /// The classifier.
    Head,
}

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform between minus and plus this bound.
    Uniform(f64),
}

/// The tensor of a parameter.
pub enum Slot<'a> {
    /// A matrix, `[out, in]`.
    Matrix(&'a mut Tensor<2>),
    /// A vector.
    Vector(&'a mut Tensor<1>),
}

/// A named parameter of a model.
pub struct Parameter<'a> {
    /// Name as in PyTorch and PEFT, without the model's own prefix.
    pub name: String,
    /// What it belongs to.
    pub role: Role,
    /// How it begins.
    pub init: Init,
    /// Its tensor.
    pub slot: Slot<'a>,
}

/// Plain numbers with a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// Arrays by name.
pub type Weights = BTreeMap<String, Array>;

impl Slot<'_> {
    /// Sizes of the dimensions.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Matrix(tensor) => tensor.dims().into(),
            Self::Vector(tensor) => tensor.dims().into(),
        }
    }

    /// Replaces the numbers; `values` has as many as the tensor.
    pub fn set(&mut self, values: &[f32], device: &Device) {
        let data = TensorData::new(values.to_vec(), self.shape());
        match self {
            Self::Matrix(tensor) => **tensor = Tensor::from_data(data, device),
            Self::Vector(tensor) => **tensor = Tensor::from_data(data, device),
        }
    }

    /// Replaces the numbers by what `read` makes for the tensor's shape, without copying them. The old
    /// ones are given up first, so that there are never two tensors; when `read` fails the tensor is empty.
    ///
    /// # Errors
    /// What `read` says.
    pub fn replace<E>(
        &mut self,
        device: &Device,
        read: impl FnOnce(&[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<(), E> {
        let shape = self.shape();
        match self {
            Self::Matrix(tensor) => **tensor = Tensor::zeros([0, 0], device),
            Self::Vector(tensor) => **tensor = Tensor::zeros([0], device),
        }
        let data = TensorData::new(read(&shape)?, shape);
        match self {
            Self::Matrix(tensor) => **tensor = Tensor::from_data(data, device),
            Self::Vector(tensor) => **tensor = Tensor::from_data(data, device),
        }
        Ok(())
    }

    /// Makes the tensor a leaf whose gradient is kept.
    pub fn require_grad(&mut self) {
        match self {
            Self::Matrix(tensor) => **tensor = tensor.clone().inner().autodiff().require_grad(),
            Self::Vector(tensor) => **tensor = tensor.clone().inner().autodiff().require_grad(),
        }
    }

    /// The same numbers in f64.
    pub fn widen(&mut self) {
        match self {
            Self::Matrix(tensor) => **tensor = tensor.clone().cast(DType::F64),
            Self::Vector(tensor) => **tensor = tensor.clone().cast(DType::F64),
        }
    }

    /// Replaces the numbers of a tensor in f64; `values` has as many as the tensor.
    pub fn set_wide(&mut self, values: &[f64], device: &Device) {
        let data = TensorData::new(values.to_vec(), self.shape());
        match self {
            Self::Matrix(tensor) => **tensor = Tensor::from_data(data, (device, DType::F64)),
            Self::Vector(tensor) => **tensor = Tensor::from_data(data, (device, DType::F64)),
        }
    }

    /// [`take_grad`](Self::take_grad) of a tensor in f64.
    pub fn take_wide_grad(&self, grads: &mut Gradients) -> Vec<f64> {
        let data = match self {
            Self::Matrix(tensor) => tensor.grad_remove(grads).map(Tensor::into_data),
            Self::Vector(tensor) => tensor.grad_remove(grads).map(Tensor::into_data),
        };
        data.map_or_else(|| vec![0.0; self.shape().iter().product()], to_f64)
    }

    /// A plain copy of the numbers of a tensor in f64.
    pub fn wide_values(&self) -> Vec<f64> {
        to_f64(match self {
            Self::Matrix(tensor) => (**tensor).clone().inner().into_data(),
            Self::Vector(tensor) => (**tensor).clone().inner().into_data(),
        })
    }

    /// Takes the gradient of a leaf; zeros when the loss does not depend on it.
    pub fn take_grad(&self, grads: &mut Gradients) -> Vec<f32> {
        let data = match self {
            Self::Matrix(tensor) => tensor.grad_remove(grads).map(Tensor::into_data),
            Self::Vector(tensor) => tensor.grad_remove(grads).map(Tensor::into_data),
        };
        data.map_or_else(|| vec![0.0; self.shape().iter().product()], to_f32)
    }

    /// A plain copy of the numbers.
    pub fn values(&self) -> Vec<f32> {
        let data = match self {
            Self::Matrix(tensor) => (**tensor).clone().inner().into_data(),
            Self::Vector(tensor) => (**tensor).clone().inner().into_data(),
        };
        to_f32(data)
    }
}

/// The numbers of a float tensor.
pub fn to_f32(data: TensorData) -> Vec<f32> {
    data.try_into_vec().expect("models compute in f32")
}

/// The numbers of a float tensor of a widened model.
fn to_f64(data: TensorData) -> Vec<f64> {
    data.try_into_vec().expect("widened models compute in f64")
}

/// Draws the initial values of the parameters of `roles`; each from its own generator, named after it.
pub fn initialise(parameters: Vec<Parameter>, roles: &[Role], seed: u64, device: &Device) {
    for mut parameter in parameters
        .into_iter()
        .filter(|parameter| roles.contains(&parameter.role))
    {
        let count = parameter.slot.shape().iter().product();
        let values = match parameter.init {
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
            Init::Normal(deviation) => {
                let mut rng = random::rng(seed, &parameter.name, "initialise");
                let normal =
                    Normal::new(0.0, deviation).expect("deviations are finite and not negative");
                (0..count).map(|_| normal.sample(&mut rng) as f32).collect()
            }
            Init::Uniform(bound) => {
                let mut rng = random::rng(seed, &parameter.name, "initialise");
                let mut draw = || bound * (2.0 * rng.random::<f64>() - 1.0);
                (0..count).map(|_| draw() as f32).collect()
            }
        };
        parameter.slot.set(&values, device);
    }
}

/// Plain copies of the parameters of `roles`.
pub fn export(parameters: Vec<Parameter>, roles: &[Role]) -> Weights {
    parameters
        .into_iter()
        .filter(|parameter| roles.contains(&parameter.role))
        .map(|parameter| {
            let array = Array {
                shape: parameter.slot.shape(),
                values: parameter.slot.values(),
            };
            (parameter.name, array)
        })
        .collect()
}

/// Sets the parameters of `roles` from `weights`.
///
/// # Errors
/// When one is missing or has another shape.
pub fn import(
    parameters: Vec<Parameter>,
    roles: &[Role],
    weights: &Weights,
    device: &Device,
) -> Result<(), WeightError> {
    for mut parameter in parameters
        .into_iter()
        .filter(|parameter| roles.contains(&parameter.role))
    {
        let array = weights
            .get(&parameter.name)
            .ok_or_else(|| WeightError::Missing {
                name: parameter.name.clone(),
            })?;
        let expected = parameter.slot.shape();
        if array.shape != expected || array.values.len() != expected.iter().product::<usize>() {
            return Err(WeightError::Shape {
                name: parameter.name,
                found: array.shape.clone(),
                expected,
            });
        }
        parameter.slot.set(&array.values, device);
    }
    Ok(())
}
