//! A step of generation on the processor: the next token of one row, on slices.
//!
//! What [`Decoder::hidden`] and [`Decoder::logits`] compute for a token, as one thread sees it, with the products shared by a team; see
//! [`slm_ops::step`]. Weights stay where they are.

use std::ops::Range;

use slm_gguf::product::Vectors;
use slm_ops::step::{HeadCache, HostMatrix, Team, attend, gate, normalise, rotate};

use crate::attention::scores;
use crate::host::{HostDecoder, HostLayer, HostLinear};
use crate::{DecoderConfig, KvCache};

/// Bytes of a matrix for one task: long enough for memory to run ahead, short enough that nobody waits for the last.
const TASK_BYTES: usize = 1 << 18;

/// One row, its keys and values, and memory to work in.
pub(crate) struct Step<'a> {
    config: &'a DecoderConfig,
    host: &'a HostDecoder,
    /// Layer by layer, head by head.
    caches: Vec<Vec<HeadCache>>,
    /// The stream, `[hidden]`.
    x: Vec<f32>,
    normed: Vec<f32>,
    vector: Vectors,
    /// Queries, keys and values.
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    /// What a half of a layer gives.
    part: Vec<f32>,
    /// Gate, up, and what becomes of them.
    inner: [Vec<f32>; 3],
}

impl<'a> Step<'a> {
    /// A row that goes on after what is in `cache`.
    pub(crate) fn after(config: &'a DecoderConfig, host: &'a HostDecoder, cache: &KvCache) -> Self {
        let zeros = |n: usize| vec![0.0; n];
        let (heads, dim) = (config.num_attention_heads, config.head_dim);
        let inner = config.intermediate_size;
        Self {
            config,
            host,
            caches: cache.heads(),
            x: zeros(config.hidden_size),
            normed: zeros(config.hidden_size),
            vector: Vectors::default(),
            qkv: zeros((heads + 2 * config.num_key_value_heads) * dim),
            mixed: zeros(heads * dim),
            part: zeros(config.hidden_size),
            inner: [zeros(inner), zeros(inner), zeros(inner)],
        }
    }

    fn seen(&self) -> usize {
        let layer = self.caches.first().and_then(|heads| heads.first());
        layer.map_or(0, HeadCache::seen)
    }

    /// Reads a token: logits of the next one.
    pub(crate) fn read(&mut self, id: u32, team: &mut Team) -> Vec<f32> {
        let host = self.host;
        let tables = self.tables();
        host.embed.read_row(id as usize, &mut self.x);
        let scale = self.config.embedding_scale as f32;
        if scale != 1.0 {
            self.x.iter_mut().for_each(|x| *x *= scale);
        }
        for (i, layer) in host.layers.iter().enumerate() {
            let before = self.config.parallel_residual.then(|| self.x.clone());
            self.attend(i, layer, &tables, team);
            self.feed_forward(layer, before, team);
        }
        let eps = self.config.norm_eps;
        normalise(&self.x, &host.norm, eps, &mut self.normed);
        let head = host.head.as_ref().unwrap_or(&host.embed);
        let mut logits = vec![0.0; self.config.vocab_size];
        set(&mut self.vector, &self.normed, [head]);
        product(head, &self.vector, &mut logits, team);
        self.config.head.finish_row(&mut logits);
        logits
    }

    /// Cosines and sines of this position for each rotary encoding.
    fn tables(&self) -> Vec<[Vec<f32>; 2]> {
        let position = self.seen();
        let ropes = self.config.ropes.iter();
        ropes
            .map(|rope| {
                let inv_freq = rope.inv_freq(position + 1);
                slm_ops::RotaryTable::of_position(position, &inv_freq, rope.attention_factor())
            })
            .collect()
    }

    /// The attention half of layer `i`, added to the stream.
    fn attend(&mut self, i: usize, layer: &HostLayer, tables: &[[Vec<f32>; 2]], team: &mut Team) {
        let config = self.config;
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let (eps, dim) = (config.norm_eps, config.head_dim);
        self.norm(layer.attention_in.as_deref(), None);
        set(
            &mut self.vector,
            &self.normed,
            layer.qkv.iter().map(|part| &part.matrix),
        );
        products(&layer.qkv, &self.vector, &mut self.qkv, team);

        let (q, kv) = self.qkv.split_at_mut(heads * dim);
        let (k, v) = kv.split_at_mut(kv_heads * dim);
        for (heads, norm) in [(&mut *q, &layer.q_norm), (&mut *k, &layer.k_norm)] {
            if let Some(factors) = norm {
                let before = heads.to_vec();
                normalise(&before, factors, eps, heads);
            }
            if let Some([cos, sin]) = layer.kind.rope.map(|which| &tables[which]) {
                rotate(heads, dim, cos, sin);
            }
        }
        let caches = &mut self.caches[i];
        let new = k.chunks_exact(dim).zip(v.chunks_exact(dim));
        for (cache, (k, v)) in caches.iter_mut().zip(new) {
            cache.push(k, v);
        }
        let seen = caches.first().map_or(0, HeadCache::seen);
        let window = config.sliding_window.filter(|_| layer.kind.windowed);
        let sees = window.map_or(0, |window| seen.saturating_sub(window))..seen;
        team.split([&mut self.mixed], dim, |first, [y]| {
            let cache = &caches[first / dim / (heads / kv_heads)];
            let q = &q[first..first + dim];
            attend(q, cache, sees.clone(), scores(config), &mut Vec::new(), y);
        });
        set(&mut self.vector, &self.mixed, [&layer.o.matrix]);
        products(
            std::slice::from_ref(&layer.o),
            &self.vector,
            &mut self.part,
            team,
        );
        self.add(layer.attention_out.as_deref());
    }

    /// The feed-forward half, which reads `source` where that is not the stream.
    fn feed_forward(&mut self, layer: &HostLayer, source: Option<Vec<f32>>, team: &mut Team) {
        self.norm(layer.ff_in.as_deref(), source);
        let [of_gate, of_up, of_down] = &layer.ff;
        set(
            &mut self.vector,
            &self.normed,
            [&of_gate.matrix, &of_up.matrix],
        );
        let (vector, activation) = (&self.vector, self.config.activation);
        let n = self.config.intermediate_size;
        let bytes = of_gate.matrix.row_bytes() + of_up.matrix.row_bytes();
        let outs = self.inner.each_mut().map(|out| &mut out[..]);
        team.split(
            outs,
            rows_per_task(n, bytes, team.threads()),
            |first, [gates, ups, y]| {
                of_gate.multiply(first, vector, gates);
                of_up.multiply(first, vector, ups);
                gate(gates, ups, activation, y);
            },
        );
        set(&mut self.vector, &self.inner[2], [&of_down.matrix]);
        products(
            std::slice::from_ref(of_down),
            &self.vector,
            &mut self.part,
            team,
        );
        self.add(layer.ff_out.as_deref());
    }

    /// What a half reads: the stream, or `source`, after a norm.
    fn norm(&mut self, factors: Option<&[f32]>, source: Option<Vec<f32>>) {
        let x = source.as_ref().unwrap_or(&self.x);
        match factors {
            Some(factors) => normalise(x, factors, self.config.norm_eps, &mut self.normed),
            None => self.normed.copy_from_slice(x),
        }
    }

    /// What a half gave joins the stream, after a norm.
    fn add(&mut self, factors: Option<&[f32]>) {
        let part = match factors {
            Some(factors) => {
                normalise(&self.part, factors, self.config.norm_eps, &mut self.normed);
                &self.normed
            }
            None => &self.part,
        };
        let scale = self.config.residual_scale as f32;
        for (x, part) in self.x.iter_mut().zip(part) {
            *x += scale * part;
        }
    }
}

/// What some matrices are multiplied with.
fn set<'m>(
    vector: &mut Vectors,
    values: &[f32],
    matrices: impl IntoIterator<Item = &'m HostMatrix>,
) {
    match matrices.into_iter().any(HostMatrix::takes_codes) {
        true => vector.set(values, values.len()),
        false => vector.set_values(values, values.len()),
    }
}

/// The products of layers that read the same, one after the other in `y`.
fn products(linears: &[HostLinear], vector: &Vectors, y: &mut [f32], team: &mut Team) {
    let (mut pieces, mut of) = (Vec::new(), Vec::new());
    let mut from = 0;
    for linear in linears {
        for rows in linear.tasks(team.threads()) {
            pieces.push(from + rows.start..from + rows.end);
            of.push((linear, rows.start));
        }
        from += linear.rows;
    }
    team.split_at([y], &pieces, |i, [y]| {
        let (linear, first) = of[i];
        linear.multiply(first, vector, y);
    });
}

fn product(matrix: &HostMatrix, vector: &Vectors, y: &mut [f32], team: &mut Team) {
    let per_task = rows_per_task(y.len(), matrix.row_bytes(), team.threads());
    team.split([y], per_task, |first, [y]| {
        matrix.multiply(first, vector, y)
    });
}

/// As many of `n` rows as are not too long, four tasks for each thread at least; in fours, as kernels take them.
pub(crate) fn rows_per_task(n: usize, row_bytes: usize, threads: usize) -> usize {
    let most = n.div_ceil(4 * threads);
    let rows = (TASK_BYTES / row_bytes.max(1)).clamp(1, most.max(1));
    // No more tasks than a team counts.
    rows.max(n >> 15).next_multiple_of(4)
}

impl HostLinear {
    fn tasks(&self, threads: usize) -> impl Iterator<Item = Range<usize>> {
        let per_task = rows_per_task(self.rows, self.matrix.row_bytes(), threads);
        let n = self.rows;
        (0..n)
            .step_by(per_task)
            .map(move |first| first..n.min(first + per_task))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Decoder, Tokens, device};
    use burn::tensor::Device;
    use slm_ops::Sight;
    use slm_recipe::Dtype;
    use slm_testkit::{assert_close, golden_models, golden_name};

    const PROMPT: usize = 9;

    /// Logits after each token, read one by one by tensors.
    fn by_tensors(decoder: &Decoder, ids: &[i32]) -> (KvCache, Vec<f32>) {
        let (mut cache, mut all) = (KvCache::new(), Vec::new());
        let mut prompt = KvCache::new();
        for (from, time) in std::iter::once((0, PROMPT)).chain((PROMPT..ids.len()).map(|i| (i, 1)))
        {
            let positions = (from..from + time).map(|i| i as i32).collect();
            let read = &ids[from..from + time];
            let sight = Sight::new([1, time, from + time], |_, _| 0);
            let tokens = Tokens::seeing(read, positions, sight, decoder.device());
            let states = decoder.hidden(&tokens, Some(&mut cache), None);
            if from == 0 {
                prompt = cache.clone();
                continue;
            }
            let logits = decoder.logits(states.reshape([1, decoder.config().hidden_size]));
            all.extend(logits.into_data().try_into_vec::<f32>().unwrap());
        }
        (prompt, all)
    }

    /// All families that have steps: sliding windows, soft caps, multipliers, norms on queries and keys, joined projections.
    #[test]
    fn a_step_gives_what_tensors_give() {
        for device in [
            "cpu",
            #[cfg(feature = "libtorch")]
            "libtorch:cpu",
        ] {
            let device = device::open(device).unwrap();
            let stepped = golden_models(15).into_iter();
            let stepped: Vec<String> = stepped
                .filter(|folder| step_is_right(folder, &device))
                .map(|folder| golden_name(&folder))
                .collect();
            for name in [
                "llama",
                "llama_bias",
                "gemma2",
                "gemma3",
                "phi3_longrope",
                "olmo2",
                "granite",
                "qwen3",
            ] {
                assert!(
                    stepped.iter().any(|stepped| stepped == name),
                    "{name} has no step on {device:?}"
                );
            }
        }
    }

    /// False where the model has no steps.
    fn step_is_right(folder: &Path, device: &Device) -> bool {
        let decoder = Decoder::load(&folder.join("model"), device, Dtype::F32).unwrap();
        let Some(host) = HostDecoder::of(&decoder) else {
            return false;
        };
        let vocab = decoder.config().vocab_size as i32;
        let ids: Vec<i32> = (0..PROMPT as i32 + 7)
            .map(|i| (i * 31 + 5) % vocab)
            .collect();
        let (cache, want) = by_tensors(&decoder, &ids);
        for threads in [1, 2] {
            let mut step = Step::after(decoder.config(), &host, &cache);
            let got: Vec<f32> = Team::with(threads, |team| {
                let read = ids[PROMPT..].iter();
                read.flat_map(|&id| step.read(id as u32, team)).collect()
            });
            assert_close(&golden_name(folder), &got, &want, 1e-5);
        }
        true
    }

    #[test]
    fn tasks_cover_all_rows() {
        assert_eq!(rows_per_task(3, 100, 2), 4);
        assert_eq!(rows_per_task(576, 612, 2), 72);
        assert_eq!(rows_per_task(49_152, 2304, 2), 116); // 256 KiB
        assert!(1_000_000usize.div_ceil(rows_per_task(1_000_000, 1 << 20, 2)) < 1 << 16);
    }
}
