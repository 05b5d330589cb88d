// Operations of ATen that tch does not bind, with the same bindings' convention: a tensor is a pointer to `at::Tensor`, a new one
// belongs to the caller, and an error is a message that the caller frees.

#include <dlfcn.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Version.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/Tensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention.h>
#include <ATen/ops/_scaled_dot_product_cudnn_attention_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>

namespace {

using Handle = at::Tensor *;

Handle owned(at::Tensor tensor) { return new at::Tensor(std::move(tensor)); }

std::vector<at::Tensor> list(const Handle *tensors, int64_t n) {
    std::vector<at::Tensor> all;
    all.reserve(n);
    for (int64_t i = 0; i < n; i++) all.push_back(*tensors[i]);
    return all;
}

std::optional<at::Tensor> present(Handle tensor) {
    return tensor ? std::optional<at::Tensor>(*tensor) : std::nullopt;
}

std::optional<int64_t> window_of(int64_t left) {
    return left < 0 ? std::nullopt : std::optional<int64_t>(left);
}

// Runs `work`; null, or what went wrong.
template <class Work> char *guarded(Work work) {
    try {
        work();
        return nullptr;
    } catch (const std::exception &error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("an unknown error of libtorch");
    }
}

} // namespace

extern "C" {

// Causal flash attention. Without `starts`, q, k and v are [batch, time, heads, dim], of times that end together; with them,
// [tokens, heads, dim], and `starts` are where sequences begin, [n + 1] in i32. `window` is how many keys before its own a query sees,
// all where negative.
char *slm_flash_forward(Handle q, Handle k, Handle v, Handle starts, int64_t longest, double scale, int64_t window, Handle *out) {
    return guarded([&] {
        auto cu = present(starts);
        auto [y, log_sums, seed, unused, mask] = at::_flash_attention_forward(
            *q, *k, *v, cu, cu, longest, longest, 0.0, true, false, scale, window_of(window), 0);
        out[0] = owned(y);
        out[1] = owned(log_sums);
    });
}

char *slm_flash_backward(Handle dy, Handle q, Handle k, Handle v, Handle y, Handle log_sums, Handle starts, int64_t longest,
                         double scale, int64_t window, Handle *out) {
    return guarded([&] {
        auto cu = starts ? *starts : at::Tensor();
        // Read with dropout only.
        auto seed = at::empty({2}, q->options().dtype(at::kUInt64));
        auto [dq, dk, dv] = at::_flash_attention_backward(
            *dy, *q, *k, *v, *y, *log_sums, cu, cu, longest, longest, 0.0, true, seed, seed, scale, window_of(window), 0);
        out[0] = owned(dq);
        out[1] = owned(dk);
        out[2] = owned(dv);
    });
}

// Causal attention by cuDNN of [batch, heads, time, dim].
char *slm_cudnn_forward(Handle q, Handle k, Handle v, double scale, Handle *out) {
    return guarded([&] {
        auto all = at::_scaled_dot_product_cudnn_attention(*q, *k, *v, std::nullopt, true, 0.0, true, false, scale);
        out[0] = owned(std::get<0>(all));
        out[1] = owned(std::get<1>(all));
    });
}

char *slm_cudnn_backward(Handle dy, Handle q, Handle k, Handle v, Handle y, Handle log_sums, double scale, Handle *out) {
    return guarded([&] {
        const auto nothing = at::Tensor();
        // Read with dropout only.
        auto seed = at::empty({}, q->options().dtype(at::kLong));
        auto [dq, dk, dv] = at::_scaled_dot_product_cudnn_attention_backward(
            *dy, *q, *k, *v, *y, *log_sums, seed, seed, nothing, nothing, nothing, q->size(2), k->size(2), 0.0, true, scale);
        out[0] = owned(dq);
        out[1] = owned(dk);
        out[2] = owned(dv);
    });
}

// A tensor over memory of the caller, f32 on the processor; `release` frees `owner` when nobody reads it any more.
char *slm_borrow(float *data, const int64_t *sizes, const int64_t *strides, int64_t n, void *owner, void (*release)(void *),
                 Handle *out) {
    return guarded([&] {
        auto freed = [owner, release](void *) { release(owner); };
        const auto count = static_cast<size_t>(n);
        out[0] = owned(at::from_blob(data, at::IntArrayRef(sizes, count), at::IntArrayRef(strides, count), freed, at::kFloat));
    });
}

// a b with sums and result in f32, of matrices in 16 bits on a GPU.
char *slm_mm_f32(Handle a, Handle b, Handle *out) {
    return guarded([&] { out[0] = owned(at::mm(*a, *b, at::kFloat)); });
}

// The norm of all values of all tensors: a scalar in f32.
char *slm_global_norm(const Handle *tensors, int64_t n, Handle *out) {
    return guarded([&] {
        auto norms = at::_foreach_norm(list(tensors, n), 2, at::kFloat);
        out[0] = owned(at::linalg_vector_norm(at::stack(norms)));
    });
}

// A tensor of the host on a GPU, by way of page-locked memory, whose allocator keeps it until the copy is done.
char *slm_upload(Handle x, int64_t device, Handle *out) {
    return guarded([&] {
        const at::Device gpu(at::kCUDA, static_cast<c10::DeviceIndex>(device));
        out[0] = owned(x->pin_memory().to(gpu, x->scalar_type(), /*non_blocking=*/true));
    });
}

// From here on this thread's operations go past libtorch's own autograd, which nothing here uses.
void slm_skip_autograd() {
    static thread_local auto *const guard = new at::AutoDispatchBelowADInplaceOrView();
    (void)guard;
}

// Bytes on a GPU at the most since the last reset: given to tensors, and taken from the driver.
char *slm_peak_bytes(int64_t device, int64_t *out) {
    return guarded([&] {
        auto stats = at::accelerator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
        const size_t all = 0; // StatType::AGGREGATE
        out[0] = stats.allocated_bytes[all].peak;
        out[1] = stats.reserved_bytes[all].peak;
    });
}

char *slm_reset_peak(int64_t device) {
    return guarded([&] { at::accelerator::resetPeakStats(static_cast<c10::DeviceIndex>(device)); });
}

// How libtorch was built, as a text that the caller frees.
char *slm_config(char **out) {
    return guarded([&] { *out = strdup(at::show_config().c_str()); });
}

// The file that libtorch was loaded from; null where the system does not tell.
char *slm_library(char **out) {
    return guarded([&] {
        Dl_info found;
        const bool is_known = dladdr(reinterpret_cast<void *>(&at::show_config), &found) && found.dli_fname;
        *out = is_known ? strdup(found.dli_fname) : nullptr;
    });
}

// The version of CUDA that libtorch was built for, such as 12080; 0 without CUDA.
char *slm_cuda_version(int64_t *out) {
    return guarded([&] {
        const auto &hooks = at::detail::getCUDAHooks();
        *out = hooks.hasCUDART() ? hooks.versionCUDART() : 0;
    });
}

// Whether products of f32 on CUDA may round what they multiply to TF32.
char *slm_set_tf32(bool allowed) {
    return guarded([&] { at::globalContext().setAllowTF32CuBLAS(allowed); });
}

bool slm_tf32() { return at::globalContext().allowTF32CuBLAS(); }

void slm_free_text(char *text) { free(text); }

} // extern "C"
