/* The digest against the vectors of FIPS 180-4, and under the sanitizers at every length. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/belljar/_native/digest.h"

static void expect(const char *text, size_t size, const char *hex)
{
    unsigned char out[BJ_DIGEST];
    char *exact = malloc(size > 0 ? size : 1), told[2 * BJ_DIGEST + 1];
    if (exact == NULL)
        abort();
    memcpy(exact, text, size);
    bj_sha256(exact, size, out);
    for (int i = 0; i < BJ_DIGEST; i++)
        sprintf(told + 2 * i, "%02x", out[i]);
    if (hex != NULL && strcmp(told, hex) != 0) {
        printf("digest: %s where %s was due\n", told, hex);
        exit(1);
    }
    free(exact);
}

int main(void)
{
    enum { MILLION = 1000000 };
    static char many[MILLION];
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(two, 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    memset(many, 'a', sizeof many);
    expect(many, MILLION, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t size = 0; size < 300; size++)
        expect(many, size, NULL);
    printf("digest: the vectors hold\n");
    return 0;
}
