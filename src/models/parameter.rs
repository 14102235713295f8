//! Named parameters: their role, their initial values, and their plain copies outside any device.

use std::any::Any;
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

/// The tensor of a parameter, of any rank.
pub struct Slot<'a>(&'a mut dyn AnyRank);

/// What a parameter needs of a tensor, whatever its rank.
trait AnyRank: Any {
    /// Sizes of the dimensions.
    fn shape(&self) -> Vec<usize>;
    /// Bytes of the numbers.
    fn bytes(&self) -> u64;
    /// Becomes another tensor of the same rank.
    fn share(&mut self, other: &dyn AnyRank);
    /// Replaces the numbers, in the device's own type of floats or in `dtype`.
    fn set(&mut self, data: TensorData, device: &Device, dtype: Option<DType>);
    /// Makes the tensor a leaf whose gradient is kept.
    fn require_grad(&mut self);
    /// The same numbers in `dtype`.
    fn cast(&mut self, dtype: DType);
    /// Takes the gradient of a leaf; `None` when the loss does not depend on it.
    fn take_grad(&self, grads: &mut Gradients) -> Option<TensorData>;
    /// A plain copy of the numbers.
    fn data(&self) -> TensorData;
}

impl<const D: usize> AnyRank for Tensor<D> {
    fn shape(&self) -> Vec<usize> {
        self.dims().into()
    }

    fn bytes(&self) -> u64 {
        (self.shape().iter().product::<usize>() * self.dtype().size()) as u64
    }

    fn share(&mut self, other: &dyn AnyRank) {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>().expect("the same rank");
        self.clone_from(other);
    }

    fn set(&mut self, data: TensorData, device: &Device, dtype: Option<DType>) {
        *self = match dtype {
            None => Self::from_data(data, device),
            Some(dtype) => Self::from_data(data, (device, dtype)),
        };
    }

    fn require_grad(&mut self) {
        *self = self.clone().inner().autodiff().require_grad();
    }

    fn cast(&mut self, dtype: DType) {
        *self = self.clone().cast(dtype);
    }

    fn take_grad(&self, grads: &mut Gradients) -> Option<TensorData> {
        self.grad_remove(grads).map(Tensor::into_data)
    }

    fn data(&self) -> TensorData {
        self.clone().inner().into_data()
    }
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

impl<'a> Slot<'a> {
    /// Of a tensor of any rank.
    pub fn new<const D: usize>(tensor: &'a mut Tensor<D>) -> Self {
        Self(tensor)
    }

    /// Sizes of the dimensions.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape()
    }

    /// Number of numbers.
    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }

    /// Replaces the numbers; `values` has as many as the tensor.
    pub fn set(&mut self, values: &[f32], device: &Device) {
        let data = TensorData::new(values.to_vec(), self.shape());
        self.0.set(data, device, None);
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
        let nothing = TensorData::new(Vec::<f32>::new(), vec![0; shape.len()]);
        self.0.set(nothing, device, None);
        let data = TensorData::new(read(&shape)?, shape);
        self.0.set(data, device, None);
        Ok(())
    }

    /// Makes the tensor a leaf whose gradient is kept.
    pub fn require_grad(&mut self) {
        self.0.require_grad();
    }

    /// Bytes of the numbers.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Becomes the tensor of another slot of the same rank; they share the numbers.
    pub fn share(&mut self, other: &Slot) {
        self.0.share(&*other.0);
    }

    /// The same numbers in another type.
    pub fn cast(&mut self, dtype: DType) {
        self.0.cast(dtype);
    }

    /// The same numbers in f64.
    pub fn widen(&mut self) {
        self.0.cast(DType::F64);
    }

    /// Replaces the numbers of a tensor in f64; `values` has as many as the tensor.
    pub fn set_wide(&mut self, values: &[f64], device: &Device) {
        let data = TensorData::new(values.to_vec(), self.shape());
        self.0.set(data, device, Some(DType::F64));
    }

    /// [`take_grad`](Self::take_grad) of a tensor in f64.
    pub fn take_wide_grad(&self, grads: &mut Gradients) -> Vec<f64> {
        let data = self.0.take_grad(grads);
        data.map_or_else(|| vec![0.0; self.count()], to_f64)
    }

    /// A plain copy of the numbers of a tensor in f64.
    pub fn wide_values(&self) -> Vec<f64> {
        to_f64(self.0.data())
    }

    /// Takes the gradient of a leaf; zeros when the loss does not depend on it.
    pub fn take_grad(&self, grads: &mut Gradients) -> Vec<f32> {
        let data = self.0.take_grad(grads);
        data.map_or_else(|| vec![0.0; self.count()], to_f32)
    }

    /// A plain copy of the numbers.
    pub fn values(&self) -> Vec<f32> {
        to_f32(self.0.data())
    }
}

/// A parameter of a network that is only described so far: zeros that take the memory of one number.
pub fn blank<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<D>::zeros([1; D], device).expand(dims)
}

/// Standard deviation 1/√in, which keeps the size of what passes through.
pub fn fan_in(inputs: usize) -> f64 {
    1.0 / (inputs as f64).sqrt()
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
        let count = parameter.slot.count();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    fn keeps_its_numbers<const D: usize>(dims: [usize; D]) {
        let device = DeviceChoice::Flex.inner();
        let count = dims.iter().product::<usize>();
        let numbers: Vec<f32> = (0..count).map(|i| i as f32 + 0.5).collect();
        let mut tensor = Tensor::<D>::zeros(dims, &device);
        let mut slot = Slot::new(&mut tensor);
        assert_eq!((slot.shape(), slot.count()), (dims.to_vec(), count));
        slot.set(&numbers, &device);
        assert_eq!(slot.values(), numbers);
        let doubled: Vec<f32> = numbers.iter().map(|number| 2.0 * number).collect();
        let read = |shape: &[usize]| {
            assert_eq!(shape, dims);
            Ok::<_, WeightError>(doubled.clone())
        };
        slot.replace(&device, read).unwrap();
        assert_eq!(slot.values(), doubled);
        slot.require_grad();
        // Σ x² has the gradient 2x
        let mut grads = tensor.clone().powi_scalar(2).sum().backward();
        let mut slot = Slot::new(&mut tensor);
        let expected: Vec<f32> = doubled.iter().map(|number| 2.0 * number).collect();
        let mut copy = Tensor::<D>::zeros(dims, &device);
        Slot::new(&mut copy).share(&slot);
        assert_eq!(Slot::new(&mut copy).values(), doubled);
        assert_eq!(slot.take_grad(&mut grads), expected);
        assert_eq!(slot.take_grad(&mut grads), vec![0.0; count]);
        slot.widen();
        let wide: Vec<f64> = doubled.iter().map(|&number| number.into()).collect();
        assert_eq!(slot.wide_values(), wide);
    }

    #[test]
    fn parameters_have_any_rank() {
        keeps_its_numbers([3]);
        keeps_its_numbers([2, 3]);
        keeps_its_numbers([2, 1, 3]);
        keeps_its_numbers([2, 3, 2, 2]);
    }
}
