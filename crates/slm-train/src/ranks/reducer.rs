//! Sums over all processes that are under way while the backward pass goes on, as by the reducer of PyTorch's
//! `DistributedDataParallel`.

use std::ops::Range;

use burn::tensor::Tensor;
use slm_dist::{DistError, Group};
use slm_model::Param;

use super::bucket::{self, Sum};
use crate::Gradients;
use crate::gradients::Gather;

/// Values of a bucket: 4 MiB in f32. An adapter is small, and the sum of the last bucket is one that nothing hides.
const BUCKET: usize = (4 << 20) / size_of::<f32>();

/// The gradients of a step. Buckets of neighbours set out one after the other, each as soon as all of it is settled, so that every
/// process begins the same sums in the same order.
pub(crate) struct Reducer<'a> {
    /// None where this process is by itself.
    group: Option<&'a Group>,
    /// In the order in which they are expected to be settled.
    params: Vec<&'a Param>,
    buckets: Vec<Range<usize>>,
    in_place: bool,
    /// What has not set out.
    held: Gradients,
    is_last: bool,
    /// How many of `params` are settled: the first ones.
    settled: usize,
    sums: Vec<Sum>,
    /// For each weight that has set out, whether it had a gradient here.
    had: Vec<f64>,
    failed: Option<DistError>,
}

impl<'a> Reducer<'a> {
    pub(super) fn new(group: Option<&'a Group>, params: Vec<&'a Param>) -> Self {
        Self::with_buckets(group, params, BUCKET)
    }

    fn with_buckets(group: Option<&'a Group>, params: Vec<&'a Param>, limit: usize) -> Self {
        let lengths: Vec<usize> = params.iter().map(|it| it.len()).collect();
        let asked = group.map(|group| bucket::sums_in_place(group, &params));
        let (in_place, failed) = match asked.transpose() {
            Ok(in_place) => (in_place.unwrap_or(false), None),
            Err(lost) => (false, Some(lost)),
        };
        Self {
            group,
            buckets: bucket::split(&lengths, limit),
            params,
            in_place,
            held: Gradients::new(),
            is_last: false,
            settled: 0,
            sums: Vec::new(),
            had: Vec::new(),
            failed,
        }
    }

    /// What comes now is the last micro-batch of this process in the step: what it settles is whole.
    pub(crate) fn begin_last(&mut self) {
        self.is_last = true;
    }

    /// The sums; a weight that has a gradient in no process has none.
    ///
    /// # Errors
    /// Another process was lost.
    pub(crate) fn finish(mut self) -> Result<Gradients, DistError> {
        let Some(group) = self.group else {
            return Ok(self.held);
        };
        self.settled = self.params.len();
        self.send();
        let had = match self.failed.take() {
            Some(lost) => Err(lost),
            // Through the host: a process that was lost is noticed before a GPU waits for it.
            None => group.sum(&self.had),
        };
        let had = had.inspect_err(|_| group.leave_gpus())?;
        let mut sums = Gradients::new();
        for (bucket, sum) in self.buckets.into_iter().zip(self.sums) {
            let params = &self.params[bucket.clone()];
            let values = sum.wait(params)?;
            let found = params.iter().zip(values).zip(&had[bucket]);
            let with_any = found.filter(|(_, had)| **had > 0.0);
            sums.extend(with_any.map(|((param, sum), _)| (param.name.clone(), sum)));
        }
        Ok(sums)
    }

    /// Begins the sums of all buckets that are settled.
    fn send(&mut self) {
        let Some(group) = self.group else { return };
        while self.failed.is_none()
            && let Some(bucket) = self.buckets.get(self.sums.len())
            && bucket.end <= self.settled
        {
            let params = &self.params[bucket.clone()];
            let own = params.iter().map(|param| self.held.remove(&param.name));
            let own: Vec<Option<Tensor<2>>> = own.collect();
            let had = own.iter().map(|it| f64::from(u8::from(it.is_some())));
            self.had.extend(had);
            match Sum::start(group, params, own, self.in_place) {
                Ok(sum) => self.sums.push(sum),
                Err(lost) => self.failed = Some(lost),
            }
        }
    }
}

impl Gather for Reducer<'_> {
    fn add(&mut self, name: &str, gradient: Tensor<2>) {
        self.held.add(name, gradient);
    }

    fn settle(&mut self, params: &[&Param]) {
        if !self.is_last {
            return;
        }
        let expected = self.params[self.settled..].iter().take(params.len());
        assert!(
            expected
                .map(|it| &it.name)
                .eq(params.iter().map(|it| &it.name)),
            "layers are settled from the top"
        );
        self.settled += params.len();
        self.send();
    }
}

#[cfg(all(test, feature = "libtorch"))]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use serde_json::json;
    use slm_data::{Sample, collate};
    use slm_dist::Launch;
    use slm_model::{Decoder, DecoderConfig, device};

    use super::*;
    use crate::{LossOptions, loss_and_gradients};

    /// A decoder of two layers whose every weight is trained.
    fn decoder(device: &str) -> Decoder {
        let config = json!({
            "model_type": "llama", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true, "initializer_range": 0.2,
        });
        let config = DecoderConfig::from_json(config, Path::new("config.json")).unwrap();
        let mut decoder = Decoder::init(config, 7, &device::open(device).unwrap());
        decoder.train_all();
        decoder
    }

    /// A process by itself, which sums as several do.
    fn group() -> Group {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let launch = Launch {
            rank: 0,
            world_size: 1,
            address: "127.0.0.1".into(),
            port: free.unwrap().port(),
            is_served: false,
            restarts: 0,
        };
        Group::join(&launch).unwrap()
    }

    /// Sees how many sums are under way whenever a layer is done.
    struct Watched<'a, 'b>(&'a mut Reducer<'b>, Vec<usize>);

    impl Gather for Watched<'_, '_> {
        fn add(&mut self, name: &str, gradient: Tensor<2>) {
            self.0.add(name, gradient);
        }

        fn settle(&mut self, params: &[&Param]) {
            self.0.settle(params);
            self.1.push(self.0.sums.len());
        }
    }

    #[test]
    fn sums_begin_while_layers_are_taken() {
        let group = group();
        let sample = Sample::new(0, vec![3, 1, 4, 1, 5], vec![true; 5]);
        let batch = collate(&[&sample]);
        let options = LossOptions::mean_of(8);
        for device in ["cpu", "libtorch:cpu"] {
            let decoder = decoder(device);
            let params = decoder.trainable_from_the_top();
            assert_eq!(params.len(), decoder.trainable().len());
            let of_layer = decoder.layers()[0].trainable().count();
            let mut reducer = Reducer::with_buckets(Some(&group), params, 1);
            for begun in [[0, 0], [of_layer, 2 * of_layer]] {
                let mut watched = Watched(&mut reducer, Vec::new());
                loss_and_gradients(&decoder, &batch, &options, &mut watched);
                assert_eq!(watched.1, begun, "{device}");
                reducer.begin_last();
            }

            let mut alone = Gradients::new();
            for _ in 0..2 {
                loss_and_gradients(&decoder, &batch, &options, &mut alone);
            }
            let sums = reducer.finish().unwrap();
            assert_eq!(sums.len(), alone.len());
            for (name, sum) in sums {
                let [found, wanted] = [sum, alone[&name].clone()]
                    .map(|it| it.into_data().try_into_vec::<f32>().unwrap());
                assert_eq!(found, wanted, "{device}: {name}");
            }
        }
    }
}
