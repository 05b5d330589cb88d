//! Beginnings that were read, and the branches that are read after them.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use slm_ops::Sight;

use super::Branching;
use super::forest::{Forest, forests};
use crate::score::score_states;
use crate::{Decoder, KvCache, Scored, Tokens};

/// Tokens of branches that are read at a time: few enough that their activations stay in the processor's cache.
const BRANCH_TOKENS: usize = 256;

/// Beginnings that were read, padded on the left.
pub(super) struct Trunks<'a> {
    decoder: &'a Decoder,
    cache: KvCache,
    pads: Vec<usize>,
    /// Of the token after each, `[rows, vocab]`.
    log_probs: Tensor<2>,
}

/// Some branches of one of the beginnings.
struct Part {
    trunk: usize,
    forest: Forest,
}

impl<'a> Trunks<'a> {
    pub(super) fn read(decoder: &'a Decoder, members: &[Branching<'_>]) -> Self {
        let rows = members.len();
        let time = members
            .iter()
            .map(|member| member.trunk.len())
            .max()
            .unwrap_or(0);
        let pads: Vec<usize> = members
            .iter()
            .map(|member| time - member.trunk.len())
            .collect();
        let mut ids = vec![0i32; rows * time];
        let mut positions = vec![0i32; rows * time];
        for (r, member) in members.iter().enumerate() {
            for (t, &id) in member.trunk.iter().enumerate() {
                ids[r * time + pads[r] + t] = id as i32;
                positions[r * time + pads[r] + t] = t as i32;
            }
        }
        let sight = Sight::new([rows, time, time], |row, _| pads[row]);
        let tokens = Tokens::seeing(&ids, positions, sight, decoder.device());
        let mut cache = KvCache::new();
        let states = decoder.hidden(&tokens, Some(&mut cache), None);
        let hidden = states.dims()[2];
        let last = states.narrow(1, time - 1, 1).reshape([rows, hidden]);
        let log_probs = log_softmax(decoder.logits(last), 1);
        Self {
            decoder,
            cache,
            pads,
            log_probs,
        }
    }

    /// The branches of each; what several begin with is read once.
    pub(super) fn score(&self, members: &[Branching<'_>]) -> Vec<Vec<Scored>> {
        let mut scored = self.first_tokens(members);
        let mut parts: Vec<Part> = Vec::new();
        for (trunk, member) in members.iter().enumerate() {
            let forests = forests(member.branches, BRANCH_TOKENS).into_iter();
            parts.extend(forests.map(|forest| Part { trunk, forest }));
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.forest.ids.len()));
        let mut rest = &parts[..];
        while let Some(largest) = rest.first() {
            let time = largest.forest.ids.len();
            let rows = (BRANCH_TOKENS / time).clamp(1, rest.len());
            let (chunk, after) = rest.split_at(rows);
            let mut values = self.go_on(members, chunk, time).into_iter();
            for part in chunk {
                for (branch, path) in &part.forest.paths {
                    let own = &mut scored[part.trunk][*branch];
                    let (logprobs, greedy): (Vec<f32>, Vec<bool>) =
                        values.by_ref().take(path.len()).unzip();
                    own.logprobs.extend(logprobs);
                    own.greedy.extend(greedy);
                }
            }
            rest = after;
        }
        scored
    }

    /// Each branch with its first token scored, which the beginning alone decides.
    fn first_tokens(&self, members: &[Branching<'_>]) -> Vec<Vec<Scored>> {
        let [rows, vocab] = self.log_probs.dims();
        let best: Vec<i64> = self
            .log_probs
            .clone()
            .argmax(1)
            .into_data()
            .iter::<i64>()
            .collect();
        let firsts = members.iter().enumerate().flat_map(|(trunk, member)| {
            let firsts = member.branches.iter().filter_map(|branch| branch.first());
            firsts.map(move |&id| (trunk * vocab + id as usize) as i32)
        });
        let index: Vec<i32> = firsts.collect();
        if index.is_empty() {
            return members
                .iter()
                .map(|member| vec![Scored::default(); member.branches.len()])
                .collect();
        }
        let n = index.len();
        let index: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(index, [n]), self.decoder.device());
        let values = self
            .log_probs
            .clone()
            .reshape([rows * vocab])
            .select(0, index);
        let values = values.into_data().try_into_vec::<f32>().unwrap_or_default();
        let mut values = values.into_iter();
        let of_branch =
            |trunk: usize, branch: &Vec<u32>, values: &mut dyn Iterator<Item = f32>| match branch
                .first()
            {
                None => Scored::default(),
                Some(&id) => Scored {
                    logprobs: values.next().into_iter().collect(),
                    greedy: vec![best[trunk] == i64::from(id)],
                },
            };
        let mut scored = Vec::with_capacity(members.len());
        for (trunk, member) in members.iter().enumerate() {
            let branches = member.branches.iter();
            scored.push(
                branches
                    .map(|branch| of_branch(trunk, branch, &mut values))
                    .collect(),
            );
        }
        scored
    }

    /// `ln p` of the tokens of each part's branches from the second on, one branch after the other. A part's tokens are a row, padded
    /// on the right to `time`.
    fn go_on(&self, members: &[Branching<'_>], parts: &[Part], time: usize) -> Vec<(f32, bool)> {
        let (rows, seen) = (parts.len(), self.cache.seen());
        let mut ids = vec![0i32; rows * time];
        let mut parents = vec![None; rows * time];
        let mut positions = vec![0i32; rows * time];
        let (mut index, mut targets) = (Vec::new(), Vec::new());
        for (r, Part { trunk, forest }) in parts.iter().enumerate() {
            let from = seen - self.pads[*trunk];
            for node in 0..forest.ids.len() {
                let at = r * time + node;
                ids[at] = forest.ids[node] as i32;
                parents[at] = forest.parents[node];
                positions[at] = (from + forest.depths[node]) as i32;
            }
            for (branch, path) in &forest.paths {
                index.extend(path.iter().map(|node| (r * time + node) as i32));
                let tokens = &members[*trunk].branches[*branch][1..];
                targets.extend(tokens.iter().map(|&id| id as i32));
            }
        }
        let first = |row: usize| self.pads[parts[row].trunk];
        let sight = Sight::of_forest([rows, time, seen + time], parents, first);
        let tokens = Tokens::seeing(&ids, positions, sight, self.decoder.device());
        let trunks: Vec<usize> = parts.iter().map(|part| part.trunk).collect();
        let mut cache = self.cache.for_rows(&trunks, time);
        let states = self.decoder.hidden(&tokens, Some(&mut cache), None);
        score_states(self.decoder, states, index, targets)
    }
}
