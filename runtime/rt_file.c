/* Writing a file so that no half-written one is ever left: into a new file
 * beside it, which takes its name once it is complete. What is no file (a
 * device, a pipe) is written as it is. Every function gives 0 or an errno. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "np_rt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int np_rt_file_open(np_rt_file *f, const char *path)
{
    struct stat st;
    int exists = stat(path, &st) == 0;
    f->aside[0] = 0;
    if (exists && S_ISDIR(st.st_mode)) return EISDIR;
    if (exists && !S_ISREG(st.st_mode)) {
        f->fd = open(path, O_WRONLY | O_NOCTTY);
        return f->fd < 0 ? errno : 0;
    }
    if (exists && access(path, W_OK) != 0) return errno;
    if (exists) { /* through a link to what it names */
        if (!realpath(path, f->path)) return errno;
    } else {
        if (strlen(path) >= sizeof f->path) return ENAMETOOLONG;
        strcpy(f->path, path);
    }
    snprintf(f->aside, sizeof f->aside, "%s.tmp-%ld", f->path, (long)getpid());
    f->fd = open(f->aside, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (f->fd < 0 && errno == EEXIST && unlink(f->aside) == 0) /* a dead process had our number */
        f->fd = open(f->aside, O_WRONLY | O_CREAT | O_EXCL, 0666);
    return f->fd < 0 ? errno : 0;
}

int np_rt_file_put(np_rt_file *f, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t put = write(f->fd, p, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

int np_rt_file_rewind(np_rt_file *f)
{
    return lseek(f->fd, 0, SEEK_SET) < 0 ? errno : 0;
}

int np_rt_file_close(np_rt_file *f, int err)
{
    if (close(f->fd) != 0 && err == 0) err = errno;
    if (f->aside[0] && err == 0 && rename(f->aside, f->path) != 0) err = errno;
    if (f->aside[0] && err != 0) unlink(f->aside);
    return err;
}
