/* The bytes that plain-seeder serves, in C: what benches/src/content.rs says, checked against it by benches/tests. */
#ifndef ELEMENTUM_BENCH_CONTENT_H
#define ELEMENTUM_BENCH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the content's words are little-endian"
#endif

enum { CONTENT_BLOCK = 16 * 1024, CONTENT_PATTERN = 1024 * 1024, CONTENT_STAMP = 8 };

struct content {
    uint8_t pattern[CONTENT_PATTERN];
    uint64_t seed;
};

static void content_init(struct content *content, uint64_t seed)
{
    uint64_t state = (seed * UINT64_C(0x9E3779B97F4A7C15)) | 1;
    for (size_t at = 0; at < CONTENT_PATTERN; at += 8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        uint64_t word = state * UINT64_C(0x2545F4914F6CDD1D);
        memcpy(content->pattern + at, &word, 8);
    }
    content->seed = seed;
}

/* Whether `length` bytes are what stands at `offset`. */
static bool content_matches(const struct content *content, uint64_t offset, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        uint64_t block = offset / CONTENT_BLOCK;
        size_t within = (size_t)(offset % CONTENT_BLOCK);
        size_t now = CONTENT_BLOCK - within < length ? CONTENT_BLOCK - within : length;
        size_t stamped = 0;
        if (within < CONTENT_STAMP) {
            uint64_t stamp = block ^ content->seed;
            stamped = CONTENT_STAMP - within < now ? CONTENT_STAMP - within : now;
            if (memcmp(bytes, (const uint8_t *)&stamp + within, stamped) != 0)
                return false;
        }
        const uint8_t *expected = content->pattern + block % (CONTENT_PATTERN / CONTENT_BLOCK) * CONTENT_BLOCK;
        if (memcmp(bytes + stamped, expected + within + stamped, now - stamped) != 0)
            return false;
        offset += now;
        bytes += now;
        length -= now;
    }
    return true;
}

#endif
