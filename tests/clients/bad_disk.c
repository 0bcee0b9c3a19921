/* Put before the C library with LD_PRELOAD: writes to files below a directory `audit` do what the file says that
 * BAD_DISK names: a call (`write`, `sync`) and what it does: an error number, `hang` until the file changes, or
 * `short` (one byte is written). Without the file all is well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_audit(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0) return 0;
    path[len] = 0;
    return strstr(path, "/audit/") != NULL;
}

/* What this call does now: 0 for what it should. */
static int told(const char *call, char *how) {
    const char *name = getenv("BAD_DISK");
    char text[128] = {0}, which[64];
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t len = read(file, text, sizeof text - 1);
    close(file);
    return len > 0 && sscanf(text, "%63s %63s", which, how) == 2 && strcmp(which, call) == 0;
}

/* Whether the call fails; sets errno. */
static int fails(const char *call, int file) {
    char how[64];
    if (!is_audit(file) || !told(call, how)) return 0;
    if (strcmp(how, "hang") == 0) {
        while (told(call, how) && strcmp(how, "hang") == 0) usleep(10000);
        return 0;
    }
    if (strcmp(how, "short") == 0) return 0;
    errno = atoi(how);
    return 1;
}

ssize_t pwrite64(int file, const void *bytes, size_t len, off64_t offset) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    char how[64];
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    if (fails("write", file)) return -1;
    if (len > 1 && is_audit(file) && told("write", how) && strcmp(how, "short") == 0) len = 1;
    return real(file, bytes, len, offset);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    return fails("sync", file) ? -1 : real(file);
}
