/* The references to CPython in this library are weak, and the dynamic linker filled them when the
 * library was loaded. Where a program loads libpython later, they are filled here, once, as the
 * linker would have done it: by the library's own relocations. Other code then needs to know
 * nothing of it. */
#define _GNU_SOURCE
#include "bind.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { ABSOLUTE = R_X86_64_64, DATA = R_X86_64_GLOB_DAT, CALL = R_X86_64_JUMP_SLOT };
#elif defined(__aarch64__)
enum { ABSOLUTE = R_AARCH64_ABS64, DATA = R_AARCH64_GLOB_DAT, CALL = R_AARCH64_JUMP_SLOT };
#else
enum { ABSOLUTE = -1, DATA = -1, CALL = -1 }; /* stays unbound: no CPython is in reach */
#endif

static const char wanted[] = "PySys_AddAuditHook";

static void *find_python(struct link_map *map)
{
    if (dlsym(RTLD_DEFAULT, wanted) != NULL)
        return RTLD_DEFAULT;
    for (; map != NULL; map = map->l_next) {
        void *object = map->l_name[0] == '\0' ? NULL : dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
        if (object == NULL)
            continue;
        if (dlsym(object, wanted) != NULL)
            return object; /* kept open: we point into it from now on */
        dlclose(object);
    }
    return NULL;
}

static const void *entry(const struct link_map *map, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag) /* some linkers leave it relative to the library */
            return (const void *)(d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr);
    return NULL;
}

static size_t size_of(const struct link_map *map, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == tag)
            return d->d_un.d_val;
    return 0;
}

struct range {
    uintptr_t library, start, end;
};

/* What the linker made read-only after it had filled it in. */
static int find_relro(struct dl_phdr_info *info, size_t size, void *out)
{
    struct range *range = out;
    (void)size;
    if (info->dlpi_addr != range->library)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO) {
            range->start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            range->end = range->start + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

static void put(const struct range *relro, uintptr_t *slot, uintptr_t value)
{
    uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE), page = (uintptr_t)slot & ~(size - 1);
    int sealed = (uintptr_t)slot >= relro->start && (uintptr_t)slot < relro->end;
    if (sealed && mprotect((void *)page, size, PROT_READ | PROT_WRITE) != 0)
        return;
    *(volatile uintptr_t *)slot = value;
    if (sealed)
        mprotect((void *)page, size, PROT_READ);
}

static void bind_all(const struct link_map *map, void *python, ElfW(Sxword) table, ElfW(Sxword) bytes)
{
    const ElfW(Rela) *r = entry(map, table);
    const ElfW(Sym) *symbols = entry(map, DT_SYMTAB);
    const char *texts = entry(map, DT_STRTAB);
    struct range relro = {.library = map->l_addr};
    dl_iterate_phdr(find_relro, &relro);
    size_t count = size_of(map, bytes) / sizeof *r;
    for (size_t i = 0; r != NULL && symbols != NULL && texts != NULL && i < count; i++) {
        const ElfW(Sym) *symbol = symbols + ELF64_R_SYM(r[i].r_info);
        int type = (int)ELF64_R_TYPE(r[i].r_info);
        const char *name = texts + symbol->st_name;
        if ((type != DATA && type != CALL && type != ABSOLUTE) || symbol->st_shndx != SHN_UNDEF ||
            ELF64_ST_BIND(symbol->st_info) != STB_WEAK || strncmp(name + (name[0] == '_'), "Py", 2) != 0)
            continue;
        uintptr_t *slot = (uintptr_t *)(map->l_addr + r[i].r_offset);
        uintptr_t found = *slot == 0 ? (uintptr_t)dlsym(python, name) : 0;
        if (found != 0)
            put(&relro, slot, found + (type == ABSOLUTE ? (uintptr_t)r[i].r_addend : 0));
    }
}

int bj_bind_python(void)
{
    Dl_info info;
    struct link_map *map = NULL;
    if (DATA < 0 || dladdr1((void *)wanted, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL)
        return -1;
    struct link_map *first = map;
    while (first->l_prev != NULL)
        first = first->l_prev;
    void *python = find_python(first);
    if (python == NULL && dlsym(RTLD_DEFAULT, wanted) == NULL)
        return -1;
    bind_all(map, python, DT_RELA, DT_RELASZ);
    bind_all(map, python, DT_JMPREL, DT_PLTRELSZ);
    return 0;
}
