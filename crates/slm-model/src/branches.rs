//! Log-probabilities of what may follow a beginning: the beginning is read once.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use crate::score::score_states;
use crate::{Decoder, KvCache, Scored, Sequence, Tokens, score};

/// A beginning and what may follow it.
#[derive(Clone, Copy, Debug)]
pub struct Branching<'a> {
    /// What all branches begin with.
    pub trunk: &'a [u32],
    /// What may follow, each scored whole.
    pub branches: &'a [Vec<u32>],
}

/// Tokens of beginnings that are read at a time.
const TRUNK_TOKENS: usize = 2048;
/// Tokens of branches that are read at a time: few enough that their activations stay in the processor's cache.
const BRANCH_TOKENS: usize = 256;

/// Scores every choice after every prompt; the prompt is read once and its keys serve all choices.
///
/// Returns `ln p` by prompt, choice and token of the choice.
pub fn score_choices(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    choices: &[Vec<u32>],
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<Vec<f32>>> {
    let requests: Vec<Branching<'_>> = prompts
        .iter()
        .map(|prompt| Branching {
            trunk: prompt,
            branches: choices,
        })
        .collect();
    let scored = score_branches(decoder, &requests, prompts.len(), done);
    scored
        .into_iter()
        .map(|branches| branches.into_iter().map(|branch| branch.logprobs).collect())
        .collect()
}

/// Scores the branches of each beginning. Up to `batch_size` beginnings of similar length are read together; `done` is told how many are
/// finished.
///
/// The answer keeps the order of `requests` and does not depend on the batch size beyond rounding.
pub fn score_branches(
    decoder: &Decoder,
    requests: &[Branching<'_>],
    batch_size: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<Scored>> {
    let decoder = decoder.inference();
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| requests[i].trunk.len());
    let mut scored = vec![Vec::new(); requests.len()];
    let mut rest = &order[..];
    while let Some(&first) = rest.first() {
        let fits = |n: &usize| n * requests[rest[n - 1]].trunk.len() <= TRUNK_TOKENS;
        let most = batch_size.clamp(1, rest.len());
        let n = match requests[first].trunk.is_empty() {
            true => 1,
            false => (1..=most).take_while(fits).last().unwrap_or(1),
        };
        let (batch, after) = rest.split_at(n);
        let members: Vec<Branching<'_>> = batch.iter().map(|&i| requests[i]).collect();
        let results = match members[0].trunk.is_empty() {
            true => vec![from_nothing(&decoder, members[0].branches)],
            false => Trunks::read(&decoder, &members).score(&members),
        };
        for (&i, result) in batch.iter().zip(results) {
            scored[i] = result;
        }
        rest = after;
        done(requests.len() - rest.len());
    }
    scored
}

/// Nothing comes before a branch's first token, so only the others have a probability.
fn from_nothing(decoder: &Decoder, branches: &[Vec<u32>]) -> Vec<Scored> {
    let whole = |ids: &Vec<u32>| Sequence {
        ids: ids.clone(),
        from: 1,
    };
    let sequences: Vec<Sequence> = branches.iter().map(whole).collect();
    score(decoder, &sequences, branches.len(), &mut |_| ())
}

/// Beginnings that were read, padded on the left.
struct Trunks<'a> {
    decoder: &'a Decoder,
    cache: KvCache,
    pads: Vec<usize>,
    /// Of the token after each, `[rows, vocab]`.
    log_probs: Tensor<2>,
}

/// A branch of one of the beginnings.
#[derive(Clone, Copy)]
struct Row {
    trunk: usize,
    branch: usize,
}

impl<'a> Trunks<'a> {
    fn read(decoder: &'a Decoder, members: &[Branching<'_>]) -> Self {
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
        let tokens = Tokens::with_sight(
            &ids,
            positions,
            [rows, time],
            time,
            decoder.device(),
            |r, _| pads[r],
        );
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

    fn score(&self, members: &[Branching<'_>]) -> Vec<Vec<Scored>> {
        let mut scored = self.first_tokens(members);
        let mut order: Vec<Row> = Vec::new();
        for (trunk, member) in members.iter().enumerate() {
            let long =
                (0..member.branches.len()).filter(|&branch| member.branches[branch].len() > 1);
            order.extend(long.map(|branch| Row { trunk, branch }));
        }
        let length = |row: &Row| members[row.trunk].branches[row.branch].len();
        order.sort_by_key(|row| std::cmp::Reverse(length(row)));
        let mut rest = &order[..];
        while let Some(longest) = rest.first() {
            let time = length(longest) - 1;
            let rows = (BRANCH_TOKENS / time).clamp(1, rest.len());
            let (chunk, after) = rest.split_at(rows);
            let branches: Vec<&[u32]> = chunk
                .iter()
                .map(|row| &members[row.trunk].branches[row.branch][..])
                .collect();
            let mut values = self.go_on(chunk, &branches, time).into_iter();
            for (row, branch) in chunk.iter().zip(&branches) {
                let own = &mut scored[row.trunk][row.branch];
                for (logprob, greedy) in values.by_ref().take(branch.len() - 1) {
                    own.logprobs.push(logprob);
                    own.greedy.push(greedy);
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

    /// `ln p` of each branch's tokens from the second on, one branch after the other; padded on the right to `time`.
    fn go_on(&self, rows: &[Row], branches: &[&[u32]], time: usize) -> Vec<(f32, bool)> {
        let (n, seen) = (rows.len(), self.cache.seen());
        let mut ids = vec![0i32; n * time];
        let (mut index, mut targets) = (Vec::new(), Vec::new());
        for (r, branch) in branches.iter().enumerate() {
            for (t, pair) in branch.windows(2).enumerate() {
                ids[r * time + t] = pair[0] as i32;
                index.push((r * time + t) as i32);
                targets.push(pair[1] as i32);
            }
        }
        let pads: Vec<usize> = rows.iter().map(|row| self.pads[row.trunk]).collect();
        let positions = pads
            .iter()
            .flat_map(|&pad| (0..time).map(move |t| (seen - pad + t) as i32))
            .collect();
        let device = self.decoder.device();
        let tokens = Tokens::with_sight(&ids, positions, [n, time], seen + time, device, |r, _| {
            pads[r]
        });
        let trunks: Vec<usize> = rows.iter().map(|row| row.trunk).collect();
        let mut cache = self.cache.for_rows(&trunks, time);
        let states = self.decoder.hidden(&tokens, Some(&mut cache), None);
        score_states(self.decoder, states, index, targets)
    }
}
