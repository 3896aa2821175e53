/* Shared by the files of the parser, and by no one else. */
#ifndef NP_PARSE_H
#define NP_PARSE_H

#include "ir.h"

typedef enum {
    TOK_END,
    TOK_LINE,   /* end of a line */
    TOK_NAME,   /* a word */
    TOK_NUMBER, /* digits, perhaps with a fraction and an exponent; no sign */
    TOK_VALUE,  /* %name */
    TOK_WEIGHT, /* $name */
    TOK_FN,     /* @name */
    TOK_STRING,
    TOK_DOTS,  /* .. */
    TOK_ARROW, /* -> */
    TOK_CHAR   /* any other; text[0] says which */
} np_tok;

typedef struct np_parser {
    np_cx *cx;
    np_mod *mod;
    np_str file;
    const char *at, *end; /* what is not read yet */
    np_tok tok;
    const char *text; /* the current token, without its sigil or quotes */
    size_t len;
    int line;         /* of the current token */
    int errline;      /* line of the statement that is being read: where errors are reported */
    bool bad;         /* the statement is wrong: reported once, the rest of it is skipped */
    int depth, atoms; /* limits of nested expressions */
    const np_dim *sym[16];
    int nsyms;
} np_parser;

/* ---- parse_lex.c: tokens, dims, types. All stop quietly once p->bad is set. */
void np_parse_next(np_parser *p);
void np_parse_fail(np_parser *p, const char *fmt, ...) NP_PRINTF(2, 3);
np_loc np_parse_loc(const np_parser *p);
bool np_parse_is(const np_parser *p, char c);             /* the character c */
bool np_parse_word(const np_parser *p, const char *word); /* the name `word` */
bool np_parse_take(np_parser *p, char c);                 /* skips it if it is there */
void np_parse_want(np_parser *p, char c);
np_str np_parse_name(np_parser *p, np_tok kind, const char *what);
void np_parse_line(np_parser *p); /* the statement must end here */
void np_parse_skip(np_parser *p); /* to the end of the statement, bodies included */
int64_t np_parse_int(np_parser *p);
double np_parse_number(np_parser *p, np_dtype d); /* as a value of type d */
const np_dim *np_parse_dim(np_parser *p);
const np_type *np_parse_type(np_parser *p);

/* ---- parse_names.c: names that can be used at the place that is read. */
enum { NP_PARSE_BUCKETS = 1024 };
typedef struct np_name {
    struct np_name *older; /* in its bucket */
    np_str name;
    np_node *node;
    int bucket;
} np_name;
typedef struct np_names { /* of one function: a stack of entries, found by hash */
    np_arena mem;
    np_name *bucket[NP_PARSE_BUCKETS];
    np_name **list;
    int n;
} np_names;
typedef struct np_reader {
    np_parser p; /* first: tokens, dims and types see only that */
    np_build *b;
    np_names names;
    np_str *failed; /* functions that had mistakes: a call of one says nothing more */
    int nfailed, bodies;
    bool lost;  /* the text ended inside a body */
    bool plain; /* neither fold nor share */
} np_reader;
np_node *np_parse_lookup(const np_names *t, np_str name);    /* NULL: not defined here */
void np_parse_define(np_reader *r, np_str name, np_node *n); /* an error if it is defined already */
void np_parse_forget(np_names *t, int n);                    /* all but the first n */
np_str np_parse_hint(np_str name);                           /* the name that a node gets, or NULL */

/* ---- parse_stmt.c */
typedef struct np_stmt { /* taken apart, before it is built */
    np_str name;
    const np_type *type; /* written, or NULL */
    np_op op;
    const np_opinfo *info;
    np_node **arg;
    int nargs, line, mark; /* mark: `!14` */
    np_extra x;
    bool poison; /* an operand is bad, or a mistake was reported */
} np_stmt;
/* Statements up to and with `}`; the last one is left in `last`, not built. False: a mistake was reported. */
bool np_parse_block(np_reader *r, np_stmt *last);

/* ---- parse_fn.c */
void np_parse_fn(np_reader *r); /* from `fn` to behind `}`; into the module if it is right */
np_fn *np_parse_made(np_reader *r, const np_type *t); /* from `{` to behind `}`: how a weight is made; NULL: a mistake was reported */

#endif
