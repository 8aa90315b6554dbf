// Written by scripts/cell_words.py from the tables of the parser. Do not edit.

export const VERBS = {
  "query": {
    "clauses": [],
    "body": true
  },
  "load": {
    "clauses": [
      "FROM",
      "KEY",
      "MODE",
      "FORMAT",
      "OPTIONS"
    ],
    "body": false
  },
  "transform": {
    "clauses": [
      "ON",
      "KEY",
      "WHEN",
      "REFIT WHEN",
      "USING"
    ],
    "body": true
  },
  "train": {
    "clauses": [
      "LABEL",
      "KEY",
      "FEATURES",
      "EXCEPT",
      "PREPARE",
      "MODEL",
      "PARAMS",
      "TUNE",
      "BUDGET",
      "WEIGHT",
      "SPLIT BY",
      "HOLDOUT",
      "METRIC",
      "SEED",
      "WHEN",
      "DEPLOY"
    ],
    "body": true
  },
  "bind": {
    "clauses": [
      "ON",
      "MODEL",
      "WHEN",
      "MODE",
      "ON ERROR",
      "BATCH",
      "ISOLATE",
      "RETRY",
      "RATE"
    ],
    "body": false
  },
  "export": {
    "clauses": [
      "TO",
      "FORMAT",
      "LABEL",
      "FEATURES",
      "SPLIT BY",
      "HOLDOUT",
      "SHUFFLE",
      "SHARDS"
    ],
    "body": false
  },
  "refresh": {
    "clauses": [
      "FULL",
      "ERRORS",
      "LIMIT",
      "BUDGET"
    ],
    "body": false
  },
  "refit": {
    "clauses": [],
    "body": false
  },
  "history": {
    "clauses": [],
    "body": false
  },
  "diff": {
    "clauses": [],
    "body": false
  },
  "undo": {
    "clauses": [
      "TO"
    ],
    "body": false
  },
  "describe": {
    "clauses": [],
    "body": false
  },
  "explore": {
    "clauses": [],
    "body": false
  },
  "build": {
    "clauses": [],
    "body": false
  },
  "lineage": {
    "clauses": [],
    "body": false
  },
  "trace": {
    "clauses": [
      "KEY"
    ],
    "body": false
  },
  "stale": {
    "clauses": [],
    "body": false
  },
  "runs": {
    "clauses": [],
    "body": false
  },
  "tables": {
    "clauses": [],
    "body": false
  },
  "models": {
    "clauses": [],
    "body": false
  },
  "pause": {
    "clauses": [],
    "body": false
  },
  "resume": {
    "clauses": [],
    "body": false
  },
  "drop": {
    "clauses": [],
    "body": false
  },
  "deploy": {
    "clauses": [],
    "body": false
  },
  "rollback": {
    "clauses": [],
    "body": false
  },
  "reproduce": {
    "clauses": [],
    "body": false
  }
};

export const NOTEBOOK_WORDS = [
  "connect",
  "template"
];

export const VALUES = [
  "after",
  "all",
  "always",
  "and",
  "append",
  "arrow",
  "async",
  "auto",
  "changed",
  "column",
  "container",
  "cooldown",
  "cron",
  "csv",
  "drift",
  "env",
  "every",
  "fail",
  "false",
  "group",
  "hash",
  "ibis",
  "jsonl",
  "keep",
  "libsvm",
  "log",
  "manual",
  "merge",
  "metric",
  "never",
  "none",
  "null",
  "of",
  "on",
  "or",
  "parquet",
  "process",
  "python",
  "random",
  "recordio",
  "replace",
  "sql",
  "stratified",
  "sync",
  "tfrecord",
  "time",
  "trials",
  "true",
  "tz",
  "when",
  "write"
];

export const OPTIONS = [
  "as",
  "plan",
  "limit",
  "quiet",
  "help",
  "debug"
];

export const SQL_SHAPES = {
  "drop": "\\s+(?:table|view|schema|macro|function|index|sequence|type|secret|persistent|temporary|materialized|trigger|database|aggregate)\\b\\s+(?!--)[^\\s;]",
  "load": "\\s*'|\\s+[\\w.]+\\s*;?\\s*$|\\s*\\\"[^\\\"]*\\\"\\s*;?\\s*$",
  "export": "\\s+database\\b(?!\\s+(?:to|format)\\b)",
  "describe": "\\s*[('$]|\\s+(?:select|with|from|values|table|pivot|unpivot|summarize|show)\\b\\s+(?!--)[^\\s;]"
};

export const SQL_KEYWORDS = "abort all alter analyse analyze and anti any array as asc asof asymmetric at attach authorization begin between binary both by call case cast check checkpoint collate collation column columns comment commit concurrently constraint copy create cross cube deallocate default deferrable delete desc describe detach distinct do drop else end except exclude execute exists explain export false fetch filter following for force foreign freeze from full generated glob group having ilike import in initially inner insert install intersect into is isnull join lambda lateral leading left like limit load map merge natural not notnull null nulls offset on only or order outer over overlaps partition pivot pivot_longer pivot_wider placing positional pragma preceding prepare primary qualify range recursive references replace reset returning right rollback rollup row rows sample select semi set show similar some start struct summarize symmetric table tablesample then to trailing true truncate try_cast unbounded union unique unpack unpivot update use using vacuum values variadic verbose view when where window with";

export const SQL_TYPES = "array bigint bignum binary bit bitstring blob bool boolean bpchar bytea char date datetime dec decimal double enum float float4 float8 geometry guid hugeint int int1 int128 int16 int2 int32 int4 int64 int8 integer integral interval json list long map numeric nvarchar oid real short signed smallint string struct text time time_ns timestamp timestamp_ms timestamp_ns timestamp_s timestamp_us timestamptz timetz tinyint ubigint uhugeint uint128 uint16 uint32 uint64 uint8 uinteger union usmallint utinyint uuid varbinary varchar variant varint";

export const FUNCTIONS = [
  "bucketize",
  "clip_quantile",
  "count_encode",
  "cyclical",
  "date_parts",
  "embed",
  "hash_encode",
  "hash_text",
  "held_out",
  "impute",
  "interact",
  "is_missing",
  "lag_feature",
  "log1p_signed",
  "min_max",
  "ngrams",
  "one_hot",
  "ordinal",
  "polynomial",
  "predict",
  "predict_proba",
  "quantile_bin",
  "robust_scale",
  "rolling",
  "standardize",
  "target_encode",
  "tfidf",
  "tokenize"
];
