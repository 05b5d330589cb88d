//! Beginnings that are read once: what follows them has the probability that it has when each is read whole.

use std::path::Path;

use slm_model::{Branching, Decoder, Scored, Sequence, device, score, score_branches};
use slm_recipe::Dtype;

/// Ids of a text that repeats after long.
fn ids(from: usize, n: usize) -> Vec<u32> {
    (0..n)
        .map(|at| (3 + (from * 131 + at * at * 17 + at) % 2000) as u32)
        .collect()
}

fn whole(decoder: &Decoder, trunk: &[u32], branches: &[Vec<u32>]) -> Vec<Scored> {
    let sequences: Vec<Sequence> = branches
        .iter()
        .map(|branch| Sequence {
            ids: [trunk, branch].concat(),
            from: trunk.len(),
        })
        .collect();
    score(decoder, &sequences, 1, &mut |_| ())
}

#[test]
fn branches_score_as_they_do_when_each_is_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/base/slm-base-2m");
    let decoder = Decoder::load(&folder, &device::open("cpu").unwrap(), Dtype::F32).unwrap();
    // Beginnings and branches of many lengths, among them one token, and one branch alone.
    let trunks: Vec<Vec<u32>> = [1, 2, 9, 9, 40, 130, 7]
        .iter()
        .enumerate()
        .map(|(i, &n)| ids(i, n))
        .collect();
    let branches: Vec<Vec<Vec<u32>>> = (0..trunks.len())
        .map(|i| {
            (0..1 + (i * 5) % 12)
                .map(|b| ids(50 + 7 * i + b, 1 + (b * 3 + i) % 9))
                .collect()
        })
        .collect();
    let requests: Vec<Branching<'_>> = trunks
        .iter()
        .zip(&branches)
        .map(|(trunk, branches)| Branching { trunk, branches })
        .collect();
    for batch_size in [1, 3, 100] {
        let mut told = Vec::new();
        let scored = score_branches(&decoder, &requests, batch_size, &mut |n| told.push(n));
        assert_eq!(told.last(), Some(&requests.len()));
        for ((trunk, branches), scored) in trunks.iter().zip(&branches).zip(&scored) {
            for (found, wanted) in scored.iter().zip(whole(&decoder, trunk, branches)) {
                assert_eq!(found.greedy, wanted.greedy);
                assert_eq!(found.logprobs.len(), wanted.logprobs.len());
                for (found, wanted) in found.logprobs.iter().zip(&wanted.logprobs) {
                    assert!(
                        (found - wanted).abs() < 2e-5,
                        "{found} {wanted}, batches of {batch_size}"
                    );
                }
            }
        }
    }
}
