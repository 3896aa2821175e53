/* Bytes in and out: the only place of the front end that opens files.
 *
 * A file is read whole. A regular file of some size is mapped and stays mapped
 * for as long as the context lives; pipes, devices and small files are copied
 * into the context's memory, up to a limit, so that an endless device is an
 * error and not the end of all memory.
 *
 * Writing goes to NAME.tmp-PID beside the file, then renames: whatever goes
 * wrong on the way (a full disk, a directory that cannot be written), what
 * stood there before still stands there and nothing half-written is left. */
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAP_FROM = 1 << 16, STREAM_MAX = 1 << 30 };

static void file_error(np_cx *cx, const char *path, const char *what, int err)
{
    np_error(cx, (np_loc){.file = np_str_new(cx, path)}, "cannot %s: %s", what, strerror(err));
}

static void unmap(void *p, size_t n)
{
    munmap(p, n);
}

/* Until the end of the file; what it claims as its size is only a hint. */
static const unsigned char *read_stream(np_cx *cx, const char *path, int fd, size_t hint, size_t *n)
{
    size_t cap = hint + 1, len = 0; /* one more than the hint, to see the end at once */
    unsigned char *buf = malloc(cap), *out = NULL;
    for (;;) {
        if (!buf) {
            file_error(cx, path, "read", ENOMEM);
            return NULL;
        }
        ssize_t got = read(fd, buf + len, cap - len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            file_error(cx, path, "read", errno);
            break;
        }
        if (got == 0) {
            out = np_arena_alloc(&cx->perm, len + 1); /* never NULL, even if empty */
            memcpy(out, buf, len);
            *n = len;
            break;
        }
        len += (size_t)got;
        if (len > STREAM_MAX) {
            np_error(cx, (np_loc){.file = np_str_new(cx, path)},
                     "gives more than %d bytes and is no regular file; copy it to a file first", STREAM_MAX);
            break;
        }
        if (len < cap) continue;
        unsigned char *more = realloc(buf, cap *= 2);
        if (!more) free(buf);
        buf = more;
    }
    free(buf);
    return out;
}

const unsigned char *np_file_read(np_cx *cx, const char *path, size_t *n)
{
    const unsigned char *out = NULL;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    *n = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        file_error(cx, path, fd < 0 ? "open" : "read", errno);
    } else if (S_ISDIR(st.st_mode)) {
        file_error(cx, path, "read", EISDIR);
    } else if (S_ISREG(st.st_mode) && st.st_size >= MAP_FROM) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            file_error(cx, path, "map", errno);
        } else {
            *n = (size_t)st.st_size;
            np_cx_defer(cx, unmap, p, *n);
            out = p;
        }
    } else {
        out = read_stream(cx, path, fd, S_ISREG(st.st_mode) ? (size_t)st.st_size : 4096, n);
    }
    if (fd >= 0) close(fd);
    return out;
}

/* 0 or an errno; closes fd in any case. */
static int write_all(int fd, const unsigned char *p, size_t n)
{
    int err = 0;
    while (n > 0 && !err) {
        ssize_t put = write(fd, p, n);
        if (put < 0) {
            err = errno == EINTR ? 0 : errno;
            continue;
        }
        p += put;
        n -= (size_t)put;
    }
    if (close(fd) != 0 && !err) err = errno;
    return err;
}

/* 0 or an errno. The temporary is made new (O_EXCL), so it is nobody's link. */
static int write_aside(const char *path, const char *aside, const void *data, size_t n)
{
    int fd = -1;
    for (int attempt = 0; fd < 0 && attempt < 2; attempt++) {
        fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EEXIST)
            unlink(aside); /* a dead process had our number */
        else if (fd < 0)
            return errno;
    }
    if (fd < 0) return EEXIST;
    int err = write_all(fd, data, n);
    if (!err && rename(aside, path) != 0) err = errno;
    if (err) unlink(aside);
    return err;
}

np_status np_file_write(np_cx *cx, const char *path, const void *data, size_t n)
{
    char *real = realpath(path, NULL); /* through a link to what it names; NULL: a new file */
    const char *at = real ? real : path;
    struct stat st;
    int err = 0;
    if (real && stat(real, &st) == 0 && !S_ISREG(st.st_mode)) { /* a device or a pipe is not replaced */
        int fd = S_ISDIR(st.st_mode) ? -1 : open(real, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        err = S_ISDIR(st.st_mode) ? EISDIR : fd < 0 ? errno : write_all(fd, data, n);
    } else if (real && access(real, W_OK) != 0) {
        err = errno;
    } else {
        err = write_aside(at, np_str_fmt(cx, "%s.tmp-%ld", at, (long)getpid()), data, n);
    }
    if (err) file_error(cx, path, "write", err);
    free(real);
    return err ? NP_FAIL : NP_OK;
}
