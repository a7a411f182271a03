// Connected components by union-find without locks: the parents of kernels/cpu/components.py, whatever the order.
//
// A thread takes an edge. A root (an index that is its own parent) is hooked under a smaller index by one atomicCAS, which
// succeeds only while it is a root; a thread whose CAS fails goes on from what it found there. So
//   * a parent is never above its index, trees have no circles, and the root of a tree is its least index;
//   * a CAS that succeeds hooks a root under an index that is smaller than it, so one of another tree: it makes two trees
//     one. Of n indices in c components exactly n - c edges do so, in any order: they are a spanning forest.
// Ways are halved as they are walked, by plain stores. Such a store may race with another one, and may undo its shortening;
// what it writes was read from the way upwards, so it is an ancestor all the same, and it never meets a CAS that succeeds,
// since what is no root never becomes one again. A stale value that is read is an older ancestor, which costs a step more,
// and a stale root fails its CAS, which always sees the newest value. Parents are all that threads tell each other, and
// each is right by itself, so no order of memory has to be asked for: `volatile`, which CUDA treats as relaxed accesses
// of one word, suffices, and keeps the compiler from reading a parent once and for all.
//
// An edge of two fresh indices costs two loads and one CAS on 4 bytes each, of places that the caller's order decides.
#include "components.cuh"

extern "C" __global__ void
unite_edges(const u32* __restrict__ left, const u32* __restrict__ right, i64 edges, u32* parent, u8* __restrict__ joined)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 edge = (i64)blockIdx.x * blockDim.x + threadIdx.x; edge < edges; edge += step)
        joined[edge] = unite(left[edge], right[edge], parent);
}

// Long ways are made short: each index walks to its root, halving, and remembers it. All threads at once, a chain of n
// indices takes some log2(n) steps and more, not n; hostile pages can make such chains, each page a neighbour of the next.
extern "C" __global__ void
shorten(u32* parent, i64 indices)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    for (i64 index = (i64)blockIdx.x * blockDim.x + threadIdx.x; index < indices; index += step) {
        const u32 root = root_of((u32)index, parent);
        if (root != (u32)index) parent[index] = root;
    }
}

// After shorten: each index gets its root for its parent, and the roots are counted. No way is halved here: in shorten
// another thread's store of an ancestor may come after a thread has written the root, so that a step or two are left.
extern "C" __global__ void
flatten(u32* parent, i64 indices, u64* components)
{
    const i64 step = (i64)gridDim.x * blockDim.x;
    u64 roots = 0;
    for (i64 index = (i64)blockIdx.x * blockDim.x + threadIdx.x; index < indices; index += step) {
        const volatile u32* ancestors = parent;
        const u32 known = ancestors[index];
        u32 root = known;
        for (u32 above = ancestors[root]; above != root; above = ancestors[root]) root = above;
        if (root != known) parent[index] = root;
        roots += root == (u32)index;
    }
    if (roots) atomicAdd(components, roots);
}
