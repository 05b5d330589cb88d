// Sums over GPUs by NCCL, whose C functions libtorch for CUDA brings into the process.
//
// c10d has a group over NCCL as well. Its class has NCCL's structs inside, so that only the headers of the very NCCL that libtorch was
// built with give its size, and its header needs those of CUDA, which no wheel of PyTorch has all of (crt/). The functions below have
// been the same in all of NCCL 2 (nccl.h); nothing of them is needed to build this, and without them sums go through the host.
//
// Never run so far: it was compiled, and checked against the header of NCCL 2.28.

#pragma once

#include <dlfcn.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <ATen/core/Tensor.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace nccl {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int SUCCESS = 0, IN_PROGRESS = 7, SUM = 0, FLOAT32 = 7;

struct Id {
    char bytes[128];
};

struct Functions {
    int (*version)(int *) = nullptr;
    int (*unique_id)(Id *) = nullptr;
    int (*join)(void **comm, int size, Id id, int rank) = nullptr;
    int (*all_reduce)(const void *from, void *to, size_t n, int type, int operation, void *comm, void *stream) = nullptr;
    int (*async_error)(void *comm, int *error) = nullptr;
    int (*abort)(void *comm) = nullptr;
    const char *(*error)(int) = nullptr;

    // Those of this process; null where libtorch has none.
    static const Functions *found() {
        static const Functions all;
        const bool is_whole =
            all.version && all.unique_id && all.join && all.all_reduce && all.async_error && all.abort && all.error;
        return is_whole ? &all : nullptr;
    }

  private:
    template <class F> static void find(F &function, const char *name) {
        function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    }

    Functions() {
        find(version, "ncclGetVersion");
        find(unique_id, "ncclGetUniqueId");
        find(join, "ncclCommInitRank");
        find(all_reduce, "ncclAllReduce");
        find(async_error, "ncclCommGetAsyncError");
        find(abort, "ncclCommAbort");
        find(error, "ncclGetErrorString");
    }
};

// The GPUs of all processes, one each.
class Gpus {
  public:
    // Meets the others, who call it too; the first says by the store where.
    Gpus(c10d::Store &store, int rank, int size, c10::DeviceIndex gpu, milliseconds patience)
        : functions(*Functions::found()), device(c10::kCUDA, gpu), patience(patience) {
        const c10::DeviceGuard guard(device);
        Id id;
        if (rank == 0) {
            check(functions.unique_id(&id));
            store.set("nccl", std::vector<uint8_t>(id.bytes, id.bytes + sizeof id.bytes));
        } else {
            const auto said = store.get("nccl");
            if (said.size() != sizeof id.bytes) throw std::runtime_error("NCCL: the first process did not say where to meet");
            std::copy(said.begin(), said.end(), id.bytes);
        }
        check(functions.join(&comm, size, id, rank));
    }

    Gpus(const Gpus &) = delete;
    Gpus &operator=(const Gpus &) = delete;

    ~Gpus() { leave(); }

    // Asks the GPU for the sum of a contiguous f32 tensor, in place, behind what it was asked for before.
    c10::Event sum(const at::Tensor &tensor) {
        if (!comm) throw std::runtime_error("NCCL: an earlier sum failed");
        if (tensor.scalar_type() != at::kFloat || !tensor.is_contiguous() || tensor.device() != device)
            throw std::runtime_error("NCCL: sums are of contiguous f32 values on the GPU that the processes met on");
        const c10::DeviceGuard guard(device);
        const auto stream = c10::impl::getDeviceGuardImpl(c10::kCUDA)->getStream(device);
        // The default stream's number and its handle are zero; no other one is ever chosen here.
        if (stream.id() != 0) throw std::runtime_error("NCCL: not on the default stream");
        auto *values = tensor.data_ptr();
        check(functions.all_reduce(values, values, tensor.numel(), FLOAT32, SUM, comm, nullptr));
        c10::Event done(c10::kCUDA);
        done.record(stream);
        return done;
    }

    // Waits for a sum: a process that is lost is noticed by NCCL itself, or by its silence.
    void wait(const c10::Event &done) {
        const auto latest = steady_clock::now() + patience;
        while (!done.query()) {
            if (!comm) throw std::runtime_error("NCCL: the processes have parted");
            int error = SUCCESS;
            const int asked = functions.async_error(comm, &error);
            const bool is_late = steady_clock::now() > latest;
            if (asked == SUCCESS && (error == SUCCESS || error == IN_PROGRESS) && !is_late) {
                std::this_thread::sleep_for(std::chrono::microseconds(50));
                continue;
            }
            // Only this ends the kernel that waits on the GPU, on which weights are to be read for a checkpoint.
            leave();
            if (is_late) throw std::runtime_error("NCCL: no answer within " + std::to_string(patience.count() / 1000) + " s");
            check(asked);
            check(error);
        }
    }

    // Aborts, which waits for nobody.
    void leave() {
        if (comm) functions.abort(comm);
        comm = nullptr;
    }

  private:
    void check(int error) const {
        if (error != SUCCESS) throw std::runtime_error(std::string("NCCL: ") + functions.error(error));
    }

    const Functions &functions;
    c10::Device device;
    milliseconds patience;
    void *comm = nullptr;
};

} // namespace nccl
