// Runs a CUDA C kernel's own text on the CPU, so that its indexing, its tails and its barriers can be tested anywhere.
// Included before the kernel; cuda_on_host.py compiles both, with main() of the end of this file.
//
// A CUDA thread is a fiber. Three orders:
//   rising, falling  the threads of a block run one after another up to the next barrier, so that a missing barrier
//                    changes results every time instead of now and then; blocks follow each other
//   mixed            the threads of all blocks live at once, and at each atomic another one goes on, picked by a
//                    generator with a fixed seed: for kernels that have no barrier and no shared memory
// Shared memory is filled with rubbish before each block. A barrier that some threads of a block do not reach, or that
// they reach in different lines, ends the program.
// Known here: threadIdx.x, blockDim.x, blockIdx.xy, gridDim.xy, static __shared__ arrays, __syncthreads, __threadfence,
// atomicAdd/Min/Max/Or/And/Exch/CAS on 32 and 64 bits, __popc, __popcll, __clz, __clzll, __ffs, __ffsll, min, max, __ldg,
// uint2, uint4, ulonglong2, __vimin3_u32. Not known: warp intrinsics, dynamic shared memory.
#pragma once
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static __attribute__((section("cuda_shared")))
#define __syncthreads() wait_at_barrier(__LINE__)
#define __threadfence() ((void)0)

struct Index {
    unsigned x, y;
};
struct uint2 {
    unsigned x, y;
};
struct uint4 {
    unsigned x, y, z, w;
};
struct ulonglong2 {
    unsigned long long x, y;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;
template <class T>
static inline T __ldg(const T* place) { return *place; }
static inline int __popc(unsigned value) { return __builtin_popcount(value); }
static inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
static inline int __clz(int value) { return value ? __builtin_clz((unsigned)value) : 32; }
static inline int __clzll(long long value) { return value ? __builtin_clzll((unsigned long long)value) : 64; }
static inline int __ffs(int value) { return __builtin_ffs(value); }
static inline int __ffsll(long long value) { return __builtin_ffsll(value); }
static inline unsigned __vimin3_u32(unsigned a, unsigned b, unsigned c) { return min(min(a, b), c); }

namespace host {
static void between_atomics();

template <class T, class Change>
static inline T atomic(T* place, Change change) {
    between_atomics();
    const T before = *place;
    *place = change(before);
    return before;
}
template <class T>
using Same = std::common_type_t<T>;    // its argument's type is not deduced, so that a number of another type converts
}    // namespace host

// CUDA has these for int, unsigned and unsigned long long; a pointer to another type does not compile there.
#define ATOMIC(name, change)                                                                         \
    template <class T>                                                                               \
    static inline T name(T* place, host::Same<T> value) {                                            \
        static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>); \
        return host::atomic(place, [value](T before) -> T { (void)before; return change; });         \
    }
ATOMIC(atomicAdd, before + value)
ATOMIC(atomicMin, std::min(before, value))
ATOMIC(atomicMax, std::max(before, value))
ATOMIC(atomicOr, before | value)
ATOMIC(atomicAnd, before & value)
ATOMIC(atomicExch, value)
#undef ATOMIC
template <class T>
static inline T atomicCAS(T* place, host::Same<T> expected, host::Same<T> value) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>);
    return host::atomic(place, [=](T before) { return before == expected ? value : before; });
}

namespace host {

enum Order { RISING, FALLING, MIXED };

struct Fiber {
    ucontext_t context;
    char* stack;
    Index thread, block;
    int line;    // of the barrier it waits at; FINISHED when it returned, GOES_ON between atomics
};
constexpr int FINISHED = 0, GOES_ON = -1;
constexpr size_t STACK = 256 << 10;

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static std::function<void()> body;
static Fiber* current;
static bool mixed;

[[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(3);
}

static void enter() {
    body();
    current->line = FINISHED;    // returns to the scheduler, its successor
}

// a kernel may have no shared memory, but without any the linker does not know where it begins
__attribute__((used)) __shared__ __align__(16) char some_shared_memory[16];
extern "C" char __start_cuda_shared[], __stop_cuda_shared[];

static void begin(Fiber& fiber, unsigned thread, Index block) {
    if (!fiber.stack) fiber.stack = static_cast<char*>(std::malloc(STACK));
    fiber.thread = {thread, 0};
    fiber.block = block;
    fiber.line = GOES_ON;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, enter, 0);
}

static void go_on(Fiber& fiber) {
    current = &fiber;
    threadIdx = fiber.thread;
    blockIdx = fiber.block;
    swapcontext(&scheduler, &fiber.context);
}

// Back to the scheduler; what tells the thread who it is is put right when it goes on.
static void leave(int line) {
    Fiber* self = current;
    self->line = line;
    swapcontext(&self->context, &scheduler);
}

static void between_atomics() {
    if (mixed) leave(GOES_ON);
}

static void run_block(Index block, Order order) {
    std::memset(__start_cuda_shared, 0xA5, __stop_cuda_shared - __start_cuda_shared);
    const int threads = (int)fibers.size();
    for (int thread = 0; thread < threads; ++thread) begin(fibers[thread], thread, block);
    do {
        for (int turn = 0; turn < threads; ++turn) go_on(fibers[order == FALLING ? threads - 1 - turn : turn]);
        for (const Fiber& fiber : fibers)
            if (fiber.line != fibers[0].line) fail("threads of a block wait at different barriers");
    } while (fibers[0].line != FINISHED);
}

static void run_mixed(unsigned threads) {
    if (__stop_cuda_shared - __start_cuda_shared > (long)sizeof some_shared_memory)
        fail("a kernel with shared memory cannot be run in mixed order");
    std::vector<Fiber*> alive;
    for (size_t number = 0; number < fibers.size(); ++number) {
        const unsigned block = (unsigned)number / threads;
        begin(fibers[number], (unsigned)number % threads, {block % gridDim.x, block / gridDim.x});
        alive.push_back(&fibers[number]);
    }
    mixed = true;
    for (unsigned long long state = 88172645463325252ull; !alive.empty();) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        Fiber*& chosen = alive[state % alive.size()];
        go_on(*chosen);
        if (chosen->line == FINISHED) chosen = alive.back(), alive.pop_back();
    }
}

// Calls a kernel as CUDA's launch does: with pointers to its arguments.
template <class... Types, size_t... Places>
static void call(void (*kernel)(Types...), void** arguments, std::index_sequence<Places...>) {
    kernel(*static_cast<std::remove_const_t<Types>*>(arguments[Places])...);
}

static void read_all(void* into, size_t bytes) {
    if (std::fread(into, 1, bytes, stdin) != bytes) fail("input ends early");
}

// stdin: blocks x and y, threads, the order, number of arguments; then for each argument the bytes of an array
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
    const Order order = (Order)head[3];
    gridDim = {(unsigned)head[0], (unsigned)head[1]};
    blockDim = {(unsigned)head[2], 1};
    fibers.resize(order == MIXED ? head[0] * head[1] * head[2] : head[2]);
    body = [&] { call(kernel, arguments.data(), std::index_sequence_for<Types...>{}); };
    if (order == MIXED) {
        run_mixed((unsigned)head[2]);
    } else {
        for (unsigned y = 0; y < gridDim.y; ++y)
            for (unsigned x = 0; x < gridDim.x; ++x) run_block({x, y}, order);
    }
    for (auto [data, bytes] : arrays) std::fwrite(data, 1, bytes, stdout);
    std::fflush(stdout);
    std::_Exit(0);    // fibers have left their stacks for good: there is nothing to take down
}

}    // namespace host

inline void wait_at_barrier(int line) {
    if (host::mixed) host::fail("a kernel with a barrier cannot be run in mixed order");
    host::leave(line);
}
