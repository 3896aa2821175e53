/* What a session has read, kept in memory or in a file.
 *
 * A file is: eight bytes of magic, header words, the last tokens, the logits
 * after the last one, the state, and a checksum of all that. Its length follows
 * from the model, so nothing in it decides how much is read. It is read twice:
 * first only looked at, then into the session, so that a bad file changes
 * nothing. The bytes are those of the machine that wrote it. */
#include "np_rt.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const char RT_MAGIC[8] = {'n', 'e', 'a', 'p', ' ', 's', 't', 1}; /* the last one counts versions */
static const uint64_t RT_ORDER = 0x0102030405060708u, RT_HASH = 0xcbf29ce484222325u;

typedef struct rt_header {
    uint64_t order, model, position, vocabulary, state_bytes, logits; /* logits: there are some */
    int32_t recent[NP_RT_RECENT];
} rt_header;

/* FNV-1a: any single byte that differs changes it. */
static uint64_t rt_hash(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static rt_header rt_header_of(const np_session *s)
{
    rt_header h = {RT_ORDER,        s->model->id, (uint64_t)s->pos, (uint64_t)s->V, s->model->state_bytes,
                   s->last != NULL, {0}};
    int n = s->pos < NP_RT_RECENT ? (int)s->pos : NP_RT_RECENT;
    memcpy(h.recent, s->recent, (size_t)n * sizeof *h.recent);
    return h;
}

static size_t rt_logits_bytes(const np_session *s)
{
    return (size_t)s->V * sizeof *s->kept;
}

/* Takes the header; logits (if it has some) and state are in place. */
static void rt_adopt(np_session *s, const rt_header *h)
{
    memcpy(s->recent, h->recent, sizeof s->recent);
    s->pos = (int64_t)h->position;
    s->rows = 0;
    s->last = h->logits ? s->kept : NULL;
}

size_t np_snapshot_bytes(const np_session *s)
{
    return sizeof(rt_header) + rt_logits_bytes(s) + s->model->state_bytes;
}

void np_snapshot(const np_session *s, void *to)
{
    rt_header h = rt_header_of(s);
    char *p = to;
    memcpy(p, &h, sizeof h);
    if (s->last)
        memcpy(p + sizeof h, s->last, rt_logits_bytes(s));
    else
        memset(p + sizeof h, 0, rt_logits_bytes(s));
    memcpy(p + sizeof h + rt_logits_bytes(s), s->state, s->model->state_bytes);
}

void np_rollback(np_session *s, const void *from)
{
    rt_header h;
    const char *p = from;
    memcpy(&h, p, sizeof h);
    memcpy(s->kept, p + sizeof h, rt_logits_bytes(s));
    memcpy(s->state, p + sizeof h + rt_logits_bytes(s), s->model->state_bytes);
    rt_adopt(s, &h);
}

static int rt_put_hashed(np_rt_file *f, uint64_t *hash, const void *p, size_t n)
{
    *hash = rt_hash(*hash, p, n);
    return np_rt_file_put(f, p, n);
}

const char *np_save(np_session *s, const char *path)
{
    np_rt_file f;
    rt_header h = rt_header_of(s);
    uint64_t hash = RT_HASH;
    int err = np_rt_file_open(&f, path);
    if (err == 0) {
        err = rt_put_hashed(&f, &hash, RT_MAGIC, sizeof RT_MAGIC);
        if (err == 0) err = rt_put_hashed(&f, &hash, &h, sizeof h);
        if (err == 0 && s->last) err = rt_put_hashed(&f, &hash, s->last, rt_logits_bytes(s));
        if (err == 0) err = rt_put_hashed(&f, &hash, s->state, s->model->state_bytes);
        if (err == 0) err = np_rt_file_put(&f, &hash, sizeof hash);
        err = np_rt_file_close(&f, err);
    }
    if (err == 0) return NULL;
    snprintf(s->why, sizeof s->why, "cannot write %.120s: %.60s", path, strerror(err));
    return s->why;
}

/* n bytes of the file, hashed, and kept if `to` is given; 0: there are not as many. */
static int rt_get(FILE *f, uint64_t *hash, void *to, size_t n)
{
    char block[4096];
    for (size_t at = 0; at < n;) {
        size_t part = n - at < sizeof block ? n - at : sizeof block;
        char *p = to ? (char *)to + at : block;
        if (fread(p, 1, part, f) != part) return 0;
        *hash = rt_hash(*hash, p, part);
        at += part;
    }
    return 1;
}

static const char *rt_header_fault(const np_session *s, const rt_header *h)
{
    if (h->order != RT_ORDER) return "it was saved on a machine with another order of bytes";
    if (h->model != s->model->id || h->vocabulary != (uint64_t)s->V ||
        h->state_bytes != s->model->state_bytes)
        return "it was saved by another model, or by this one compiled in another way";
    if (h->position > INT64_MAX || (s->model->max_N > 0 && h->position > (uint64_t)s->model->max_N) ||
        h->logits != (h->position > 0))
        return "it is damaged: its position is impossible";
    for (int i = 0; i < NP_RT_RECENT; i++)
        if (h->recent[i] < 0 || h->recent[i] >= s->V)
            return "it is damaged: it holds tokens that do not exist";
    return NULL;
}

/* Reads the whole file; keep: into the session. Why it is no good, or NULL. */
static const char *rt_read(np_session *s, FILE *f, int keep, rt_header *h)
{
    static const char cut_off[] = "it is cut off", damaged[] = "it is damaged: its checksum does not fit";
    char magic[sizeof RT_MAGIC];
    uint64_t hash = RT_HASH, stored, ignored = 0;
    if (!rt_get(f, &hash, magic, sizeof magic)) return ferror(f) ? strerror(errno) : "it is no saved state";
    if (memcmp(magic, RT_MAGIC, sizeof magic - 1) != 0) return "it is no saved state";
    if (magic[sizeof magic - 1] != RT_MAGIC[sizeof magic - 1])
        return "it was saved by another version of neap";
    if (!rt_get(f, &hash, h, sizeof *h)) return cut_off;
    const char *fault = rt_header_fault(s, h);
    if (fault) return fault;
    if (h->logits && !rt_get(f, &hash, keep ? s->kept : NULL, rt_logits_bytes(s))) return cut_off;
    if (!rt_get(f, &hash, keep ? s->state : NULL, s->model->state_bytes)) return cut_off;
    if (!rt_get(f, &ignored, &stored, sizeof stored)) return cut_off;
    if (stored != hash) return damaged;
    return fgetc(f) == EOF ? NULL : "it is damaged: something follows its end";
}

static const char *rt_load(np_session *s, FILE *f, const char *path)
{
    rt_header h;
    const char *fault = rt_read(s, f, 0, &h);
    if (!fault && fseek(f, 0, SEEK_SET) != 0) fault = "it is no file that can be read twice";
    if (!fault) {
        fault = rt_read(s, f, 1, &h);
        if (fault)
            np_reset(s);
        else
            rt_adopt(s, &h);
    }
    if (!fault) return NULL;
    snprintf(s->why, sizeof s->why, "cannot load %.90s: %.80s", path, fault);
    return s->why;
}

const char *np_load_stream(np_session *s, FILE *f)
{
    return rt_load(s, f, "the state");
}

const char *np_load(np_session *s, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        snprintf(s->why, sizeof s->why, "cannot open %.120s: %.60s", path, strerror(errno));
        return s->why;
    }
    const char *why = rt_load(s, f, path);
    fclose(f);
    return why;
}
