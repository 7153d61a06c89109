/* Where in the program's source an event was raised, through public functions alone. */
#ifndef BELLJAR_STACK_H
#define BELLJAR_STACK_H
#include "encode.h"

enum { BJ_FILE_TEXT = 512, BJ_NAME_TEXT = 128, BJ_DEEPEST = 24 };

/* In 3.8 reading an attribute of a frame is itself an event (object.__getattr__), which the
 * hook must not answer by reading again: true while that happens on this thread. */
int bj_asking(void);
int bj_has_thread_state(void);

/* The nearest frame that is not of the import machinery: [file, line, function], or nil. With
 * `beyond`, the sandbox's own and the standard library's are passed over too, where another lies
 * beyond them: whose call was it? */
void bj_put_frame(struct bj_buf *b, int beyond);
#endif
