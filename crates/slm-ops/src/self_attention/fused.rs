//! The passes of the layers, of the rotation and of attention, one after the other, in one node of the graph.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType, Flex, backend_extension};
use burn::tensor::Shape;

use super::HeadsShape;
use crate::attention::fused::{Kept as Attended, Passes as AttentionPasses};
use crate::fused::register;
use crate::lora_linear::fused::{AdapterForm, Frozen, Kept, Layer, LowRank, Passes};
use crate::rms_norm::Before;
use crate::rms_norm::fused::Passes as NormPasses;
use crate::rotary::fused::Passes as RotaryPasses;
use crate::{Scores, Sight};

/// What is fixed.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// Of q, k, v and o.
    pub(super) adapters: [AdapterForm; 4],
    pub(super) sight: Sight,
    pub(super) scores: Scores,
    pub(super) shape: HeadsShape,
}

/// What the adapters sit on.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) struct Layers<B: Backend> {
    #[extension_type]
    pub(super) norm: Before<B>,
    #[extension_type]
    pub(super) q: Layer<B>,
    #[extension_type]
    pub(super) k: Layer<B>,
    #[extension_type]
    pub(super) v: Layer<B>,
    #[extension_type]
    pub(super) o: Layer<B>,
}

/// A backend with the whole half.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait SelfAttention: Backend {
    /// As [`crate::self_attention()`].
    fn self_attention(
        x: FloatTensor<Self>,
        #[extension_type] layers: Layers<Self>,
        q_a: FloatTensor<Self>,
        q_b: FloatTensor<Self>,
        k_a: FloatTensor<Self>,
        k_b: FloatTensor<Self>,
        v_a: FloatTensor<Self>,
        v_b: FloatTensor<Self>,
        o_a: FloatTensor<Self>,
        o_b: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

/// What the passes are made of.
pub(crate) trait Parts: AttentionPasses + NormPasses + RotaryPasses + Passes {}
impl<B: AttentionPasses + NormPasses + RotaryPasses + Passes> Parts for B {}

macro_rules! without_a_graph {
    ($backend:ty) => {
        impl SelfAttention for $backend {
            fn self_attention(
                x: FloatTensor<Self>,
                layers: Layers<Self>,
                q_a: FloatTensor<Self>,
                q_b: FloatTensor<Self>,
                k_a: FloatTensor<Self>,
                k_b: FloatTensor<Self>,
                v_a: FloatTensor<Self>,
                v_b: FloatTensor<Self>,
                o_a: FloatTensor<Self>,
                o_b: FloatTensor<Self>,
                cos: FloatTensor<Self>,
                sin: FloatTensor<Self>,
                form: Form,
            ) -> FloatTensor<Self> {
                let pairs = [(q_a, q_b), (k_a, k_b), (v_a, v_b), (o_a, o_b)];
                forward::<Self>(x, layers, pairs, [cos, sin], form).0
            }
        }
    };
}

without_a_graph!(Flex);
#[cfg(feature = "libtorch")]
without_a_graph!(burn::backend::LibTorch);

impl<B: Parts, C: CheckpointStrategy> SelfAttention for Autodiff<B, C> {
    fn self_attention(
        x: FloatTensor<Self>,
        layers: Layers<Self>,
        q_a: FloatTensor<Self>,
        q_b: FloatTensor<Self>,
        k_a: FloatTensor<Self>,
        k_b: FloatTensor<Self>,
        v_a: FloatTensor<Self>,
        v_b: FloatTensor<Self>,
        o_a: FloatTensor<Self>,
        o_b: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let layers = Layers {
            norm: layers.norm.inner(),
            q: layers.q.inner(),
            k: layers.k.inner(),
            v: layers.v.inner(),
            o: layers.o.inner(),
        };
        let (x, x_node) = x.into_parts();
        let pairs = [(q_a, q_b), (k_a, k_b), (v_a, v_b), (o_a, o_b)];
        let pairs = pairs.map(|(a, b)| (a.into_parts(), b.into_parts()));
        let [q, k, v, o] = pairs.map(|((a, of_a), (b, of_b))| ((a, b), [of_a, of_b]));
        let pairs = [q.0, k.0, v.0, o.0];
        let [[qa, qb], [ka, kb], [va, vb], [oa, ob]] = [q.1, k.1, v.1, o.1];
        let tables = [cos, sin].map(|table| table.into_primitive());
        let (y, kept) = forward::<B>(x, layers, pairs, tables, form);
        let nodes = [x_node, qa, qb, ka, kb, va, vb, oa, ob];
        match Half.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(kept, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
struct Mixed<B: Backend> {
    x: FloatTensor<B>,
    norm: Before<B>,
    attended: Attended<B>,
    tables: [FloatTensor<B>; 2],
    shape: HeadsShape,
    /// Of q, k, v and o, as are the rest.
    weights: [Frozen<B>; 4],
    low_ranks: [LowRank<B>; 4],
    lows: [FloatTensor<B>; 4],
}

fn forward<B: Parts>(
    x: FloatTensor<B>,
    layers: Layers<B>,
    pairs: [(FloatTensor<B>, FloatTensor<B>); 4],
    tables: [FloatTensor<B>; 2],
    form: Form,
) -> (FloatTensor<B>, Mixed<B>) {
    let Form {
        adapters,
        sight,
        scores,
        shape,
    } = form;
    let [q, k, v, o] = pairs;
    let [of_q, of_k, of_v, of_o] = adapters;
    let low_ranks =
        [(q, of_q), (k, of_k), (v, of_v), (o, of_o)].map(|((a, b), form)| LowRank { a, b, form });
    let reading = [layers.q, layers.k, layers.v];
    let found = <B as Passes>::forward_all(&layers.norm.read(&x).0, &reading, &low_ranks[..3]);
    let Ok([(q, q_low), (k, k_low), (v, v_low)]) = <[_; 3]>::try_from(found) else {
        unreachable!("each layer has a result");
    };
    let [cos, sin] = &tables;
    let rotated = |y| B::rotate(&shape.by_head::<B>(y), cos, sin, 1.0);
    let (q, k, v) = (rotated(q), rotated(k), shape.by_head::<B>(v));
    let (y, log_sums) = <B as AttentionPasses>::forward(&q, &k, &v, &sight, scores);
    let rows = shape.by_row::<B>(y.clone());
    let (out, o_low) = <B as Passes>::forward(&rows, &layers.o, &low_ranks[3]);
    let [of_q, of_k, of_v] = reading.map(|layer| layer.weight);
    let kept = Mixed {
        x,
        norm: layers.norm,
        attended: Attended {
            q,
            k,
            v,
            y,
            log_sums,
            sight,
            scores,
        },
        tables,
        shape,
        weights: [of_q, of_k, of_v, layers.o.weight],
        low_ranks,
        lows: [q_low, k_low, v_low, o_low],
    };
    (out, kept)
}

impl HeadsShape {
    /// `[batch · time, n · head_dim]` as `[batch, n, time, head_dim]`, without a copy.
    fn by_head<B: Backend>(&self, rows: FloatTensor<B>) -> FloatTensor<B> {
        let columns = burn::backend::TensorMetadata::shape(&rows)[1];
        let shape = [
            self.batch,
            self.time,
            columns / self.head_dim,
            self.head_dim,
        ];
        B::float_swap_dims(B::float_reshape(rows, Shape::new(shape)), 1, 2)
    }

    /// The other way round.
    fn by_row<B: Backend>(&self, heads: FloatTensor<B>) -> FloatTensor<B> {
        let n = burn::backend::TensorMetadata::shape(&heads)[1];
        let shape = [self.batch * self.time, n * self.head_dim];
        B::float_reshape(B::float_swap_dims(heads, 1, 2), Shape::new(shape))
    }
}

#[derive(Debug)]
struct Half;

impl<B: Parts> Backward<B, 9> for Half {
    type State = Mixed<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 9>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let [to_x, to_pairs @ ..] = ops.parents.map(|input| input.map(|input| input.id));
        let Mixed {
            x,
            norm,
            attended,
            tables: [cos, sin],
            shape,
            weights: [of_q, of_k, of_v, of_o],
            low_ranks: [q_pair, k_pair, v_pair, o_pair],
            lows: [q_low, k_low, v_low, o_low],
        } = ops.state;
        let kept = |x: FloatTensor<B>, weight, low_rank, low| Kept {
            x,
            weight,
            low_rank,
            low,
        };
        let o = kept(shape.by_row::<B>(attended.y.clone()), of_o, o_pair, o_low);
        let (pull, of_o) = <B as Passes>::backward(o, dy, true);
        let Some(pull) = pull else { return };
        let [dq, dk, dv] = <B as AttentionPasses>::backward(attended, shape.by_head::<B>(pull));
        let back = |dy| shape.by_row::<B>(B::rotate(&dy, &cos, &sin, -1.0));
        let dys = vec![back(dq), back(dk), shape.by_row::<B>(dv)];
        let (read, roots) = norm.read(&x);
        let reading = vec![
            kept(read.clone(), of_q, q_pair, q_low),
            kept(read.clone(), of_k, k_pair, k_low),
            kept(read, of_v, v_pair, v_low),
        ];
        let (pull, mut gradients) = <B as Passes>::backward_all(reading, dys, to_x.is_some());
        let dx = pull.map(|pull| norm.pull(x, roots, pull));
        gradients.push(of_o);
        let gradients = gradients.into_iter().flatten().map(Some);
        register::<B>(grads, [(to_x, dx)]);
        register::<B>(grads, to_pairs.into_iter().zip(gradients));
    }
}
