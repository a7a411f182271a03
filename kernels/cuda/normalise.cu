// Text to normalised text: the bytes of kernels/cpu/normalise.py, whatever the bytes that come in.
//
// The text of a batch is cut into tiles of TILE bytes, a block each, wherever documents begin, so that a long document
// is shared by many blocks and many short ones share one. A thread takes the code points that begin in 16 bytes. What it
// needs of the text before is small:
//   * whether its first bytes belong to a code point before: that stands within three bytes;
//   * whether a blank is pending. A blank is written only when a visible byte follows, and not before the first one of
//     a document: so none stands at the ends, and the state is one of three (see below).
// The state where 16 bytes or a tile end is either theirs alone or the one before with perhaps a blank more, and it
// changes their length by one blank at most. So there are two passes:
//   count_normalised   16 bytes and tiles: their length, and how they meet and leave the state
//   carry_states       the state before each tile; (then the lengths of tiles are summed up)
//   write_normalised   the same walk with state and place known. Bytes are put together in shared memory, STAGE at a
//                      time, and leave it 16 at a time; of most texts a tile has one such window.
#include "block.cuh"
#include "bytes.cuh"

#define SEGMENT 16
#define TILE (THREADS * SEGMENT)
#define STAGE (2 * TILE)

// What the tables say of a code point (else: where its replacement stands) and of an ASCII character.
#define TABLE_SAME 0
#define TABLE_DROPPED 1
#define TABLE_BLANK 2
#define ASCII_DROPPED 0xFF
#define SPACE 0x20

// States: nothing met yet, so that of before holds; a document began, and nothing visible came; a visible byte came. A
// blank adds AND_BLANK, of which only VISIBLE | AND_BLANK is a blank that is still to be written.
#define UNKNOWN 0u
#define AND_BLANK 1u
#define BEGUN 2u
#define VISIBLE 4u

// How a piece of text meets the state before it: not at all, since a document begins before any visible byte, or there is
// none; else 1 more than what it adds to the state before its first visible byte: nothing or AND_BLANK.
#define MEETS_NOT 0u

// Whether a blank is to be written for a piece that meets this state; for MEETS_NOT all bits are added.
__device__ __forceinline__ bool blank_between(u32 state, u32 meeting) {
    return (state | (meeting - 1)) == (VISIBLE | AND_BLANK);
}

// The state before a piece from those that the pieces before it leave; one that is UNKNOWN still is that before all.
__device__ __forceinline__ u32 state_before(const u8* left, i64 piece) {
    u32 state = UNKNOWN;
    for (i64 other = piece - 1; other >= 0 && state < BEGUN; --other) state |= left[other] & 7u;
    return state;
}

// A tile with 16 bytes more on either side, and a bit for each of its bytes at which a document begins or the last ends.
struct Tile {
    __align__(16) u8 bytes[TILE + 32];
    u32 edges[(TILE + 32) / 32];
};

struct Tables {
    const u8* ascii;
    const u32* place;
    const u8* replacements;
};

// Where a tile begins: tiles begin at the first byte of all documents, or up to 15 before it.
__device__ __forceinline__ i64 tile_begin(i64 first, i64 tile) {
    return (first & ~(i64)15) + tile * TILE;
}

// Fill a tile; ends with a barrier. `document` is the first whose offset lies in the tile or 16 bytes before.
__device__ __forceinline__ void load_tile(Tile& tile, const u8* __restrict__ data, const i64* __restrict__ offsets,
                                          i64 documents, i64 document, i64 begin) {
    const i64 first = offsets[0], last = offsets[documents];
    for (int piece = threadIdx.x; piece < TILE / 16 + 2; piece += THREADS)
        *reinterpret_cast<uint4*>(tile.bytes + 16 * piece) = sixteen_bytes(data, begin - 16 + 16 * piece, first, last);
#pragma unroll 1
    for (int word = threadIdx.x; word < (TILE + 32) / 32; word += THREADS) tile.edges[word] = 0;
    __syncthreads();
    for (document += threadIdx.x; document <= documents; document += THREADS) {
        const i64 at = offsets[document] - begin + 16;
        if (at >= TILE + 32) break;
        atomicOr(&tile.edges[at >> 5], 1u << (at & 31));
    }
    __syncthreads();
}

// Length of the UTF-8 code point that begins at a byte beyond ASCII and ends in the same document; 0 if there is none.
// Bit 0 of `edges` is for the byte after the first.
__device__ __forceinline__ int whole_length(const u8* bytes, u32 edges) {
    if (bytes[0] < 0xC0) return 0;
    const int length = utf8_length(bytes[0]);
    for (int step = 1; step < length; ++step)
        if (!is_continuation(bytes[step])) return 0;
    return edges & ((1u << (length - 1)) - 1) ? 0 : length;
}

// Bytes from here on that belong to a code point that begins before. Bit 16 of `edges` is for the byte here.
__device__ __forceinline__ int bytes_of_before(const u8* bytes, u64 edges) {
    if (!is_continuation(bytes[0])) return 0;
    for (int back = 1; back <= 3; ++back)
        if (!is_continuation(bytes[-back])) {
            const int length = whole_length(bytes - back, (u32)(edges >> (17 - back)));
            return length > back ? length - back : 0;
        }
    return 0;
}

// The first `count` bits of a thread's 16; none and all for numbers beyond them.
__device__ __forceinline__ u32 first_bits(int count) {
    return (1u << min(max(count, 0), SEGMENT)) - 1;
}

// Give the code points that begin in this thread's 16 bytes to `output`. All documents together begin and end at these
// bytes of the tile, or outside of it.
template <class Output>
__device__ __forceinline__ void walk(const Tile& tile, int first, int last, const Tables& tables, Output& output) {
    const int begin = threadIdx.x * SEGMENT;
    const u8* bytes = tile.bytes + 16 + begin;
    const u16* halves = reinterpret_cast<const u16*>(tile.edges) + threadIdx.x;
    const u64 around = (u64)halves[2] << 32 | (u32)halves[1] << 16 | halves[0];
    u32 edges = (u32)(around >> 16);    // bit 0 for the byte that is looked at
    u32 done = first_bits(bytes_of_before(bytes, around)) | first_bits(first - begin) | ~first_bits(last - begin);
#pragma unroll 1
    for (int index = 0; index < SEGMENT; ++index, ++bytes, edges >>= 1, done >>= 1) {
        if (edges & 1) output.begin_document(begin + index);
        if (done & 1) continue;
        const u8 byte = *bytes;
        if (byte < 0x80) {
            const u8 character = tables.ascii[byte];
            if (character == SPACE) output.blank();
            else if (character != ASCII_DROPPED) output.visible(character);
            continue;
        }
        const int length = whole_length(bytes, edges >> 1);
        if (!length) {
            output.visible(byte);    // no UTF-8: it stays
            continue;
        }
        done |= first_bits(length);
        const u32 place = tables.place[decode_utf8(bytes, 0)];
        if (place == TABLE_SAME) {
#pragma unroll 1
            for (int step = 0; step < length; ++step) output.visible(bytes[step]);
        } else if (place == TABLE_BLANK) {
            output.blank();
        } else if (place != TABLE_DROPPED) {
            const u8* replacement = tables.replacements + place;
#pragma unroll 1
            for (int step = replacement[0]; step; --step) {
                const u8 character = *++replacement;
                if (character == SPACE) output.blank();
                else output.visible(character);
            }
        }
    }
}

// Counts bytes without knowing the state before.
struct Counter {
    u32 length, meeting, state;

    __device__ __forceinline__ void begin_document(int) { state = BEGUN; }
    __device__ __forceinline__ void blank() { state |= AND_BLANK; }
    __device__ __forceinline__ void visible(u8) {
        length += 1 + (state == (VISIBLE | AND_BLANK));
        if (state < BEGUN) meeting = 1 + state;
        state = VISIBLE;
    }
};

// Puts bytes into the window of shared memory where they lie in it, and notes where documents begin.
struct Writer {
    u8* staged;
    u16* document_places;    // by position in the tile, from this thread's first byte on
    int first, at;           // in the window
    u32 state;

    __device__ __forceinline__ void begin_document(int position) {
        document_places[position] = (u16)(at - first);
        state = BEGUN;
    }
    __device__ __forceinline__ void blank() { state |= AND_BLANK; }
    __device__ __forceinline__ void visible(u8 byte) {
        if (state == (VISIBLE | AND_BLANK)) put(SPACE);
        put(byte);
        state = VISIBLE;
    }
    __device__ __forceinline__ void put(u8 byte) {
        if ((u32)at < STAGE) staged[at] = byte;
        ++at;
    }
};

// For each tile the first document that begins in it or in the 16 bytes before. A thread a tile.
extern "C" __global__ void find_documents(const i64* __restrict__ offsets, i64 documents, i64* __restrict__ found,
                                          i64 tiles) {
    for (i64 tile = (i64)blockIdx.x * blockDim.x + threadIdx.x; tile < tiles; tile += (i64)gridDim.x * blockDim.x)
        found[tile] = lower_bound(offsets, documents + 1, tile_begin(offsets[0], tile) - 16);
}

// A block a tile. `segments` gets, for each 16 bytes, their length << 5 | meeting << 3 | state: a code point of two bytes
// or more becomes 255 at most, so that 16 bytes, with all that begin in them, become 8 * 255 + 1 < 2048.
extern "C" __global__ void __launch_bounds__(THREADS)
count_normalised(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                 const u8* __restrict__ ascii_map, const u32* __restrict__ place, const u8* __restrict__ replacements,
                 const i64* __restrict__ first_documents, i64 tiles, u16* __restrict__ segments,
                 i64* __restrict__ lengths, u8* __restrict__ pieces) {
    __shared__ Tile tile;
    __shared__ u8 ascii[128], left[THREADS];
    __shared__ u32 sums[THREADS], tile_meeting;
    const int thread = threadIdx.x;
    for (int code = thread; code < 128; code += THREADS) ascii[code] = ascii_map[code];
    for (i64 number = blockIdx.x; number < tiles; number += gridDim.x) {
        const i64 begin = tile_begin(offsets[0], number);
        const int first = (int)max(offsets[0] - begin, (i64)-1), last = (int)min(offsets[documents] - begin, (i64)TILE);
        load_tile(tile, data, offsets, documents, first_documents[number], begin);
        if (thread == 0) tile_meeting = MEETS_NOT;
        Counter counter = {0, MEETS_NOT, UNKNOWN};
        walk(tile, first, last, {ascii, place, replacements}, counter);
        segments[number * THREADS + thread] = (u16)(counter.length << 5 | counter.meeting << 3 | counter.state);
        left[thread] = (u8)counter.state;
        __syncthreads();
        const u32 before = state_before(left, thread);
        // the one that the state before the tile reaches
        if (counter.meeting && before < BEGUN) tile_meeting = 1 + (before | (counter.meeting - 1));
        const u32 length = block_sum<THREADS>(counter.length + blank_between(before, counter.meeting), sums);
        if (thread == THREADS - 1) {
            lengths[number] = length;
            pieces[number] = (u8)(tile_meeting << 3 | counter.state | (counter.state < BEGUN ? before : 0));
        }
    }
}

// The state before each tile, and the blank that is to be written for it. A thread a tile; it looks back over tiles
// until one holds anything that is not dropped and no blank, or an edge of a document: that is the one before in nearly
// all texts, and the document's length in tiles at most.
extern "C" __global__ void carry_states(const u8* __restrict__ pieces, i64* __restrict__ lengths,
                                        u8* __restrict__ carried, i64 tiles) {
    for (i64 tile = (i64)blockIdx.x * blockDim.x + threadIdx.x; tile < tiles; tile += (i64)gridDim.x * blockDim.x) {
        const u32 state = state_before(pieces, tile);
        carried[tile] = (u8)state;
        lengths[tile] += blank_between(state, pieces[tile] >> 3);
    }
}

// Put a window's bytes, `count` behind `skipped`, where they belong; `to` is where staged[0] does. 16 bytes a thread.
__device__ __forceinline__ void copy_window(u8* to, const u8* staged, int skipped, int count) {
    const int end = skipped + count;
    for (int from = 16 * threadIdx.x; from < end; from += 16 * THREADS) {
        if (from >= skipped && from + 16 <= end) {
            *reinterpret_cast<uint4*>(to + from) = *reinterpret_cast<const uint4*>(staged + from);
        } else {
            for (int at = from; at < from + 16; ++at)
                if (at >= skipped && at < end) to[at] = staged[at];
        }
    }
}

// A block a tile. `ends` says where each tile ends in `out`.
extern "C" __global__ void __launch_bounds__(THREADS)
write_normalised(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                 const u8* __restrict__ ascii_map, const u32* __restrict__ place, const u8* __restrict__ replacements,
                 const i64* __restrict__ first_documents, i64 tiles, const u16* __restrict__ segments,
                 const u8* __restrict__ carried, const i64* __restrict__ ends, u8* __restrict__ out,
                 i64* __restrict__ out_offsets) {
    __shared__ Tile tile;
    __shared__ u8 ascii[128], left[THREADS];
    __shared__ u32 sums[THREADS], segment_places[THREADS];
    __shared__ u16 document_places[TILE];
    __shared__ __align__(16) u8 staged[STAGE + 16];
    const int thread = threadIdx.x;
    for (int code = thread; code < 128; code += THREADS) ascii[code] = ascii_map[code];
    for (i64 number = blockIdx.x; number < tiles; number += gridDim.x) {
        const i64 begin = tile_begin(offsets[0], number);
        const int first = (int)max(offsets[0] - begin, (i64)-1), last = (int)min(offsets[documents] - begin, (i64)TILE);
        const i64 tile_place = number ? ends[number - 1] : 0;
        load_tile(tile, data, offsets, documents, first_documents[number], begin);
        const u32 segment = segments[number * THREADS + thread];
        left[thread] = (u8)(segment & 7);
        __syncthreads();
        u32 state = state_before(left, thread), total;
        if (state < BEGUN) state |= carried[number];
        const u32 length = (segment >> 5) + blank_between(state, segment >> 3 & 3);
        const u32 place_in_tile = block_exclusive_sum<THREADS>(length, sums, total);
        segment_places[thread] = place_in_tile;
        for (u32 window = 0; window == 0 || window < total; window += STAGE) {
            u8* to = out + tile_place + window;
            const int skipped = (u64)to & 15;    // so that bytes 16 of which lie together there do so here
            if (window == 0 || (place_in_tile < window + STAGE && place_in_tile + length > window)) {
                const int at = (int)(place_in_tile - window);
                Writer writer = {staged + skipped, document_places, at, at, state};
                walk(tile, first, last, {ascii, place, replacements}, writer);
            }
            __syncthreads();
            copy_window(to - skipped, staged, skipped, (int)min(total - window, (u32)STAGE));
            __syncthreads();
        }
        for (i64 document = first_documents[number] + thread; document <= documents; document += THREADS) {
            const i64 at = offsets[document] - begin;
            if (at >= TILE) break;
            if (at >= 0) out_offsets[document] = tile_place + segment_places[(int)at / SEGMENT] + document_places[at];
        }
    }
}
