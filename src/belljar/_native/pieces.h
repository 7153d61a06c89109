/* The filters that a guest may put on itself, at a place that the filter which stands knows. */
#ifndef BELLJAR_PIECES_H
#define BELLJAR_PIECES_H
#include <stdbool.h>

enum piece { PIECE_SOCKETS, PIECE_FORKS, PIECE_EXEC, PIECE_METADATA, PIECE_WATCHING, PIECES };
enum { PIECES_STEP = 16, PIECES_SIZE = 8192, PIECES_SEAL = 462 /* mseal */ };
#define PIECES_AT 0x6be11a000000ul /* far from where programs, libraries, heaps and stacks lie */

void pieces_begin(void);    /* before any code of the guest's; what cannot be had is left out */
bool pieces_put(int piece); /* in all threads */
#endif
