// All counts of the repetition and quality rules: the numbers of kernels/cpu/stats.py, a block a document.
//
// Two kernels, because the working memory of a document depends on its lines and words:
//   * count_items reads the text once, a thread a byte: characters, marks, newlines, and how many lines and words there
//     are. From these the launcher knows each document's place in the working memory.
//   * text_statistics reads it again in order, writes down where lines and words begin (a running sum over the block
//     for each tile of the text), and goes on with a thread a line, a paragraph, a word, an n-gram. Equal ones are
//     found in a hash table that all threads fill. Between these steps are barriers.
//
// Nothing is in step with the whole text but the running sum: a document of 5 KB is 40 tiles of 128 bytes, then 7
// rounds over its words for each of a dozen questions. Blocks are small, so that many documents are under way on each
// multiprocessor while some wait for memory or for their longest line or word, which one thread reads. What a document
// works on, some 70 KB at that size, is written and read again by one multiprocessor, mostly out of caches.
//
// Sizes are fixed when this is compiled (kernels/cuda/stats.py):
//   THREADS  of a block, a power of two from 64 to 1024
//   BLOCKS   that share a multiprocessor, which bounds the registers
#include "ngrams.cuh"
#include "text_lines.cuh"

static_assert(THREADS >= 64 && THREADS <= 1024, "a tile of the text has a byte a thread, at most 4095");
static_assert((int)FIELDS <= THREADS, "a thread a column writes the result");

// Counts that no order is needed for, over the bytes that this thread takes, into the row of the document.
__device__ __forceinline__ void count_bytes(const Text& text, u32* row) {
    u32 characters = 0, number_signs = 0, ellipses = 0, spaced = 0, newlines = 0, lines = 0, words = 0;
    for (u32 position = threadIdx.x; position < text.size; position += THREADS) {
        const u8 byte = text.bytes[position];
        if (!begins_character(byte)) continue;
        ++characters;
        if (byte == NEWLINE) {
            ++newlines;
            lines += newlines_begin(text, position);
        } else if (byte == NUMBER_SIGN) {
            ++number_signs;
        } else if (byte == DOT) {
            ellipses += ellipses_from(text, position);
            spaced += spaced_ellipses_from(text, position);
        } else {
            ellipses += is_ellipsis(text, position);
        }
        words += !is_white_space(text, position) && word_begins(text, position);
    }
    atomicAdd(row + FIELD_CHARACTERS, characters);
    atomicAdd(row + FIELD_NUMBER_SIGNS, number_signs);
    atomicAdd(row + FIELD_ELLIPSES, ellipses);
    atomicAdd(row + FIELD_SPACED_ELLIPSES, spaced);
    atomicAdd(row + FIELD_NEWLINE_LINES, newlines);
    atomicAdd(row + FIELD_LINES, lines);
    atomicAdd(row + FIELD_WORDS, words);
}

// Count what needs no order in each document, and the bytes of working memory that the rest needs: 0 where the document
// is longer than `longest` and left out.
extern "C" __global__ void __launch_bounds__(THREADS)
count_items(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
            const u8* __restrict__ classes, i64 longest, i64* __restrict__ sizes, i64* __restrict__ rows,
            u8* __restrict__ left_out)
{
    __shared__ u32 row[FIELDS];
    for (i64 document = blockIdx.x; document < documents; document += gridDim.x) {
        const i64 begin = offsets[document], size = offsets[document + 1] - begin;
        if (size > longest) {                           // the same for all threads: no barrier is missed
            if (threadIdx.x == 0) sizes[document] = 0, left_out[document] = 1;
            continue;
        }
        const Text text = {data + begin, (u32)size, classes};
        if (threadIdx.x < FIELDS) row[threadIdx.x] = 0;
        __syncthreads();
        count_bytes(text, row);
        __syncthreads();
        if (threadIdx.x == 0) {
            row[FIELD_LINES] += 1;
            row[FIELD_NEWLINE_LINES] += size > 0 && text.bytes[size - 1] != NEWLINE;
            sizes[document] = scratch_bytes((u32)size, row[FIELD_LINES], row[FIELD_WORDS]);
        }
        __syncthreads();
        if (threadIdx.x < FIELDS) rows[document * FIELDS + threadIdx.x] = row[threadIdx.x];
    }                                                   // no barrier: a column is taken up again by its own thread
}

// Count the rest. `places` (a document's bytes of working memory are those from places[d] to places[d + 1] of `memory`)
// are multiples of 8. A document without any was left out; one that is crowded (grouping.cuh) is left out now.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
text_statistics(const u8* __restrict__ data, const i64* __restrict__ offsets, i64 documents,
                const u8* __restrict__ classes, const u64* __restrict__ stop_word_hashes, i64 stop_word_slots,
                const i64* __restrict__ places, u64* memory, i64* __restrict__ rows, u8* __restrict__ left_out)
{
    __shared__ u64 shared[THREADS];
    __shared__ u32 row[FIELDS];
    __shared__ u32 crowded;
    const StopWords stop_words = {stop_word_hashes, (u32)stop_word_slots};
    for (i64 document = blockIdx.x; document < documents; document += gridDim.x) {
        if (places[document] == places[document + 1]) continue;
        const i64 begin = offsets[document];
        const Text text = {data + begin, (u32)(offsets[document + 1] - begin), classes};
        if (threadIdx.x < FIELDS) row[threadIdx.x] = (u32)rows[document * FIELDS + threadIdx.x];
        if (threadIdx.x == 0) crowded = 0;
        __syncthreads();
        const Scratch scratch = lay_out(memory + places[document] / 8, row[FIELD_LINES], row[FIELD_WORDS]);
        find_items(text, scratch.lines, scratch.words, shared);
        const bool counted = count_lines(text, scratch, shared, &crowded, row) &&
                             count_words(scratch, classes, stop_words, &crowded, row) &&
                             top_ngrams(scratch, shared, &crowded, row) &&
                             extra_ngrams(scratch, shared, &crowded, row);
        __syncthreads();
        if (counted && threadIdx.x < FIELDS) rows[document * FIELDS + threadIdx.x] = row[threadIdx.x];
        if (!counted && threadIdx.x == 0) left_out[document] = 1;
    }
}
