/* What a process may do beyond its user's rights: nothing (capabilities(7), no_new_privs). */
#include "keeper.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* no_new_privs, then no capability in any set, and no way to regain one. */
void drop_privileges(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("privileges", errno, "no_new_privs");
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM) {
            if (errno == EINVAL && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0)
                break; /* the kernel knows no more */
            fail("privileges", errno, "bounding set");
        }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* absent before 4.3: nothing to clear */
    int locked = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                 SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_SECUREBITS, locked) < 0 && errno != EPERM) /* an ordinary user has none to lock */
        fail("privileges", errno, "securebits");
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}}, have[2];
    if (syscall(SYS_capset, &head, none) < 0)
        fail("privileges", errno, "capset");
    if (syscall(SYS_capget, &head, have) < 0 ||
        (have[0].effective | have[0].permitted | have[0].inheritable | have[1].effective |
         have[1].permitted | have[1].inheritable))
        fail("privileges", EPERM, "capabilities remain");
}
