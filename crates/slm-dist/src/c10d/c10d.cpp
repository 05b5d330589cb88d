// The part of c10d, libtorch's engine for several processes, that training needs. What is made here belongs to the caller, and an
// error is a message that the caller frees.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "nccl.hpp"

namespace {

using std::chrono::milliseconds;

struct Group {
    c10::intrusive_ptr<c10d::Store> store;
    // Sums in the memory of the processor.
    c10::intrusive_ptr<c10d::Backend> host;
    int rank, size;
    // Sums in that of GPUs, once they have met there.
    std::shared_ptr<nccl::Gpus> gpus;
};

// A sum by one of the two.
struct Pending {
    c10::intrusive_ptr<c10d::Work> work;
    std::shared_ptr<nccl::Gpus> gpus;
    std::optional<c10::Event> done;

    void wait() {
        if (work) work->wait();
        if (done) gpus->wait(*done);
    }
};

// Runs `work`; null, or what went wrong.
template <class Work> char *guarded(Work work) {
    try {
        work();
        return nullptr;
    } catch (const c10::Error &error) {
        return strdup(error.what_without_backtrace());
    } catch (const std::exception &error) {
        return strdup(error.what());
    } catch (...) {
        return strdup("an unknown error of libtorch");
    }
}

// As PyTorch chooses it, but that processes which meet on the loopback address stay on it.
auto device_of(const std::string &address) {
    using c10d::ProcessGroupGloo;
    if (const char *interface = std::getenv("GLOO_SOCKET_IFNAME")) return ProcessGroupGloo::createDeviceForInterface(interface);
    if (address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0)
        return ProcessGroupGloo::createDeviceForHostname(address);
    return ProcessGroupGloo::createDefaultDevice();
}

// Processes that meet on the loopback address stay on it with their GPUs, too.
void stay_on(const std::string &address) {
    if (address == "localhost" || address == "::1" || address.rfind("127.", 0) == 0) setenv("NCCL_SOCKET_IFNAME", "lo", 0);
}

// c10d warns of every connection that ends, with where in libtorch it noticed; errors tell of it anyhow.
void quieten() {
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    c10::initLogging();
}

} // namespace

extern "C" {

// Meets the others at `address`. `serves` is whether this process has the store; it listens on `listener` where that is no -1.
char *slm_group_join(const char *address, uint16_t port, int rank, int size, bool serves, int listener, const char *prefix,
                     int64_t meeting_ms, int64_t sum_ms, Group **out) {
    return guarded([&] {
        quieten();
        stay_on(address);
        c10d::TCPStoreOptions options;
        options.port = port;
        options.isServer = serves;
        options.numWorkers = size;
        options.timeout = milliseconds(meeting_ms);
        if (listener >= 0) options.masterListenFd = listener;
        auto tcp = c10::make_intrusive<c10d::TCPStore>(address, options);
        auto store = c10::make_intrusive<c10d::PrefixStore>(prefix, tcp);
        auto gloo = c10d::ProcessGroupGloo::Options::create(milliseconds(sum_ms));
        gloo->devices.push_back(device_of(address));
        auto host = c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, gloo);
        *out = new Group{store, host, rank, size, nullptr};
    });
}

void slm_group_leave(Group *group) { delete group; }

// The version of NCCL that is in this process, such as 22809; 0 without one.
char *slm_nccl_version(int *out) {
    return guarded([&] {
        *out = 0;
        if (const auto *functions = nccl::Functions::found()) functions->version(out);
    });
}

// Meets the others on a GPU, of which each process has its own; all of them have NCCL.
char *slm_group_meet_on(Group *group, int64_t gpu, int64_t sum_ms) {
    return guarded([&] {
        const auto index = static_cast<c10::DeviceIndex>(gpu);
        group->gpus = std::make_shared<nccl::Gpus>(*group->store, group->rank, group->size, index, milliseconds(sum_ms));
    });
}

// Sums on GPUs go through the host from now on; those that are under way end without one.
void slm_group_part(Group *group) {
    if (group->gpus) group->gpus->leave();
    group->gpus.reset();
}

// Begins to sum a tensor over all processes, in place, where it lies. It lives until then by the caller's reference.
char *slm_group_sum(Group *group, at::Tensor *tensor, Pending **out) {
    return guarded([&] {
        if (tensor->is_cuda()) {
            if (!group->gpus) throw std::runtime_error("the processes have not met on their GPUs");
            *out = new Pending{{}, group->gpus, group->gpus->sum(*tensor)};
            return;
        }
        std::vector<at::Tensor> tensors{*tensor};
        *out = new Pending{group->host->allreduce(tensors), nullptr, std::nullopt};
    });
}

// Waits for a sum, and frees `pending` in any case.
char *slm_pending_wait(Pending *pending) {
    auto *error = guarded([&] { pending->wait(); });
    delete pending;
    return error;
}

char *slm_group_tell(Group *group, const char *key, const char *value) {
    return guarded([&] { group->store->set(std::string(key), std::string(value)); });
}

// Waits until another process has told `key`; the caller frees the value as it frees an error.
char *slm_group_hear(Group *group, const char *key, int64_t timeout_ms, char **value) {
    return guarded([&] {
        group->store->wait({key}, milliseconds(timeout_ms));
        *value = strdup(group->store->get_to_str(key).c_str());
    });
}

void slm_dist_free(char *text) { free(text); }

} // extern "C"
