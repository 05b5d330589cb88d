//! A processor's tensors of libtorch as Flex's, and back: the memory stays where it is, so that Flex's loops serve both.

#![expect(unsafe_code, reason = "memory that another library keeps")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};
use tch::{Device, Kind, Tensor};

use crate::aten;
use crate::torch::{Handle, handle};

/// Whether Flex's loops read it.
pub(crate) fn reads(x: &Handle) -> bool {
    x.tensor.device() == Device::Cpu && x.tensor.kind() == Kind::Float
}

/// The same values, to be read; of floats in f32, and of integers.
pub(crate) fn flex(x: &Handle) -> FlexTensor {
    of(x.tensor.shallow_clone(), false)
}

/// The same values, which may be written where they lie if nobody else reads them.
pub(crate) fn into_flex(x: Handle) -> FlexTensor {
    let is_ours = x.can_mut();
    of(x.tensor, is_ours)
}

/// A result of Flex, f32, as a tensor of libtorch.
pub(crate) fn torch(x: FlexTensor) -> Handle {
    let mut x = match x.is_unique() {
        true => x,
        false => FlexTensor::from_data(x.into_data()),
    };
    let layout = x.layout().clone();
    let sizes: Vec<i64> = layout.shape().iter().map(|n| *n as i64).collect();
    let strides: Vec<i64> = layout.strides().iter().map(|n| *n as i64).collect();
    let start = x.storage_mut::<f32>()[layout.start_offset()..].as_mut_ptr();
    let owner = Box::into_raw(Box::new(x)).cast();
    // SAFETY: the memory holds what sizes and strides reach, is read and written by the tensor alone, and lives until its owner is
    // released.
    handle(unsafe { aten::borrowed(start, (&sizes, &strides), owner, release) })
}

/// # Safety
/// `owner` is a tensor that [`torch`] gave away, and is not used again.
unsafe extern "C" fn release(owner: *mut c_void) {
    // SAFETY: it was a box.
    drop(unsafe { Box::from_raw(owner.cast::<FlexTensor>()) });
}

fn of(tensor: Tensor, is_ours: bool) -> FlexTensor {
    let shape: Vec<usize> = tensor.size().iter().map(|n| *n as usize).collect();
    let strides: Vec<isize> = tensor.stride().iter().map(|n| *n as isize).collect();
    let dtype = dtype(tensor.kind());
    let memory = Memory { tensor, is_ours };
    let len = memory.len();
    // SAFETY: a tensor of libtorch has no values that were never written, or nobody reads them.
    let bytes = unsafe { Bytes::from_controller(Box::new(memory), len) };
    FlexTensor::new(bytes, Layout::new(Shape::from(shape), strides, 0), dtype)
}

fn dtype(kind: Kind) -> DType {
    match kind {
        Kind::Float => DType::F32,
        Kind::Int64 => DType::I64,
        Kind::Int => DType::I32,
        Kind::Int8 => DType::I8,
        Kind::Uint8 => DType::U8,
        kind => panic!("{kind:?} is no kind that Flex's loops read"),
    }
}

/// From the first value of a tensor to its last.
struct Memory {
    tensor: Tensor,
    /// Whether nobody else reads it.
    is_ours: bool,
}

impl Memory {
    fn len(&self) -> usize {
        let sizes = self.tensor.size();
        if sizes.contains(&0) {
            return 0;
        }
        let reach = sizes.iter().zip(self.tensor.stride());
        let last: i64 = reach.map(|(n, stride)| (n - 1) * stride).sum();
        (last as usize + 1) * self.tensor.kind().elt_size_in_bytes()
    }

    /// Of nothing, what is a place for any kind.
    fn start(&self) -> *mut MaybeUninit<u8> {
        match self.len() {
            0 => NonNull::<u64>::dangling().as_ptr().cast(),
            _ => self.tensor.data_ptr().cast(),
        }
    }

    /// A tensor with a copy of all that lies there.
    fn copied(&self) -> Tensor {
        let n = self.len() / self.tensor.kind().elt_size_in_bytes();
        self.tensor.as_strided([n as i64], [1], None).copy()
    }
}

impl AllocationController for Memory {
    fn alloc_align(&self) -> usize {
        self.tensor.kind().elt_size_in_bytes()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        policy: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        if !self.is_ours {
            if !policy.copy_allowed() {
                return Err(AccessError::WouldCopy);
            }
            self.tensor = self.copied();
            self.is_ours = true;
        }
        // SAFETY: the memory is the tensor's, which lives as long as `self`, and nobody else's.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.start(), self.len()) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: the memory is the tensor's, which lives as long as `self`.
        Ok(unsafe { std::slice::from_raw_parts(self.start(), self.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten() -> Tensor {
        Tensor::arange(10, (Kind::Float, Device::Cpu))
    }

    #[test]
    fn values_are_read_where_they_lie() {
        let x = ten().view((2, 5)).narrow(1, 1, 3).tr(); // [3, 2], strided, not from the start on
        let seen = flex(&handle(x.shallow_clone()));
        assert_eq!(seen.storage::<f32>().as_ptr(), x.data_ptr().cast());
        let want = [1.0, 6.0, 2.0, 7.0, 3.0, 8.0];
        assert_eq!(seen.to_contiguous().storage::<f32>(), want);
        let back = torch(seen.to_contiguous());
        assert_eq!(back.tensor, x);
    }

    #[test]
    fn what_others_read_is_not_written() {
        let x = handle(ten());
        let also = x.clone();
        let mut seen = into_flex(x);
        seen.storage_mut::<f32>()[0] = 7.0;
        assert_eq!(also.tensor, ten());
        assert_eq!(seen.storage::<f32>()[..3], [7.0, 1.0, 2.0]);
    }

    #[test]
    fn what_nobody_reads_is_written_in_place_and_comes_back() {
        let x = handle(ten());
        let at = x.tensor.data_ptr();
        let mut seen = into_flex(x);
        seen.storage_mut::<f32>()[0] = 7.0;
        let back = torch(seen).tensor;
        assert_eq!(back.data_ptr(), at);
        assert_eq!(f64::try_from(back.sum(Kind::Float)).unwrap(), 52.0);
    }

    #[test]
    fn nothing_is_a_tensor_as_well() {
        let none = handle(Tensor::empty([0, 4], (Kind::Float, Device::Cpu)));
        let back = torch(into_flex(none)).tensor;
        assert_eq!(back.size(), [0, 4]);
    }
}
