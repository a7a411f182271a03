// Runs a CUDA C kernel's own text on the CPU, so that its indexing, its tails and its barriers can be tested anywhere.
// Included before the kernel; cuda_on_host.py compiles both, with main() of the end of this file.
//
// A CUDA thread is a fiber. The threads of a block run one after another up to the next barrier, in rising or falling
// order, so that a missing barrier changes results every time instead of now and then. Blocks follow each other.
// Shared memory is filled with rubbish before each block. A barrier that some threads of a block do not reach, or that
// they reach in different lines, ends the program.
// Known here: threadIdx.x, blockIdx.xy, gridDim.xy, static __shared__ arrays, __syncthreads, uint4, __vimin3_u32.
// Not known: warp intrinsics, atomics, dynamic shared memory.
#pragma once
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static __attribute__((section("cuda_shared")))
#define __syncthreads() wait_at_barrier(__LINE__)

struct Index {
    unsigned x, y;
};
struct uint4 {
    unsigned x, y, z, w;
};
static Index threadIdx, blockIdx, gridDim;

static inline unsigned __vimin3_u32(unsigned a, unsigned b, unsigned c) {
    const unsigned lower = a < b ? a : b;
    return lower < c ? lower : c;
}

namespace host {

struct Fiber {
    ucontext_t context;
    char* stack;
    int line;    // of the barrier it waits at; FINISHED when it returned
};
constexpr int FINISHED = 0;
constexpr size_t STACK = 256 << 10;

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static std::function<void()> body;

[[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(3);
}

static void enter() {
    body();
    fibers[threadIdx.x].line = FINISHED;    // returns to the scheduler, its successor
}

// a kernel may have no shared memory, but without any the linker does not know where it begins
__attribute__((used)) __shared__ __align__(16) char some_shared_memory[16];
extern "C" char __start_cuda_shared[], __stop_cuda_shared[];

static void run_block(bool falling) {
    std::memset(__start_cuda_shared, 0xA5, __stop_cuda_shared - __start_cuda_shared);
    const int threads = (int)fibers.size();
    for (Fiber& fiber : fibers) {
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, enter, 0);
    }
    do {
        for (int turn = 0; turn < threads; ++turn) {
            threadIdx.x = falling ? threads - 1 - turn : turn;
            swapcontext(&scheduler, &fibers[threadIdx.x].context);
        }
        for (const Fiber& fiber : fibers)
            if (fiber.line != fibers[0].line) fail("threads of a block wait at different barriers");
    } while (fibers[0].line != FINISHED);
}

// Calls a kernel as CUDA's launch does: with pointers to its arguments.
template <class... Types, size_t... Places>
static void call(void (*kernel)(Types...), void** arguments, std::index_sequence<Places...>) {
    kernel(*static_cast<std::remove_const_t<Types>*>(arguments[Places])...);
}

static void read_all(void* into, size_t bytes) {
    if (std::fread(into, 1, bytes, stdin) != bytes) fail("input ends early");
}

// stdin: blocks x and y, threads, 1 for falling order, number of arguments; then for each argument the bytes of an array
// (-1: a number) and the array or the number. stdout: the arrays, each as long as it came. All numbers have 64 bits.
template <class... Types>
static int run(void (*kernel)(Types...)) {
    long long head[5];
    read_all(head, sizeof head);
    if (head[4] != sizeof...(Types)) fail("the kernel takes another number of arguments");
    std::vector<std::pair<char*, long long>> arrays;
    std::vector<long long> values(head[4]);
    std::vector<void*> arguments;
    for (long long& value : values) {
        long long bytes;
        read_all(&bytes, sizeof bytes);
        if (bytes < 0) {
            read_all(&value, sizeof value);
        } else {    // a piece of memory of its own, so that a sanitizer knows where it ends
            arrays.emplace_back(static_cast<char*>(std::malloc(bytes)), bytes);
            read_all(arrays.back().first, bytes);
            value = reinterpret_cast<long long>(arrays.back().first);
        }
        arguments.push_back(&value);
    }
    fibers.resize(head[2]);
    for (Fiber& fiber : fibers) fiber.stack = static_cast<char*>(std::malloc(STACK));
    body = [&] { call(kernel, arguments.data(), std::index_sequence_for<Types...>{}); };
    gridDim = {(unsigned)head[0], (unsigned)head[1]};
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x) run_block(head[3]);
    for (auto [data, bytes] : arrays) std::fwrite(data, 1, bytes, stdout);
    std::fflush(stdout);
    std::_Exit(0);    // fibers have left their stacks for good: there is nothing to take down
}

}    // namespace host

inline void wait_at_barrier(int line) {
    const Index self = threadIdx;
    host::fibers[self.x].line = line;
    swapcontext(&host::fibers[self.x].context, &host::scheduler);
    threadIdx = self;
}
