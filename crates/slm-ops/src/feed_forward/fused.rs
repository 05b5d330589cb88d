//! The passes of the layers and of the gate, one after the other, in one node of the graph.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, ExtensionType, Flex, backend_extension};

use crate::Activation;
use crate::fused::register;
use crate::gated::fused::Passes as GatePasses;
use crate::lora_linear::fused::{AdapterForm, Frozen, Kept, Layer, LowRank, Passes};
use crate::rms_norm::Before;
use crate::rms_norm::fused::Passes as NormPasses;

/// What the passes are made of.
pub(crate) trait Parts: GatePasses + NormPasses + Passes {
    /// The gradients of gate and up, and of the A and B of the layer that reads their product.
    fn down_backward(
        down: Down<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        dy: FloatTensor<Self>,
    ) -> [[FloatTensor<Self>; 2]; 2] {
        down_backward(down, gate, up, dy)
    }
}

impl Parts for Flex {}

/// The layer that reads the product: what its forward pass leaves, but for that.
pub(crate) struct Down<B: Backend> {
    pub(crate) activation: Activation,
    pub(crate) weight: Frozen<B>,
    pub(crate) low_rank: LowRank<B>,
    pub(crate) low: FloatTensor<B>,
}

/// Takes the product again, and the passes one after the other.
pub(crate) fn down_backward<B: GatePasses + Passes>(
    down: Down<B>,
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> [[FloatTensor<B>; 2]; 2] {
    let kept = Kept {
        x: <B as GatePasses>::forward(&gate, &up, down.activation),
        weight: down.weight,
        low_rank: down.low_rank,
        low: down.low,
    };
    let (pull, gradients) = <B as Passes>::backward(kept, dy, true);
    let pull = pull.expect("the gradient of the product was asked for");
    [
        <B as GatePasses>::backward(gate, up, down.activation, pull),
        gradients,
    ]
}

/// What is fixed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(super) activation: Activation,
    /// Of gate, up and down.
    pub(super) adapters: [AdapterForm; 3],
}

/// What the adapters sit on.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) struct Layers<B: Backend> {
    #[extension_type]
    pub(super) norm: Before<B>,
    #[extension_type]
    pub(super) gate: Layer<B>,
    #[extension_type]
    pub(super) up: Layer<B>,
    #[extension_type]
    pub(super) down: Layer<B>,
}

/// A backend with the whole half.
#[backend_extension(Autodiff, Flex, LibTorch: cfg(feature = "libtorch"))]
pub(crate) trait FeedForward: Backend {
    /// As [`crate::feed_forward()`], with frozen layers, without magnitudes.
    fn feed_forward(
        x: FloatTensor<Self>,
        #[extension_type] layers: Layers<Self>,
        gate_a: FloatTensor<Self>,
        gate_b: FloatTensor<Self>,
        up_a: FloatTensor<Self>,
        up_b: FloatTensor<Self>,
        down_a: FloatTensor<Self>,
        down_b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
}

macro_rules! without_a_graph {
    ($backend:ty) => {
        impl FeedForward for $backend {
            fn feed_forward(
                x: FloatTensor<Self>,
                layers: Layers<Self>,
                gate_a: FloatTensor<Self>,
                gate_b: FloatTensor<Self>,
                up_a: FloatTensor<Self>,
                up_b: FloatTensor<Self>,
                down_a: FloatTensor<Self>,
                down_b: FloatTensor<Self>,
                form: Form,
            ) -> FloatTensor<Self> {
                let pairs = [(gate_a, gate_b), (up_a, up_b), (down_a, down_b)];
                forward::<Self>(x, layers, low_ranks(pairs, form), form.activation).0
            }
        }
    };
}

without_a_graph!(Flex);
#[cfg(feature = "libtorch")]
without_a_graph!(burn::backend::LibTorch);

impl<B: Parts, C: CheckpointStrategy> FeedForward for Autodiff<B, C> {
    fn feed_forward(
        x: FloatTensor<Self>,
        layers: Layers<Self>,
        gate_a: FloatTensor<Self>,
        gate_b: FloatTensor<Self>,
        up_a: FloatTensor<Self>,
        up_b: FloatTensor<Self>,
        down_a: FloatTensor<Self>,
        down_b: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        let layers = Layers {
            norm: layers.norm.inner(),
            gate: layers.gate.inner(),
            up: layers.up.inner(),
            down: layers.down.inner(),
        };
        let (x, x_node) = x.into_parts();
        let (gate_a, gate_a_node) = gate_a.into_parts();
        let (gate_b, gate_b_node) = gate_b.into_parts();
        let (up_a, up_a_node) = up_a.into_parts();
        let (up_b, up_b_node) = up_b.into_parts();
        let (down_a, down_a_node) = down_a.into_parts();
        let (down_b, down_b_node) = down_b.into_parts();
        let pairs = [(gate_a, gate_b), (up_a, up_b), (down_a, down_b)];
        let (y, kept) = forward::<B>(x, layers, low_ranks(pairs, form), form.activation);
        let nodes = [
            x_node,
            gate_a_node,
            gate_b_node,
            up_a_node,
            up_b_node,
            down_a_node,
            down_b_node,
        ];
        match Half.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(kept, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}

fn low_ranks<B: Backend>(
    pairs: [(FloatTensor<B>, FloatTensor<B>); 3],
    form: Form,
) -> [LowRank<B>; 3] {
    let [gate, up, down] = pairs;
    let [of_gate, of_up, of_down] = form.adapters;
    [(gate, of_gate), (up, of_up), (down, of_down)].map(|((a, b), form)| LowRank { a, b, form })
}

/// What the forward pass leaves.
#[derive(Clone, Debug)]
struct Gates<B: Backend> {
    x: FloatTensor<B>,
    norm: Before<B>,
    gate: FloatTensor<B>,
    up: FloatTensor<B>,
    activation: Activation,
    /// Of gate, up and down, as are the rest.
    weights: [Frozen<B>; 3],
    low_ranks: [LowRank<B>; 3],
    lows: [FloatTensor<B>; 3],
}

fn forward<B: Parts>(
    x: FloatTensor<B>,
    layers: Layers<B>,
    low_ranks: [LowRank<B>; 3],
    activation: Activation,
) -> (FloatTensor<B>, Gates<B>) {
    let Layers {
        norm,
        gate,
        up,
        down,
    } = layers;
    let reading = [gate, up];
    let found = <B as Passes>::forward_all(&norm.read(&x).0, &reading, &low_ranks[..2]);
    let Ok([(of_gate, gate_low), (of_up, up_low)]) = <[_; 2]>::try_from(found) else {
        unreachable!("each layer has a result");
    };
    let product = <B as GatePasses>::forward(&of_gate, &of_up, activation);
    let (y, down_low) = <B as Passes>::forward(&product, &down, &low_ranks[2]);
    let [gate, up] = reading;
    let kept = Gates {
        x,
        norm,
        gate: of_gate,
        up: of_up,
        activation,
        weights: [gate.weight, up.weight, down.weight],
        low_ranks,
        lows: [gate_low, up_low, down_low],
    };
    (y, kept)
}

#[derive(Debug)]
struct Half;

impl<B: Parts> Backward<B, 7> for Half {
    type State = Gates<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 7>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let dy = grads.consume::<B>(&ops.node);
        let [to_x, to_pairs @ ..] = ops.parents.map(|input| input.map(|input| input.id));
        let Gates {
            x,
            norm,
            gate,
            up,
            activation,
            weights: [of_gate, of_up, of_down],
            low_ranks: [gate_pair, up_pair, down_pair],
            lows: [gate_low, up_low, down_low],
        } = ops.state;
        let kept = |x: &FloatTensor<B>, weight, low_rank, low| Kept {
            x: x.clone(),
            weight,
            low_rank,
            low,
        };
        let down = Down {
            activation,
            weight: of_down,
            low_rank: down_pair,
            low: down_low,
        };
        let [dys, of_down] = B::down_backward(down, gate, up, dy);
        let (read, roots) = norm.read(&x);
        let reading = vec![
            kept(&read, of_gate, gate_pair, gate_low),
            kept(&read, of_up, up_pair, up_low),
        ];
        drop(read);
        let (pull, mut gradients) =
            <B as Passes>::backward_all(reading, dys.into(), to_x.is_some());
        let dx = pull.map(|pull| norm.pull(x, roots, pull));
        gradients.push(of_down);
        let gradients = gradients.into_iter().flatten().map(Some);
        register::<B>(grads, [(to_x, dx)]);
        register::<B>(grads, to_pairs.into_iter().zip(gradients));
    }
}
