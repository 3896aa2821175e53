/* Keys and values of a config: from JSON, flattened (`rope_parameters.factor`),
 * or from `--set key=value`. A list is appended to, never edited: the last
 * setting of a key wins, so that what is added later overrides.
 *
 * What a model can ask for is a number, a bool, a string or a list of numbers.
 * A list of names too, from JSON only. Everything else that a config.json may hold
 * (null, mixed lists) is skipped, since no model could read it. */
#include "frontend.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 16, JSON_MAX = 1 << 26 };

static np_setting *add(np_cx *cx, np_settings *s, np_str key, np_str from)
{
    s->s = np_arena_more(&cx->perm, s->s, s->n, sizeof *s->s);
    np_setting *out = &s->s[s->n++];
    out->key = key;
    out->from = from;
    return out;
}

void np_settings_add(np_cx *cx, np_settings *s, const np_setting *v)
{
    *add(cx, s, v->key, v->from) = *v;
}

void np_settings_num(np_cx *cx, np_settings *s, const char *key, double v, const char *from)
{
    np_setting *p = add(cx, s, np_str_new(cx, key), np_str_new(cx, from));
    p->kind = NP_SET_NUM;
    p->num = v;
}

void np_settings_bool(np_cx *cx, np_settings *s, const char *key, bool v, const char *from)
{
    np_setting *p = add(cx, s, np_str_new(cx, key), np_str_new(cx, from));
    p->kind = NP_SET_BOOL;
    p->num = v;
}

static void add_str(np_cx *cx, np_settings *s, np_str key, const char *v, size_t n, np_str from)
{
    np_setting *p = add(cx, s, key, from);
    p->kind = NP_SET_STR;
    p->str = np_str_len(cx, v, n);
}

void np_settings_str(np_cx *cx, np_settings *s, const char *key, const char *v, const char *from)
{
    add_str(cx, s, np_str_new(cx, key), v, strlen(v), np_str_new(cx, from));
}

const np_setting *np_settings_find(const np_settings *s, const char *key)
{
    for (int i = s->n - 1; i >= 0; i--)
        if (strcmp(s->s[i].key, key) == 0) return &s->s[i];
    return NULL;
}

/* ---- JSON */

/* A number, or one of the three that JSON lacks as transformers 5 writes them:
 * {"__float__": "Infinity"}. */
static bool json_num(const json_t *j, double *out)
{
    const char *text = json_object_size(j) == 1 ? json_string_value(json_object_get(j, "__float__")) : NULL;
    *out = json_number_value(j);
    if (json_is_number(j)) return true;
    if (!text) return false;
    *out = strcmp(text, "Infinity") == 0    ? (double)INFINITY
           : strcmp(text, "-Infinity") == 0 ? -(double)INFINITY
                                            : (double)NAN;
    return true;
}

/* Older transformers write these three bare, as Python does, and no JSON library
 * takes them. Outside of strings no other word begins with their letters. */
static void spell_floats(np_text *out, const char *p, size_t n)
{
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    size_t from = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            quoted = !quoted;
        for (size_t k = 0; !quoted && i < n && k < NP_LEN(words); k++) {
            size_t len = strlen(words[k]);
            if (n - i < len || memcmp(p + i, words[k], len) != 0) continue;
            np_text_put(out, p + from, i - from);
            np_text_add(out, "{\"__float__\":\"%s\"}", words[k]);
            from = i + len;
            i = from - 1;
            break;
        }
    }
    np_text_put(out, p + from, n - from);
}

static void add_names(np_cx *cx, np_settings *s, np_str key, const json_t *j, np_str from)
{
    size_t n = json_array_size(j);
    for (size_t i = 0; i < n; i++)
        if (!json_is_string(json_array_get(j, i))) return;
    np_setting *p = add(cx, s, key, from);
    p->kind = NP_SET_NAMES;
    p->n = (int)n;
    p->names = np_arena_array(&cx->perm, n, sizeof *p->names);
    for (size_t i = 0; i < n; i++) p->names[i] = np_str_new(cx, json_string_value(json_array_get(j, i)));
}

static void add_list(np_cx *cx, np_settings *s, np_str key, const json_t *j, np_str from)
{
    size_t n = json_array_size(j);
    double v;
    if (n && json_is_string(json_array_get(j, 0))) {
        add_names(cx, s, key, j, from);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!json_num(json_array_get(j, i), &v)) return;
    np_setting *p = add(cx, s, key, from);
    p->kind = NP_SET_LIST;
    p->n = (int)n;
    p->list = np_arena_array(&cx->perm, n, sizeof *p->list);
    for (size_t i = 0; i < n; i++) json_num(json_array_get(j, i), &p->list[i]);
}

static np_status flatten(np_cx *cx, np_settings *s, np_str prefix, json_t *object, np_str from, int depth)
{
    const char *name;
    json_t *j;
    if (depth > DEPTH) {
        np_error(cx, (np_loc){.file = from}, "objects nest deeper than %d (at %s)", DEPTH, prefix);
        return NP_FAIL;
    }
    json_object_foreach(object, name, j)
    {
        np_str key = *prefix ? np_str_fmt(cx, "%s.%s", prefix, name) : np_str_new(cx, name);
        double v;
        if (json_num(j, &v)) {
            np_settings_num(cx, s, key, v, from);
        } else if (json_is_boolean(j)) {
            np_settings_bool(cx, s, key, json_is_true(j), from);
        } else if (json_is_string(j)) {
            add_str(cx, s, key, json_string_value(j), json_string_length(j), from);
        } else if (json_is_array(j)) {
            add_list(cx, s, key, j, from);
        } else if (json_is_object(j) && flatten(cx, s, key, j, from, depth + 1)) {
            return NP_FAIL;
        }
    }
    return NP_OK;
}

np_status np_settings_json(np_cx *cx, np_settings *s, const char *json, size_t n, const char *from)
{
    np_loc loc = {.file = np_str_new(cx, from)};
    json_error_t err;
    if (n > JSON_MAX) {
        np_error(cx, loc, "%zu bytes of JSON; a config has at most %d", n, JSON_MAX);
        return NP_FAIL;
    }
    np_text strict = {0};
    spell_floats(&strict, json, n);
    json_t *j = json_loadb(strict.s ? strict.s : "", strict.n, 0, &err);
    np_text_free(&strict);
    if (!j) {
        loc.line = err.line > 0 ? err.line : 0;
        np_error(cx, loc, "not valid JSON: %s", err.text);
        return NP_FAIL;
    }
    np_status status = NP_FAIL;
    if (json_is_object(j))
        status = flatten(cx, s, np_str_new(cx, ""), j, loc.file, 0);
    else
        np_error(cx, loc, "must be a JSON object: {\"key\": value, ..}");
    json_decref(j);
    return status;
}

/* ---- --set */

/* The whole of [p, end) as a number. strtod alone would take "nan", "infinity"
 * and hexadecimal, which are more likely names. */
static bool text_num(const char *p, const char *end, double *out)
{
    char buf[64], *stop;
    while (p < end && isspace((unsigned char)*p)) p++;
    while (p < end && isspace((unsigned char)end[-1])) end--;
    size_t n = (size_t)(end - p);
    if (n == 0 || n >= sizeof buf) return false;
    memcpy(buf, p, n);
    buf[n] = 0;
    if (strcmp(buf, "inf") == 0 || strcmp(buf, "-inf") == 0) {
        *out = buf[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (strspn(buf, "0123456789+-.eE") != n) return false;
    *out = strtod(buf, &stop);
    return stop == buf + n;
}

static np_status parse_list(np_cx *cx, np_settings *s, np_str key, const char *p, const char *end, np_loc loc)
{
    size_t n = 0, most = 1;
    const char *at = p + 1, *last = end - 1;
    for (const char *q = p; q < end; q++) most += *q == ',';
    double *list = np_arena_array(&cx->perm, most, sizeof *list);
    while (at < last && isspace((unsigned char)*at)) at++;
    while (at < last || n > 0) {
        const char *comma = memchr(at, ',', (size_t)(last - at));
        if (!text_num(at, comma ? comma : last, &list[n++])) {
            np_error(cx, loc, "%s: a list holds numbers, as in %s=[1,2.5]", key, key);
            return NP_FAIL;
        }
        if (!comma) break;
        at = comma + 1;
    }
    np_setting *out = add(cx, s, key, loc.file);
    out->kind = NP_SET_LIST;
    out->n = (int)n;
    out->list = list;
    return NP_OK;
}

np_status np_settings_parse(np_cx *cx, np_settings *s, const char *key_value)
{
    np_loc loc = {.file = np_str_new(cx, "--set")};
    const char *eq = strchr(key_value, '='), *p = key_value;
    while (p != eq && eq && (isalnum((unsigned char)*p) || strchr("_.-", *p))) p++;
    if (!eq || p != eq || eq == key_value || !eq[1]) {
        np_error(cx, loc, "expected key=value, as in layers=4 or decays=[0.5,0.75]; got '%s'", key_value);
        return NP_FAIL;
    }
    np_str key = np_str_len(cx, key_value, (size_t)(eq - key_value));
    const char *v = eq + 1, *end = v + strlen(v);
    double num;
    if (text_num(v, end, &num)) {
        np_settings_num(cx, s, key, num, loc.file);
    } else if (strcmp(v, "true") == 0 || strcmp(v, "false") == 0) {
        np_settings_bool(cx, s, key, *v == 't', loc.file);
    } else if (*v == '[') {
        if (end[-1] == ']') return parse_list(cx, s, key, v, end, loc);
        np_error(cx, loc, "%s: the list is not closed, as in %s=[1,2.5]", key, key);
        return NP_FAIL;
    } else {
        add_str(cx, s, key, v, (size_t)(end - v), loc.file);
    }
    return NP_OK;
}
