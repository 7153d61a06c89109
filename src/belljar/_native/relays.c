/* From the pipes that the guest writes into to the files behind them, until `disk` is used up. The
 * keeper waits for no guest: what is in a pipe is taken when poll(2) says so. */
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHUNK = 1 << 16, MOST_READS = 16 /* a pipe is of a megabyte at most (pipe(7)) */, OF_A_FILE = 4096 /* what one more file costs, however short */ };

static struct relay { int from, to; } relays[MAX_RELAYS];
static int n_relays;
static uint64_t used, most;
static bool over;

void limit_relays(const struct plan *plan) { most = plan->disk; }

bool relays_full(void) { return n_relays == MAX_RELAYS; }

bool may_create(void) { return used + OF_A_FILE <= most; }

void count_created(void) { used += OF_A_FILE; }

int relay_descriptors(struct pollfd *out)
{
    for (int i = 0; i < n_relays; i++)
        out[i] = (struct pollfd){relays[i].from, POLLIN, 0};
    return n_relays;
}

/* Give the guest a pipe that ends in `file`, which is ours to close from here on. */
int relay_to(const struct call *c, int file, int flags)
{
    int ends[2], error = 0;
    if (n_relays == MAX_RELAYS || pipe2(ends, O_CLOEXEC) < 0) {
        close(file);
        return EMFILE;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    if (flags & O_NONBLOCK)
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
    struct seccomp_notif_addfd add = {.id = c->ask->id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)ends[1],
                                      .newfd_flags = flags & O_CLOEXEC ? O_CLOEXEC : 0};
    if (ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0)
        error = errno;
    close(ends[1]);
    if (error) {
        close(ends[0]);
        close(file);
        return error;
    }
    relays[n_relays++] = (struct relay){ends[0], file};
    return DONE;
}

static bool write_all(int to, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(to, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* What is in one pipe; false when there is no more to come. */
static bool take(struct relay *r)
{
    static char data[CHUNK];
    ssize_t n = read(r->from, data, sizeof data);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    size_t size = (size_t)n;
    bool fits = size <= most - used;
    if (!fits)
        size = most - used;
    used += size;
    if ((!write_all(r->to, data, size) || !fits) && !over) {
        over = true;
        report("over disk"); /* the host ends it; until then what comes is thrown away */
    }
    return true;
}

/* All that a pipe can hold: what was written before a file is opened again comes before what is
 * written afterwards. Not until it is empty, because somebody may go on filling it. */
static bool drain(struct relay *r)
{
    struct pollfd one = {r->from, POLLIN, 0};
    bool more = true;
    for (int n = 0; n < MOST_READS && more && poll(&one, 1, 0) > 0; n++)
        more = take(r);
    return more;
}

void pump_relays(void)
{
    for (int i = 0; i < n_relays;) {
        if (drain(&relays[i])) {
            i++;
            continue;
        }
        close(relays[i].from);
        close(relays[i].to);
        relays[i] = relays[--n_relays];
    }
}

/* Nobody is left who could write: until each pipe is empty. */
void finish_relays(void)
{
    for (int i = 0; i < n_relays; i++)
        for (struct pollfd one = {relays[i].from, POLLIN, 0}; poll(&one, 1, 0) > 0 && take(&relays[i]);) {
        }
}
