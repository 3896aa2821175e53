/* neap explain --html: the explanation as one page without scripts or other
 * files: for each entry what it moves against the least, a table of its passes
 * with a bar for each, and all notes. */
#include "explain.h"

#include <inttypes.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.15em .6em;text-align:left;vertical-align:top}"
    "th{border-bottom:1px solid #999}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "tr.in td{color:#777}code{font-size:90%}.bar{background:#4a7fb5;height:.6em;min-width:1px}"
    "tr:nth-child(even){background:#f6f6f6}li{margin:.15em 0}.w{width:8em}";

static void put(np_text *t, const char *s)
{
    for (; s && *s; s++)
        if (*s == '<')
            np_text_add(t, "&lt;");
        else if (*s == '>')
            np_text_add(t, "&gt;");
        else if (*s == '&')
            np_text_add(t, "&amp;");
        else if (*s == '"')
            np_text_add(t, "&quot;");
        else
            np_text_put(t, s, 1);
}
static void cell(np_text *t, const char *s)
{
    np_text_add(t, "<td><code>");
    put(t, s);
    np_text_add(t, "</code>");
}
static double moved(const np_explain *e, const np_traffic_row *r)
{
    return np_explain_number(e, r->read) + np_explain_number(e, r->write);
}
static void add_row(const np_explain *e, np_text *t, const np_traffic_row *r, double most)
{
    np_cx *cx = e->job->cx;
    np_text where = {0}, what = {0};
    np_explain_add_where(&where, r);
    np_explain_add_what(e, &what, r);
    np_text_add(t, "<tr%s>", r->depth ? " class=in" : "");
    cell(t, r->depth ? np_str_fmt(cx, "%*s%s, %s times", 2 * r->depth, "", r->name, np_dim_str(cx, r->times))
                     : r->name);
    np_text_add(t, "<td class=n>%.0f<td class=n>%.0f", np_explain_number(e, r->read),
                np_explain_number(e, r->write));
    cell(t, np_dim_str(cx, np_dim_add(cx, r->read, r->write)));
    np_text_add(t, "<td class=w>");
    if (!r->depth && most > 0)
        np_text_add(t, "<div class=bar style=\"width:%.1f%%\"></div>", 100 * moved(e, r) / most);
    cell(t, where.s);
    cell(t, what.s);
    np_text_add(t, "</tr>\n");
    np_text_free(&where);
    np_text_free(&what);
}
static void add_entry(const np_explain *e, np_text *t, int i)
{
    const np_traffic *of = &e->traffic[i];
    const np_dim *all = np_dim_add(e->job->cx, of->read, of->write);
    double most = 0, least = np_explain_number(e, of->least);
    int passes = np_explain_passes(of);
    if (passes == 0) return;
    np_text_add(t, "<h2>@");
    put(t, e->fused[i]->name);
    np_text_add(t, "</h2>\n<p>%d pass%s over memory; bytes", passes, passes == 1 ? "" : "es");
    np_explain_add_sizes(e, t, of);
    np_text_add(t, ": %.0f moved, %.0f at least", np_explain_number(e, all), least);
    if (least > 0) np_text_add(t, ", <b>%.2f times the least</b>", np_explain_number(e, all) / least);
    np_text_add(t, ".<br>moved <code>");
    put(t, np_dim_str(e->job->cx, all));
    np_text_add(t, "</code>, at least <code>");
    put(t, np_dim_str(e->job->cx, of->least));
    np_text_add(t, "</code></p>\n<table><tr><th>pass<th class=n>read<th class=n>written<th>both<th>"
                   "<th>from<th>what</tr>\n");
    for (int k = 0; k < of->n; k++)
        if (!of->row[k].depth && moved(e, &of->row[k]) > most) most = moved(e, &of->row[k]);
    for (int k = 0; k < of->n; k++) add_row(e, t, &of->row[k], most);
    np_text_add(t, "</table>\n");
}
static void add_notes(const np_explain *e, np_text *t)
{
    np_text_add(t, "<h2>Notes</h2>\n<ul>\n");
    for (int i = 0; i < e->nnotes; i++) {
        const np_diag *d = e->note[i].d;
        np_text_add(t, "<li><b>");
        put(t, d->pass ? d->pass : "neap");
        np_text_add(t, "</b> ");
        if (d->loc.line) {
            np_text_add(t, "<code>");
            put(t, d->loc.file);
            np_text_add(t, ":%d</code> ", d->loc.line);
        }
        put(t, d->text);
        if (e->note[i].more) np_text_add(t, ", and %d more like it", e->note[i].more);
        np_text_add(t, "\n");
    }
    np_text_add(t, "</ul>\n");
}

np_status np_explain_html(const np_explain *e, const char *path)
{
    np_text t = {0};
    np_text_add(&t, "<!doctype html>\n<html lang=en><meta charset=utf-8><title>neap explain ");
    put(&t, e->job->model->name);
    np_text_add(&t, "</title><style>%s</style>\n<h1>", style);
    put(&t, e->job->model->name);
    np_text_add(&t, "</h1>\n");
    for (int i = 0; i < e->n; i++) add_entry(e, &t, i);
    add_notes(e, &t);
    np_text_add(&t, "</html>\n");
    np_status st = np_file_write(e->job->cx, path, t.s, t.n);
    np_text_free(&t);
    return st;
}
