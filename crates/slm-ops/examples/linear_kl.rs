//! CPU time of `linear_kl` on `cpu`, fused and portable in turns: cargo run --release -p slm-ops --example linear_kl
//!
//! 1,024 tokens of a student of width 576, a teacher of 960, 49,152 tokens of vocabulary; on Linux.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use burn::tensor::{Device, Distribution, Int, Tensor};
use slm_ops::{Divergence, HeadShape, Rest, Teacher, TokenWeights, TopTokens, fused, linear_kl};

const N: usize = 1024;
const VOCAB: usize = 49_152;

fn main() {
    let live = Teacher::Live {
        hidden: normal([N, 960], 1.0),
        head: normal([VOCAB, 960], 0.1),
        shape: HeadShape::default(),
    };
    let student = [normal([N, 576], 1.0), normal([VOCAB, 576], 0.1)];
    for (name, teacher, divergence) in [
        ("forward KL", &live, Divergence::ForwardKl),
        ("reverse KL", &live, Divergence::ReverseKl),
        (
            "Jensen-Shannon",
            &live,
            Divergence::JensenShannon { beta: 0.5 },
        ),
        ("forward KL, 32 cached", &cached(), Divergence::ForwardKl),
    ] {
        for _ in 0..3 {
            let run = || seconds(&student, teacher, divergence);
            let (fused, portable) = (run(), fused::portable(run));
            let ratio = fused / portable;
            println!("{name}: fused {fused:.2} s, portable {portable:.2} s, ratio {ratio:.2}");
        }
    }
}

fn normal(shape: [usize; 2], deviation: f64) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, deviation), &Device::flex())
}

fn cached() -> Teacher {
    let device = Device::flex();
    let ids = Tensor::<1, Int>::arange(0..32, &device).reshape([1, 32]);
    Teacher::Cached(TopTokens {
        ids: ids.repeat_dim(0, N),
        logprobs: Tensor::full([N, 32], -4.0, &device),
        rest: Rest::Bucket(Tensor::full([N], -0.9, &device)),
    })
}

/// Of all threads, for the divergence and the gradient of the states.
fn seconds([hidden, head]: &[Tensor<2>; 2], teacher: &Teacher, divergence: Divergence) -> f64 {
    let before = used();
    let leaf = hidden.clone().autodiff().require_grad();
    let (weights, shape) = (TokenWeights::Same(1.0), HeadShape::default());
    let found = linear_kl(
        leaf,
        head.clone(),
        teacher,
        &weights,
        &shape,
        divergence,
        1.0,
    );
    found.sums.read();
    used() - before
}

/// CPU time of the process so far; the clock of /proc ticks 100 times a second.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().expect("a number of ticks"));
    ticks.sum::<f64>() / 100.0
}
