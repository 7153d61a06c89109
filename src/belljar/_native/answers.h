/* The answers file: one slot for each process that asks. Both sides agree here on what an answer
 * looks like; docs/protocol.md describes it. */
#ifndef BELLJAR_ANSWERS_H
#define BELLJAR_ANSWERS_H
#include <stdint.h>

enum { BJ_SLOTS = 4096, BJ_SLOT = 16, BJ_ANSWERS = BJ_SLOTS * BJ_SLOT, BJ_WORD = 8 };

/* What a process sends as its slot: the slot's index, and above it a number that is new with every
 * claim, so that an answer which comes too late does not answer someone else. */
enum { BJ_INDEX_BITS = 12, BJ_CLAIM_BITS = 19 };

/* The answer as one word: which event of which claim it is for, and the verdict (1 to 3). */
static inline uint32_t bj_answer_word(uint32_t slot, uint64_t seq, uint32_t verdict)
{
    uint64_t event = seq + (uint64_t)(slot >> BJ_INDEX_BITS) * 0x9E3779B1u;
    return (uint32_t)event << 2 | verdict;
}
#endif
