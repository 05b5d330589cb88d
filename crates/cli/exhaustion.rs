//! A device that runs out of memory: libtorch tells it by a panic, and the user hears of it as of any other error.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};

use anyhow::Result;

/// What libtorch says of a GPU and of a processor.
const SIGNS: [&str; 3] = [
    "CUDA out of memory",
    "MPS backend out of memory",
    "DefaultCPUAllocator: can't allocate memory",
];

/// The device has no room for what was asked of it.
#[derive(Debug, thiserror::Error)]
#[error("out of memory: {said}")]
pub(crate) struct Exhausted {
    /// libtorch's first sentences.
    said: String,
}

impl Exhausted {
    pub(crate) const HINT: &str = "read fewer rows at a time with a smaller `train.per_device_train_batch_size` (`\"auto\"` finds one), \
        set `train.gradient_checkpointing = true`, or keep the base in `model.quantization = \"int8\"` or `\"nf4\"`";
}

/// Keeps quiet about panics that [`caught`] will tell.
pub(crate) fn hush() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        if exhausted(panic.payload()).is_none() {
            tell(panic);
        }
    }));
}

/// Does `work`; that memory ran out becomes an error, and any other panic goes on.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What was under way is given up.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => match exhausted(&*payload) {
            Some(error) => Err(error.into()),
            None => resume_unwind(payload),
        },
    }
}

fn exhausted(payload: &(dyn Any + Send)) -> Option<Exhausted> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied())?;
    let start = SIGNS.iter().find_map(|sign| text.find(sign))?;
    // The rest is advice about PyTorch's settings, and addresses of its functions.
    let said = text[start..].lines().next().unwrap_or_default();
    let end = said.find(" If reserved").or_else(|| said.find("\\n"));
    let said = said[..end.unwrap_or(said.len())]
        .trim()
        .trim_end_matches(['.', '"']);
    Some(Exhausted {
        said: said.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_libtorch_becomes_one_error() {
        let said = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 \
                    has a total capacity of 79.11 GiB of which 3.00 GiB is free. If reserved but unallocated memory is large try \
                    setting PYTORCH_ALLOC_CONF\\nException raised from malloc\")";
        let error = caught::<()>(|| panic!("{said}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "out of memory: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 3.00 GiB is free"
        );
        assert!(error.is::<Exhausted>());
    }

    #[test]
    fn another_panic_goes_on() {
        let other = catch_unwind(|| caught::<()>(|| panic!("index out of bounds")));
        assert!(other.is_err());
        assert_eq!(caught(|| Ok(3)).unwrap(), 3);
    }
}
