/* Reading MessagePack, one token at a time. */
#ifndef BELLJAR_TOKENS_H
#define BELLJAR_TOKENS_H
#include <stddef.h>
#include <stdint.h>

enum bj_token_kind { BJ_NIL, BJ_BOOL, BJ_INT, BJ_UINT, BJ_FLOAT, BJ_STR, BJ_BIN, BJ_ARRAY, BJ_EXT };

struct bj_token {
    enum bj_token_kind kind;
    int code;        /* of an extension */
    uint64_t uint;   /* BOOL, UINT */
    int64_t sint;    /* INT: below zero */
    double real;     /* FLOAT */
    size_t length;   /* STR, BIN, EXT: bytes; ARRAY: items */
    const void *at;  /* STR, BIN, EXT: where they are */
};

/* The bytes that the token at `data` takes (of an array its head alone); 0: there is no whole one. */
size_t bj_token(const unsigned char *data, size_t size, struct bj_token *out);
#endif
