// One pass over memory each; an instance is compiled when it is first asked for (kernels.rs). Values are stored as T and computed
// in f32; a thread reads V of them at once, which is 16 bytes where rows allow it, else one.

typedef unsigned short u16;
typedef unsigned int u32;

#define INFINITY __int_as_float(0x7f800000)

struct bf16 { u16 bits; };
struct f16 { u16 bits; };

__device__ inline float from(float x) { return x; }
__device__ inline float from(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }
__device__ inline float from(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

template <class T> __device__ inline T to(float x);
template <> __device__ inline float to<float>(float x) { return x; }
template <> __device__ inline f16 to<f16>(float x) {
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}
template <> __device__ inline bf16 to<bf16>(float x) {
    bf16 y;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    const u32 bits = __float_as_uint(x);
    y.bits = x != x ? 0x7fff : u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#endif
    return y;
}

template <class T, int V> struct alignas(sizeof(T) * V) Pack { T at[V]; };

template <int V, class T> __device__ inline Pack<T, V> read(const T *x) { return *reinterpret_cast<const Pack<T, V> *>(x); }
template <int V, class T> __device__ inline void write(T *x, const Pack<T, V> &pack) { *reinterpret_cast<Pack<T, V> *>(x) = pack; }

// Combines one value of each thread of the block, which all threads get.
template <class Combine> __device__ float block_all(float x, float nothing, Combine combine) {
    __shared__ float of_warp[32];
    for (int i = 16; i > 0; i /= 2) x = combine(x, __shfl_xor_sync(~0u, x, i));
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    x = threadIdx.x % 32 < blockDim.x / 32 ? of_warp[threadIdx.x % 32] : nothing;
    for (int i = 16; i > 0; i /= 2) x = combine(x, __shfl_xor_sync(~0u, x, i));
    return x;
}

__device__ inline float block_sum(float x) {
    return block_all(x, 0.0f, [](float a, float b) { return a + b; });
}

// A block a row, `[rows, n]`. `kind`: 0 rounds before the weight, 1 does not, 2 adds one to the weight.
template <class T, class W, int V>
__global__ void rms_forward(T *y, float *roots, const T *x, const W *weight, int n, float eps, int kind) {
    x += (long long)blockIdx.x * n;
    y += (long long)blockIdx.x * n;
    float squares = 0.0f;
    for (int i = threadIdx.x * V; i < n; i += blockDim.x * V) {
        const auto pack = read<V>(x + i);
        for (int k = 0; k < V; k++) squares += from(pack.at[k]) * from(pack.at[k]);
    }
    const float root = 1.0f / sqrtf(block_sum(squares) / n + eps);
    if (threadIdx.x == 0) roots[blockIdx.x] = root;
    for (int i = threadIdx.x * V; i < n; i += blockDim.x * V) {
        const auto pack = read<V>(x + i);
        const auto factor = read<V>(weight + i);
        Pack<T, V> out;
        for (int k = 0; k < V; k++) {
            float value = from(pack.at[k]) * root;
            if (kind == 0) value = from(to<T>(value));
            out.at[k] = to<T>(value * (from(factor.at[k]) + (kind == 2 ? 1.0f : 0.0f)));
        }
        write(y + i, out);
    }
}

// dx = r (g - x r^2 mean(g x)) with g = dy factor
template <class T, class W, int V>
__global__ void rms_backward(T *dx, const T *dy, const T *x, const W *weight, const float *roots, int n, int kind) {
    const long long row = (long long)blockIdx.x * n;
    const float root = roots[blockIdx.x], offset = kind == 2 ? 1.0f : 0.0f;
    float pull = 0.0f;
    for (int i = threadIdx.x * V; i < n; i += blockDim.x * V) {
        const auto of_x = read<V>(x + row + i), of_dy = read<V>(dy + row + i);
        const auto factor = read<V>(weight + i);
        for (int k = 0; k < V; k++) pull += from(of_dy.at[k]) * (from(factor.at[k]) + offset) * from(of_x.at[k]);
    }
    pull = block_sum(pull) * root * root / n;
    for (int i = threadIdx.x * V; i < n; i += blockDim.x * V) {
        const auto of_x = read<V>(x + row + i), of_dy = read<V>(dy + row + i);
        const auto factor = read<V>(weight + i);
        Pack<T, V> out;
        for (int k = 0; k < V; k++) {
            const float g = from(of_dy.at[k]) * (from(factor.at[k]) + offset);
            out.at[k] = to<T>(root * (g - from(of_x.at[k]) * pull));
        }
        write(dx + row + i, out);
    }
}

// An activation and its slope. KIND: 0 SiLU, 1 GELU, 2 GELU through tanh.
template <int KIND> __device__ inline void activate(float x, float &value, float &slope) {
    if constexpr (KIND == 0) {
        const float s = 1.0f / (1.0f + __expf(-x));
        value = x * s;
        slope = s * (1.0f + x * (1.0f - s));
    } else if constexpr (KIND == 1) {
        const float phi = 0.5f * (1.0f + erff(x * 0.70710678f));
        value = x * phi;
        slope = phi + x * 0.39894228f * __expf(-0.5f * x * x);
    } else {
        const float inner = 0.79788456f * (x + 0.044715f * x * x * x), t = tanhf(inner);
        value = 0.5f * x * (1.0f + t);
        slope = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 0.134145f * x * x);
    }
}

// y = activation(gate) up. Rows of `gate` and `up` are so many values apart; those of `y` are `n`. A block some columns of a row.
template <class T, int KIND, int V>
__global__ void gate_forward(T *y, const T *gate, const T *up, int n, long long gate_row, long long up_row) {
    const int i = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (i >= n) return;
    const auto of_gate = read<V>(gate + blockIdx.x * gate_row + i), of_up = read<V>(up + blockIdx.x * up_row + i);
    Pack<T, V> out;
    for (int k = 0; k < V; k++) {
        float value, slope;
        activate<KIND>(from(of_gate.at[k]), value, slope);
        out.at[k] = to<T>(value * from(of_up.at[k]));
    }
    write(y + (long long)blockIdx.x * n + i, out);
}

// The product itself goes to `y`, if it is wanted. Each result may take the place of what it was made of.
template <class T, int KIND, int V>
__global__ void gate_backward(T *d_gate, T *d_up, T *y, const T *gate, const T *up, const T *dy, int n, long long gate_row,
                              long long up_row, long long dy_row) {
    const int i = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (i >= n) return;
    const auto of_gate = read<V>(gate + blockIdx.x * gate_row + i), of_up = read<V>(up + blockIdx.x * up_row + i);
    const auto of_dy = read<V>(dy + blockIdx.x * dy_row + i);
    Pack<T, V> to_gate, to_up, out;
    for (int k = 0; k < V; k++) {
        float value, slope;
        activate<KIND>(from(of_gate.at[k]), value, slope);
        const float d = from(of_dy.at[k]);
        to_gate.at[k] = to<T>(d * from(of_up.at[k]) * slope);
        to_up.at[k] = to<T>(d * value);
        out.at[k] = to<T>(value * from(of_up.at[k]));
    }
    if (y) write(y + (long long)blockIdx.x * n + i, out);
    write(d_gate + (long long)blockIdx.x * n + i, to_gate);
    write(d_up + (long long)blockIdx.x * n + i, to_up);
}

// Rotates halves of `[batch, heads, time, dim]`, whose values are so many apart by batch, head and time; `cos` and `sin` are
// `[1 or batch, time, half]`. A thread V pairs, or V of the channels that stay.
template <class T, int V>
__global__ void rotate(T *y, const T *x, const float *cos, const float *sin, float sign, long long threads, int heads, int time,
                       int dim, int half, long long table_batch, long long xb, long long xh, long long xt, long long yb,
                       long long yh, long long yt) {
    const long long thread = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    const int pairs = half / V, per_head = pairs + (dim - 2 * half) / V;
    const int part = thread % per_head;
    long long rest = thread / per_head; // position by position, as a projection leaves heads
    const int h = rest % heads;
    rest /= heads;
    const int t = rest % time;
    const long long b = rest / time;
    x += b * xb + h * xh + t * xt;
    y += b * yb + h * yh + t * yt;
    if (part >= pairs) {
        const int i = 2 * half + (part - pairs) * V;
        write(y + i, read<V>(x + i));
        return;
    }
    const int i = part * V;
    const long long at = b * table_batch + (long long)t * half + i;
    const auto x1 = read<V>(x + i), x2 = read<V>(x + half + i);
    Pack<T, V> y1, y2;
    for (int k = 0; k < V; k++) {
        const float c = cos[at + k], s = sin[at + k] * sign, a = from(x1.at[k]), b = from(x2.at[k]);
        y1.at[k] = to<T>(a * c - b * s);
        y2.at[k] = to<T>(b * c + a * s);
    }
    write(y + i, y1);
    write(y + half + i, y2);
}

// A block a row of logits, `[rows, vocab]`, which are multiplied by `scale`. Writes loss, entropy and whether no other token is
// likelier; and, if asked for, the gradient of the loss in place of the logits, not yet multiplied by `scale`.
template <class T, int V>
__global__ void cross_entropy(T *logits, float *scores, const long long *targets, int vocab, float scale, float smoothing,
                              int wants_gradient) {
    logits += (long long)blockIdx.x * vocab;
    const int target = targets[blockIdx.x];
    float most = -INFINITY, sum = 0.0f, moment = 0.0f, plain = 0.0f; // of e^(x - most) and x e^(x - most); of x
    for (int i = threadIdx.x * V; i < vocab; i += blockDim.x * V) {
        const auto pack = read<V>(logits + i);
        float top = most;
        for (int k = 0; k < V; k++) top = fmaxf(top, from(pack.at[k]) * scale);
        const float shrunk = __expf(most - top);
        sum *= shrunk;
        moment *= shrunk;
        most = top;
        for (int k = 0; k < V; k++) {
            const float x = from(pack.at[k]) * scale, e = __expf(x - top);
            sum += e;
            moment += x * e;
            plain += x;
        }
    }
    const float top = block_all(most, -INFINITY, [](float a, float b) { return fmaxf(a, b); });
    const float shrunk = __expf(most - top); // 0 where a thread has seen nothing
    sum = block_sum(sum * shrunk);
    moment = block_sum(moment * shrunk);
    const float of_target = from(logits[target]) * scale, log_sum = top + logf(sum);
    if (smoothing > 0.0f) plain = block_sum(plain);
    if (threadIdx.x == 0) {
        float *score = scores + 3 * (long long)blockIdx.x;
        score[0] = (1.0f - smoothing) * (log_sum - of_target) + smoothing * (log_sum - plain / vocab);
        score[1] = log_sum - moment / sum;
        score[2] = of_target >= top ? 1.0f : 0.0f;
    }
    if (!wants_gradient) return;
    __syncthreads(); // the target's logit has been read by all
    for (int i = threadIdx.x * V; i < vocab; i += blockDim.x * V) {
        auto pack = read<V>(logits + i);
        for (int k = 0; k < V; k++) {
            float p = __expf(from(pack.at[k]) * scale - log_sum) - smoothing / vocab;
            if (i + k == target) p -= 1.0f - smoothing;
            pack.at[k] = to<T>(p);
        }
        write(logits + i, pack);
    }
}

// What is done to one weight in a step of AdamW.
struct Weight {
    float *value;
    const float *gradient;
    float *first, *second;
    long long n;
    float rate, kept;
};

// A step of AdamW in place on many weights; blockIdx.y is the weight. Gradients are multiplied by `*clip` first; where that is no
// finite number, nothing changes.
template <class T>
__global__ void adamw(const Weight *weights, float beta1, float rest1, float beta2, float rest2, float epsilon, float root,
                      const float *clip) {
    const float factor = *clip;
    if (!(fabsf(factor) <= 3.402823466e38f)) return;
    const Weight w = weights[blockIdx.y];
    const long long threads = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < w.n; i += threads) {
        const T g = w.gradient[i] * factor, m = w.first[i] * beta1 + g * rest1, v = w.second[i] * beta2 + g * g * rest2;
        w.first[i] = m;
        w.second[i] = v;
        w.value[i] = w.value[i] * w.kept - m / (sqrtf(v) / root + epsilon) * w.rate;
    }
}

// Rows of 8 bits, a scale each, as values; a block some columns of a row. `step` is the value of a code and a scale of one.
template <class T, int V>
__global__ void of_int8(T *y, const signed char *codes, const float *absmax, int n, float step) {
    const int i = (blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (i >= n) return;
    const long long at = (long long)blockIdx.x * n + i;
    const auto pack = read<V>(codes + at);
    Pack<T, V> out;
    for (int k = 0; k < V; k++) out.at[k] = to<T>(float(pack.at[k]) * absmax[blockIdx.x] * step);
    write(y + at, out);
}

// Two codes a byte, the first in the high half, in blocks of 64 with a scale each; `pairs` are the two values of every byte.
template <class T, int V, class Scale>
__device__ inline void of_nf4(T *y, const unsigned char *packed, const float *pairs, long long n, Scale scale) {
    const long long i = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * V;
    if (i >= n) return;
    const float factor = scale(i / 64);
    Pack<T, V> out;
    for (int k = 0; k < V; k++) out.at[k] = to<T>(pairs[2 * packed[(i + k) / 2] + (i + k) % 2] * factor);
    write(y + i, out);
}

template <class T, int V>
__global__ void of_nf4_plain(T *y, const unsigned char *packed, const float *pairs, const float *absmax, long long n) {
    of_nf4<T, V>(y, packed, pairs, n, [=](long long block) { return absmax[block]; });
}

// Scales are codes, too: of what they differ from `offset` by, in groups of 256 with a scale each.
template <class T, int V>
__global__ void of_nf4_double(T *y, const unsigned char *packed, const float *pairs, const unsigned char *absmax,
                              const float *map, const float *nested, float offset, long long n) {
    of_nf4<T, V>(y, packed, pairs, n, [=](long long block) { return map[absmax[block]] * nested[block / 256] + offset; });
}

// Tensors that are rounded together, each times its factor.
struct Scaled {
    const float *x;
    long long n;
    float factor;
};
struct AllScaled { Scaled at[8]; };

// One behind the other in `y`; blockIdx.y is the tensor.
template <class T> __global__ void scaled(T *y, const AllScaled all) {
    const Scaled it = all.at[blockIdx.y];
    for (int before = 0; before < blockIdx.y; before++) y += all.at[before].n;
    const long long threads = gridDim.x * (long long)blockDim.x;
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < it.n; i += threads) y[i] = to<T>(it.x[i] * it.factor);
}
