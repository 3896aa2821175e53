/* Names that can be used at the place that is read: of one function, a stack of
 * entries that are found by hash. What a body defines is forgotten behind it. */
#include "parse.h"

#include <string.h>

static int bucket_of(np_str s)
{
    return (int)(np_str_hash(s, strlen(s)) % NP_PARSE_BUCKETS);
}
np_node *np_parse_lookup(const np_names *t, np_str name)
{
    const np_name *e = t->bucket[bucket_of(name)];
    while (e && e->name != name) e = e->older;
    return e ? e->node : NULL;
}
void np_parse_define(np_reader *r, np_str name, np_node *n)
{
    np_names *t = &r->names;
    if (!name) return;
    if (np_parse_lookup(t, name)) {
        r->p.bad = false;
        np_parse_fail(&r->p, "%%%s is defined already", name);
        return;
    }
    t->list = np_arena_more(&t->mem, t->list, t->n, sizeof *t->list);
    np_name *e = t->list[t->n++] = np_arena_alloc(&t->mem, sizeof *e);
    *e = (np_name){.name = name, .node = n, .bucket = bucket_of(name)};
    e->older = t->bucket[e->bucket];
    t->bucket[e->bucket] = e;
}
void np_parse_forget(np_names *t, int n)
{
    while (t->n > n) {
        np_name *e = t->list[--t->n];
        t->bucket[e->bucket] = e->older;
    }
}
np_str np_parse_hint(np_str name) /* names that begin with a digit are numbers: no hint */
{
    return name && !(name[0] >= '0' && name[0] <= '9') ? name : NULL;
}
