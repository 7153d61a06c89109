/* SHA-256 (FIPS 180-4) of a text that is cut in the record: what it was can be shown later. */
#ifndef BELLJAR_DIGEST_H
#define BELLJAR_DIGEST_H
#include <stddef.h>

enum { BJ_DIGEST = 32 };

void bj_sha256(const void *data, size_t size, unsigned char out[BJ_DIGEST]);
#endif
