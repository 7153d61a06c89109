/* For programs that embed CPython: the recorder starts where they say so. */
#include <pthread.h>
#include <stdlib.h>

#include "bind.h"
#include "include/belljar.h"
#include "pyapi.h"
#include "recorder.h"

__attribute__((visibility("default"))) int belljar_recorder_start(const char *channel)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int result = BELLJAR_NO_PYTHON;
    pthread_mutex_lock(&lock);
    if (PySys_AddAuditHook != NULL || bj_bind_python() == 0) {
        if (channel == NULL)
            channel = getenv("BELLJAR_CHANNEL");
        if (bj_channel_is_open())
            result = bj_hook_add() == 0 ? BELLJAR_ALREADY : BELLJAR_NOBODY_LISTENS;
        else if (bj_begin(channel) == 0)
            result = BELLJAR_STARTED;
        else
            result = channel == NULL ? BELLJAR_NO_CHANNEL : BELLJAR_NOBODY_LISTENS;
    }
    pthread_mutex_unlock(&lock);
    return result;
}
